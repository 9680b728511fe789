"""The text of a Word document, element by element.

Knows how paragraphs, tables, lists, notes and comments become lines; nothing of the parts of the
package in which they stand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, takewhile

from lxml import etree

from indexers.parsing.office.counting import marker
from indexers.parsing.office.grouping import Line, plain_line
from indexers.parsing.office.tables import MAX_COLUMNS, Cell, is_layout, spanning, table_lines
from indexers.parsing.office.titles import MAX_CHARACTERS
from indexers.parsing.office.wordnumbering import Numbering
from indexers.parsing.office.wordruns import Paragraph, Runs, chosen, is_placeholder
from indexers.parsing.office.wordstyles import (
    BODY_TEXT,
    Style,
    Styles,
    W,
    indent,
    integer,
    is_on,
    value,
)
from indexers.parsing.xmlsafe import local
from rag.types import Place

MAX_DEPTH = 20
"""Of tables and text boxes inside each other; what is deeper is left out."""
_DROPPED = frozenset({"del", "moveFrom", "sectPr", "tblPr", "tcPr", "trPr", "pPr"})


class WordText:
    """Turns elements into lines; counts lists, notes and pages on the way."""

    def __init__(
        self,
        styles: Styles,
        numbering: Numbering,
        *,
        notes: Mapping[tuple[str, str], etree._Element],
        comments: Mapping[str, etree._Element],
        drawings: Callable[[etree._Element], Iterable[Line]] = lambda _: (),
        has_pages: bool = False,
        is_margin: bool = False,
    ) -> None:
        """Notes by kind and id, comments by id; `drawings` reads charts and diagrams.

        `has_pages`: the ends of pages that are stored are those that readers see. `is_margin`: a
        header or a footer, in which page numbers are no text.
        """
        self._styles, self._numbering = styles, numbering
        self._notes, self._comments, self._drawings = notes, comments, drawings
        self._runs = Runs(styles, drops_page_numbers=is_margin)
        self._is_margin = is_margin
        self.title: str | None = None
        """What the document says that its title is, by a style."""
        self._page = 1 if has_pages else 0
        self._shown_page = 0
        self._capital = ""
        self._asides: deque[tuple[str, str]] = deque()
        self._written: set[tuple[str, str]] = set()

    def lines(self, elements: Iterable[etree._Element], depth: int = 0) -> Iterator[Line]:
        """Yield the lines of elements that are blocks, with the notes and comments after each."""
        if depth > MAX_DEPTH:
            return
        for element in elements:
            name = local(element)
            if name == "p":
                yield from self._paragraph(element, depth)
            elif name == "tbl":
                yield from self._table(element, depth)
            elif name == "AlternateContent":
                yield from self.lines(chosen(element), depth + 1)
            elif name and name not in _DROPPED and not (name == "sdt" and is_placeholder(element)):
                yield from self.lines(element, depth + 1)
            if not depth:
                yield from self._aside_lines()

    def _paragraph(self, element: etree._Element, depth: int) -> Iterator[Line]:
        properties = element.find(f"{W}pPr")
        style_id = None if properties is None else value(properties.find(f"{W}pStyle"))
        style = self._styles.style(style_id)
        paragraph = self._runs.read(element, hidden=style.is_hidden)
        self._asides.extend(paragraph.notes)
        self._asides.extend(("comment", comment) for comment in paragraph.comments)
        text = self._capital + paragraph.text
        self._capital = ""
        if _is_capital(properties):
            self._capital = text.strip()
        elif not (self._is_margin and _is_page_number(paragraph)):
            yield self._line(text, style, properties)._replace(places=self._places(paragraph))
        for box in paragraph.boxes:
            yield from self.lines(box, depth + 1)
        for drawing in paragraph.drawings:
            yield from self._drawings(drawing)

    def _line(self, text: str, style: Style, properties: etree._Element | None) -> Line:
        """Decide what a paragraph is: a heading, an item of a list, a quote, code, or just text."""
        level, number, left, ilvl = style.level, style.number, style.indent, None
        if properties is not None:
            outline = integer(value(properties.find(f"{W}outlineLvl")))
            if outline is not None:
                level = outline + 1 if 0 <= outline < BODY_TEXT else 0
            direct = value(properties.find(f"{W}numPr/{W}numId"))
            ilvl = integer(value(properties.find(f"{W}numPr/{W}ilvl")))
            if direct is not None:
                number = (direct, number[1] if number else "")
                left = None
            own_indent = indent(properties)
            left = left if own_indent is None else own_indent
        item = None
        if number is not None and text.strip():
            item = self._numbering.item(number[0], ilvl, number[1])
        if style.role == "title" and not self._is_margin:
            self.title = self.title or " ".join(text.split())[:MAX_CHARACTERS] or None
            return Line("heading", text, 1)
        if level and not self._is_margin:
            return Line("heading", f"{item.label} {text}" if item else text, level)
        if item is not None:
            left = item.indent if left is None else left
            return Line("list", text, marker=marker(item.label), indent=left)
        if style.role == "code":
            return Line("code", text)
        return Line("quote", text.strip()) if style.role == "quote" else plain_line(text)

    def _places(self, paragraph: Paragraph) -> tuple[Place, ...]:
        """Return where pages begin in a paragraph, and the page of its own begin if it is new."""
        if not self._page:
            return ()
        places: list[Place] = []
        lead = len(paragraph.text) - len(paragraph.text.lstrip())
        for offset in [-1, *paragraph.pages]:
            self._page += offset >= 0
            start = max(0, offset - lead)
            if places and places[-1].start == start:
                places.pop()
            if self._page != self._shown_page:
                places.append(Place(start, "page", self._page))
        if paragraph.text.strip():
            self._shown_page = self._page
        return tuple(places)

    def _table(self, table: etree._Element, depth: int) -> Iterator[Line]:
        rows = [row for row in _within(table, "tr") if not _is_deleted(row)]
        cells = [list(_within(row, "tc")) for row in rows]
        if _arranges(cells):
            yield from self.lines(chain.from_iterable(cells), depth + 1)
            return
        page = 0
        grid: list[list[Cell]] = []
        for row, row_cells in zip(rows, cells, strict=True):
            skipped = integer(value(row.find(f"{W}trPr/{W}gridBefore"))) or 0
            grid.append([Cell()] * min(max(skipped, 0), MAX_COLUMNS))
            for cell in row_cells:
                grid[-1] += self._cell(cell, depth)
                page = page or self._shown_page
        self._shown_page = page
        places = (Place(0, "page", page),) if page else ()
        for line in table_lines(grid, sum(1 for _ in takewhile(_is_header, rows)) or None):
            yield line._replace(places=places)

    def _cell(self, cell: etree._Element, depth: int) -> list[Cell]:
        properties = cell.find(f"{W}tcPr")
        columns = None if properties is None else integer(value(properties.find(f"{W}gridSpan")))
        merge = None if properties is None else properties.find(f"{W}vMerge")
        if merge is not None and merge.get(f"{W}val", "continue") == "continue":
            return spanning("", columns or 1, "above")
        return spanning(self._flat(cell, depth), columns or 1)

    def _flat(self, cell: etree._Element, depth: int) -> str:
        """Return the text of a cell in one line; of tables inside, the cells one after another."""
        texts = []
        for line in self.lines(cell, depth + 1):
            text = line.text.strip()
            if line.kind == "table":
                text = "; ".join(
                    ", ".join(filter(None, (cell.strip() for cell in row.strip("| ").split(" | "))))
                    for row in text.split("\n")
                    if not row.startswith("|---")
                )
            texts.append(f"{line.marker}{text}" if text else "")
        return " ".join(filter(None, texts))

    def _aside_lines(self) -> Iterator[Line]:
        """Yield the notes and comments to which the text has referred since the last time."""
        while self._asides:
            kind, key = self._asides.popleft()
            if (kind, key) in self._written:
                continue
            self._written.add((kind, key))
            element = self._comments.get(key) if kind == "comment" else self._notes.get((kind, key))
            if element is None:
                continue
            inner = self.lines(element, 1)
            text = "\n".join(filter(None, (f"{i.marker}{i.text}".strip() for i in inner)))
            if not text:
                continue
            if kind == "comment":
                author = " ".join((element.get(f"{W}author") or "").split())
                name = f"Comment ({author})" if author else "Comment"
                yield Line("quote", f"{name}: {text}", is_aside=True)
            else:
                number = self._runs.number(kind, key)
                yield Line("paragraph", f"[^{number}]: {text}", is_aside=True)


def _within(parent: etree._Element, wanted: str) -> Iterator[etree._Element]:
    """Yield the rows of a table or the cells of a row, also those inside content controls."""
    stack = list(reversed(parent))
    while stack:
        node = stack.pop()
        name = local(node)
        if name == wanted:
            yield node
        elif name in ("sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag"):
            stack.extend(reversed(node))


def _arranges(rows: list[list[etree._Element]]) -> bool:
    """Whether a table only arranges text on the page."""
    if len(rows) == 1 and any(cell.find(f"{W}tbl") is not None for cell in rows[0]):
        return True
    return is_layout([[sum(1 for _ in c.iterchildren(f"{W}p")) for c in row] for row in rows])


def _is_header(row: etree._Element) -> bool:
    header = row.find(f"{W}trPr/{W}tblHeader")
    return header is not None and is_on(header.get(f"{W}val"))


def _is_deleted(row: etree._Element) -> bool:
    """Whether a row is hidden (17.4.18), or deleted while changes were tracked (17.13.5.12)."""
    properties = row.find(f"{W}trPr")
    if properties is None:
        return False
    hidden = properties.find(f"{W}hidden")
    is_hidden = hidden is not None and is_on(hidden.get(f"{W}val"))
    return is_hidden or properties.find(f"{W}del") is not None


def _is_capital(properties: etree._Element | None) -> bool:
    """Whether a paragraph is the large first letter of the next one (17.3.1.11)."""
    frame = None if properties is None else properties.find(f"{W}framePr")
    return frame is not None and frame.get(f"{W}dropCap", "none") != "none"


def _is_page_number(paragraph: Paragraph) -> bool:
    """Whether a line of a margin has a page number and hardly anything else: `Page 3 of 7`."""
    return paragraph.has_page_number and len("".join(filter(str.isalpha, paragraph.text))) <= 12
