"""Charts and diagrams in Office Open XML (DrawingML, ECMA-376 part 1, 21.2 and 21.4).

Knows the texts and the numbers that are stored with a drawing; nothing of how it looks.
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from indexers.parsing.office.cellformats import GENERAL, value_text
from indexers.parsing.office.grouping import Line
from indexers.parsing.office.package import Package
from indexers.parsing.office.tables import Cell, table_lines
from indexers.parsing.xmlsafe import local

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
MAX_POINTS = 10_000
"""Of one series of a chart."""
MAX_SERIES = 256


def drawing_lines(package: Package, part: str, drawing: etree._Element) -> Iterator[Line]:
    """Yield what the charts and diagrams inside an element of a part show."""
    relations = package.relations(part)
    for element in drawing.iter(f"{C}chart", f"{DIAGRAM}relIds"):
        is_chart = local(element) == "chart"
        relation = relations.get(element.get(f"{R}{'id' if is_chart else 'dm'}") or "")
        root = package.xml(relation.target) if relation and not relation.is_external else None
        if root is not None:
            yield from chart_lines(root) if is_chart else diagram_lines(root)


def chart_lines(root: etree._Element) -> Iterator[Line]:
    """Yield the title of a chart, and its series as columns of a table."""
    title = root.find(f"{C}chart/{C}title")
    yield Line("paragraph", "" if title is None else _title(title))
    columns: list[tuple[str, dict[int, str]]] = []
    categories: dict[int, str] = {}
    for series in list(root.iter(f"{C}ser"))[:MAX_SERIES]:
        categories = categories or _points(series, "cat", "xVal")
        name = series.find(f"{C}tx")
        columns.append(("" if name is None else _title(name), _points(series, "val", "yVal")))
    rows = sorted({index for _, points in columns for index in points} | set(categories))
    if rows:
        yield from table_lines(
            [
                [Cell(), *(Cell(name) for name, _ in columns)],
                *(
                    [Cell(categories.get(row, "")), *(Cell(p.get(row, "")) for _, p in columns)]
                    for row in rows
                ),
            ],
            headers=1,
        )


def diagram_lines(root: etree._Element) -> Iterator[Line]:
    """Yield the texts of the points of a diagram, as they were entered."""
    for point in root.iter(f"{DIAGRAM}pt"):
        for paragraph in point.iterfind(f"{DIAGRAM}t/{A}p"):
            text = "".join(run.text or "" for run in paragraph.iter(f"{A}t"))
            yield Line("list", text, marker="- ")


def _title(element: etree._Element) -> str:
    """Return a text that was typed in, or the stored copy of one that refers to cells."""
    paragraphs = [
        "".join(run.text or "" for run in paragraph.iter(f"{A}t"))
        for paragraph in element.iter(f"{A}p")
    ]
    values = [] if any(paragraphs) else [value.text or "" for value in element.iter(f"{C}v")]
    return " ".join(" ".join([*paragraphs, *values]).split())


def _points(series: etree._Element, *names: str) -> dict[int, str]:
    """Return the stored values of a series by their index; of several levels, the innermost."""
    for name in names:
        element = series.find(f"{C}{name}")
        if element is None:
            continue
        numbers = next(element.iter(f"{C}numCache", f"{C}numLit"), None)
        code = None if numbers is None else numbers.findtext(f"{C}formatCode") or GENERAL
        level = element.find(f".//{C}lvl")
        found: dict[int, str] = {}
        for point in (element if level is None else level).iter(f"{C}pt"):
            index, value = point.get("idx") or "", point.find(f"{C}v")
            if index.isdecimal() and value is not None and len(found) < MAX_POINTS:
                found[int(index[:9])] = _shown(value.text or "", code)
        return found
    return {}


def _shown(value: str, code: str | None) -> str:
    if code is None:
        return value
    try:
        return value_text(float(value), code)
    except ValueError:
        return value
