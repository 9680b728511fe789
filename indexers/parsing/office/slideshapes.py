"""The shapes of a slide in the order in which they are read (PresentationML, 19.3).

Knows placeholders and what they inherit from layout and master, groups, tables, charts; nothing of
notes and of the order of slides.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from lxml import etree

from indexers.parsing.office.drawings import A, drawing_lines
from indexers.parsing.office.grouping import BREAK, Line
from indexers.parsing.office.package import Package
from indexers.parsing.office.slides import by_rows
from indexers.parsing.office.slidetext import body_lines, body_text
from indexers.parsing.office.tables import Cell, table_lines
from indexers.parsing.office.wordruns import chosen
from indexers.parsing.office.wordstyles import integer
from indexers.parsing.xmlsafe import local

P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
MAX_SHAPES = 20_000
MAX_MODELS = 200
"""Placeholders of a layout or a master that are looked at."""
MAX_DEPTH = 30
"""Of groups inside each other."""
TITLES = frozenset({"title", "ctrTitle"})
_MARGINS = frozenset({"dt", "ftr", "sldNum", "hdr", "sldImg"})
_STYLES = {"title": "titleStyle", "ctrTitle": "titleStyle", "": "otherStyle"}


class _Model(NamedTuple):
    """A placeholder of a layout or a master, from which one of a slide inherits."""

    kind: str
    key: str
    top: tuple[int, int] | None
    style: etree._Element | None


class Layout:
    """What the slides that use it inherit, from it and from its master."""

    def __init__(self, package: Package, name: str | None) -> None:
        """Read the parts; a missing one leaves nothing to inherit."""
        root = package.xml(name) if name else None
        master = package.related_xml(name, "slideMaster") if name else None
        self.kind = "" if root is None else root.get("type") or ""
        self._models = [
            [] if part is None else list(map(_model, islice(part.iter(f"{P}sp"), MAX_MODELS)))
            for part in (root, master)
        ]
        self._texts = None if master is None else master.find(f"{P}txStyles")

    def models(self, kind: str, index: str) -> list[_Model]:
        """Return the placeholders from which one is derived, the nearest first (19.3.1.36)."""
        found: list[_Model] = []
        for models in self._models:
            same = [m for m in models if m.key and m.key == index]
            same = same or [m for m in models if m.kind and _family(m.kind) == _family(kind)]
            if same:
                found.append(same[0])
                kind = same[0].kind or kind
            index = ""  # a master's indexes are its own
        return found

    def styles(self, kind: str | None, models: list[_Model]) -> list[etree._Element]:
        """Return the list styles for the text of a placeholder; None is a shape that is none."""
        found = [model.style for model in models if model.style is not None]
        name = _STYLES.get(kind or "", "bodyStyle") if kind is not None else "otherStyle"
        own = None if self._texts is None else self._texts.find(f"{P}{name}")
        return found if own is None else [*found, own]


class _Shape(NamedTuple):
    element: etree._Element
    kind: str | None
    """Of a placeholder, `body` where it does not say; None for other shapes."""
    top: tuple[int, int] | None
    models: list[_Model]


def slide_lines(package: Package, part: str, layout: Layout) -> Iterator[Line]:
    """Yield the lines of a slide, its title first as a heading whose level is to be set."""
    root = package.xml(part)
    tree = None if root is None else root.find(f"{P}cSld/{P}spTree")
    if tree is None:
        return
    budget = [MAX_SHAPES]
    shapes = _shapes(tree, layout, budget, 0)
    titles = [shape for shape in shapes if shape.kind in TITLES]
    text = " ".join(filter(None, (_title(shape) for shape in titles)))
    yield Line("heading", text, 1)
    for shape in shapes:
        if shape.kind not in TITLES:
            yield from _lines(package, part, shape, layout)


def _title(shape: _Shape) -> str:
    body = shape.element.find(f"{P}txBody")
    return "" if body is None else " ".join(body_text(body).split())


def _shapes(tree: etree._Element, layout: Layout, budget: list[int], depth: int) -> list[_Shape]:
    """Return the shapes of a slide or a group in reading order, groups in place of themselves."""
    items: list[tuple[tuple[int, int], list[_Shape]]] = []
    top = (0, 0)
    stack = list(reversed(tree))
    while stack and budget[0] > 0:
        element = stack.pop()
        name = local(element)
        if name == "AlternateContent":
            stack.extend(reversed(chosen(element)))
        elif name == "grpSp" and depth < MAX_DEPTH:
            top = _top(element.find(f"{P}grpSpPr/{A}xfrm")) or top
            items.append((top, _shapes(element, layout, budget, depth + 1)))
        elif name in ("sp", "graphicFrame"):
            budget[0] -= 1
            shape = _shape(element, layout)
            top = shape.top or top
            if shape.kind not in _MARGINS:
                items.append((top, [shape]))
    return [shape for shapes in by_rows(items) for shape in shapes]


def _shape(element: etree._Element, layout: Layout) -> _Shape:
    model = _model(element)
    if model.key == model.kind == "":
        return _Shape(element, None, model.top, [])
    models = layout.models(model.kind, model.key)
    kind = next((m.kind for m in (model, *models) if m.kind), "body")
    top = next((m.top for m in (model, *models) if m.top is not None), None)
    return _Shape(element, kind, top, models)


def _model(element: etree._Element) -> _Model:
    """Read what is inherited of a shape, and how it inherits: a placeholder has kind or index."""
    placeholder = element.find(f"./*/{P}nvPr/{P}ph")
    body = element.find(f"{P}txBody/{A}lstStyle")
    frame = element.find(f"{P}spPr/{A}xfrm")
    top = _top(element.find(f"{P}xfrm") if frame is None else frame)
    if placeholder is None:
        return _Model("", "", top, body)
    index, kind = placeholder.get("idx") or "", placeholder.get("type") or ""
    return _Model(kind or ("" if index else "body"), index, top, body)


def _family(kind: str) -> str:
    """Return the kind of a master's placeholder that stands for a kind."""
    return {"ctrTitle": "title", "subTitle": "body", "obj": "body", "": "body"}.get(kind, kind)


def _top(frame: etree._Element | None) -> tuple[int, int] | None:
    """Return how far from the top and from the left a shape stands, in EMU."""
    offset = None if frame is None else frame.find(f"{A}off")
    if offset is None:
        return None
    return integer(offset.get("y")) or 0, integer(offset.get("x")) or 0


def _lines(package: Package, part: str, shape: _Shape, layout: Layout) -> Iterator[Line]:
    yield BREAK
    body = shape.element.find(f"{P}txBody")
    if body is not None:
        yield from body_lines(body, layout.styles(shape.kind, shape.models))
        return
    table = shape.element.find(f".//{A}tbl")
    if table is not None:
        yield from table_lines([list(map(_cell, row.iterchildren(f"{A}tc")))
                                for row in table.iterchildren(f"{A}tr")])  # fmt: skip
    else:
        yield from drawing_lines(package, part, shape.element)


def _cell(cell: etree._Element) -> Cell:
    if cell.get("hMerge") in ("1", "true"):
        return Cell("", "left")
    if cell.get("vMerge") in ("1", "true"):
        return Cell("", "above")
    body = cell.find(f"{A}txBody")
    return Cell("" if body is None else body_text(body))
