"""Text in OpenDocument files (ODF 1.3 part 3, 5, 6, 9): paragraphs, lists, tables, notes.

Knows how its elements become lines; nothing of the package and of what styles are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from lxml import etree

from indexers.parsing.office.counting import marker
from indexers.parsing.office.grouping import Line, plain_line
from indexers.parsing.office.odfpackage import SVG, TABLE, TEXT
from indexers.parsing.office.odfruns import DROPPED, Paragraph, Runs, comment_line
from indexers.parsing.office.odfstyles import LEVELS, Styles, label
from indexers.parsing.office.tables import MAX_COLUMNS, Cell, is_layout, table_lines
from indexers.parsing.office.titles import MAX_CHARACTERS
from indexers.parsing.office.wordstyles import integer
from indexers.parsing.xmlsafe import local

MAX_DEPTH = 20
"""Of tables and frames inside each other; what is deeper is left out."""
MAX_ROW_COPIES = 100
_LIST_INDENT = 1000
_ALTERNATIVE = f"{SVG}title"
_CELL = f"{TABLE}table-cell"
_COVERED = f"{TABLE}covered-table-cell"


class OdfText:
    """Turns elements into lines; counts lists, headings and notes on the way."""

    def __init__(
        self,
        styles: Styles,
        objects: Callable[[etree._Element], Iterable[Line]] = lambda _: (),
        *,
        is_margin: bool = False,
    ) -> None:
        """`objects` reads charts and formulas; `is_margin`: page numbers are no text."""
        self._styles, self._objects, self._is_margin = styles, objects, is_margin
        self._runs = Runs(styles, drops_page_numbers=is_margin)
        self._outline = [0] * (LEVELS + 1)
        self._counts: dict[str, list[int]] = {}
        self._asides: list[Line] = []
        self.title: str | None = None
        """What the document says that its title is, by a style."""

    def lines(self, elements: Iterable[etree._Element], depth: int = 0) -> Iterator[Line]:
        """Yield the lines of elements that are blocks, with the notes and comments after each."""
        if depth > MAX_DEPTH:
            return
        for element in elements:
            match local(element):
                case "p" | "h" as name:
                    yield from self._paragraph(element, depth, is_heading=name == "h")
                case "list":
                    yield from self._list(element, "", 1, depth)
                case "table":
                    yield from self._table(element, depth)
                case "object":
                    yield from self._objects(element)
                case name if name and name not in DROPPED and element.tag != _ALTERNATIVE:
                    yield from self.lines(element, depth + 1)
            if not depth:
                asides, self._asides = self._asides, []
                yield from asides

    def _paragraph(
        self, element: etree._Element, depth: int, *, is_heading: bool = False
    ) -> Iterator[Line]:
        paragraph = self._runs.read(element)
        text = paragraph.text.strip()
        style = element.get(f"{TEXT}style-name") or ""
        if self._styles.is_hidden(style) or (self._is_margin and _is_page_number(paragraph)):
            text = ""
        role = self._styles.role(style)
        if is_heading and not self._is_margin:
            yield self._heading(element, text)
        elif role == "title" and not self._is_margin:
            self.title = self.title or " ".join(text.split())[:MAX_CHARACTERS] or None
            yield Line("heading", text, 1)
        elif role in ("quote", "code"):
            yield Line(role, text if role == "quote" else paragraph.text)
        else:
            yield plain_line(text)
        yield from self._after(paragraph, depth)

    def _heading(self, element: etree._Element, text: str) -> Line:
        level = min(max(integer(element.get(f"{TEXT}outline-level")) or 1, 1), LEVELS)
        levels = self._styles.outline
        if text and levels and element.get(f"{TEXT}is-list-header") != "true":
            self._outline[level] += 1
            self._outline[level + 1 :] = [0] * (LEVELS - level)
            counts = [max(count, 1) for count in self._outline]
            text = f"{label(levels, level, counts)} {text}".strip()
        return Line("heading", text, level)

    def _after(self, paragraph: Paragraph, depth: int) -> Iterator[Line]:
        """Yield what stands in frames; keep notes and comments for later."""
        for number, note in paragraph.notes:
            text = self._joined(note.iterfind(f"{TEXT}note-body"), depth)
            self._asides.append(Line("paragraph", f"[^{number}]: {text}", is_aside=True))
        self._asides.extend(map(comment_line, paragraph.comments))
        for frame in paragraph.frames:
            yield from self.lines([frame], depth + 1)

    def _joined(self, elements: Iterable[etree._Element], depth: int, gap: str = "\n") -> str:
        lines = (f"{i.marker}{i.text.strip()}" for i in self.lines(elements, depth + 1) if i.text)
        return gap.join(lines)

    def _list(self, element: etree._Element, style: str, level: int, depth: int) -> Iterator[Line]:
        """Yield the items of a list; those of lists inside are indented (5.3)."""
        if level > LEVELS or depth > MAX_DEPTH:
            return
        style = element.get(f"{TEXT}style-name") or style
        levels = self._styles.levels(style)
        counts = self._counts.setdefault(style, [0] * (LEVELS + 1))
        goes_on = element.get(f"{TEXT}continue-numbering") == "true"
        if not goes_on and element.get(f"{TEXT}continue-list") is None:
            counts[level] = levels[level].start - 1 if level in levels else 0
        for item in element:
            if local(item) not in ("list-item", "list-header"):
                continue
            start = integer(item.get(f"{TEXT}start-value"))
            counts[level] = counts[level] + 1 if start is None else start
            mark = "" if local(item) == "list-header" else marker(label(levels, level, counts))
            for child in item:
                if local(child) == "list":
                    yield from self._list(child, style, level + 1, depth + 1)
                    continue
                for line in self.lines([child], depth + 1):
                    if line.kind not in ("paragraph", "list") or line.is_aside:
                        yield line
                    elif line.text:
                        yield Line("list", line.text, marker=mark or "  ",
                                   indent=level * _LIST_INDENT)  # fmt: skip
                        mark = ""

    def _table(self, table: etree._Element, depth: int) -> Iterator[Line]:
        headers = sum(1 for _ in table.iterfind(f"{TABLE}table-header-rows/{TABLE}table-row"))
        rows = list(_rows(table))
        cells = [[cell for cell in row if cell.tag == _CELL] for row in rows]
        if is_layout([[_paragraphs(cell) for cell in row] for row in cells]):
            yield from self.lines(chain.from_iterable(cells), depth + 1)
            return
        grid: list[list[Cell]] = []
        for row in rows:
            grid.append(self._row(row, depth))
            below = [Cell("", "above")] * len(grid[-1])
            grid.extend([below] * (_copies(row, "rows", MAX_ROW_COPIES) - 1))
        yield from table_lines(grid, headers or None)

    def _row(self, row: etree._Element, depth: int) -> list[Cell]:
        cells: list[Cell] = []
        spanned = 0
        for cell in row:
            copies = _copies(cell, "columns", MAX_COLUMNS - len(cells))
            if cell.tag == _COVERED:
                for _ in range(copies):
                    cells.append(Cell("", "left" if spanned > 0 else "above"))
                    spanned -= 1
            elif cell.tag == _CELL and copies:
                text = self._joined(cell, depth, " ")
                cells.append(Cell(text))
                cells.extend([Cell("", "left" if text else "")] * (copies - 1))
                spanned = (integer(cell.get(f"{TABLE}number-columns-spanned")) or 1) - 1
        return cells


def _rows(table: etree._Element) -> Iterator[etree._Element]:
    """Yield the rows of a table, also those in groups (9.1.4)."""
    stack = list(reversed(table))
    while stack:
        node = stack.pop()
        if node.tag == f"{TABLE}table-row":
            yield node
        elif local(node) in ("table-header-rows", "table-rows", "table-row-group"):
            stack.extend(reversed(node))


def _paragraphs(cell: etree._Element) -> int:
    return sum(1 for _ in cell.iterchildren(f"{TEXT}p"))


def _copies(element: etree._Element, what: str, limit: int) -> int:
    count = integer(element.get(f"{TABLE}number-{what}-repeated")) or 1
    return min(max(count, 1), max(limit, 0))


def _is_page_number(paragraph: Paragraph) -> bool:
    """Whether a line of a margin has a page number and hardly anything else: `Page 3 of 7`."""
    return paragraph.has_page_number and len("".join(filter(str.isalpha, paragraph.text))) <= 12
