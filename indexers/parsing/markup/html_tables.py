"""Tables of a page: which of them hold data, and how those are written in Markdown.

Knows rows, header cells and cells that span several rows or columns
(https://html.spec.whatwg.org/multipage/tables.html); nothing of where a table stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from selectolax.lexbor import LexborNode

from indexers.parsing.content import Part
from indexers.parsing.markup.elements import collapsed, is_hidden, shown_text
from indexers.parsing.tabular import markdown_table

MAX_ROWS = 500
"""Of one part."""
MAX_HEADERS = 5
MAX_SPAN = 100
MAX_REPEATED = 200
"""Characters of a cell that is repeated where it spans several."""
MAX_CELL = 1000
"""Characters that a cell of data may have; a page is laid out by cells that are longer."""
MAX_BLANKS = 50
"""Times as many places as cells that a table may have."""
MIN_GRID = 10_000
"""Places that any table may have."""
MAX_LINE = 200
"""Characters that a cell of a single column may have."""

_LAYOUT = "table, h1, h2, h3, h4, pre"
_BLOCKS_IN_CELLS = ("p", "div", "ul", "ol", "dl", "blockquote", "center")


class _Cell(NamedTuple):
    text: str
    is_header: bool
    columns: int
    rows: int


@dataclass(slots=True)
class _Row:
    cells: list[_Cell]
    in_head: bool

    @property
    def is_header(self) -> bool:
        """Whether the cells below are named by this row."""
        return self.in_head or all(cell.is_header for cell in self.cells)


def table_parts(table: LexborNode) -> list[Part] | None:
    """Return the caption and the table, in parts of at most 500 rows; None: it is mere layout."""
    if table.attributes.get("role") in ("presentation", "none"):
        return None
    if len(table.css(_LAYOUT)) > 1:  # the table itself is found, too
        return None
    rows = [row for row in map(_row, table.css("tr")) if any(cell.text for cell in row.cells)]
    if _lays_out(table, rows):
        return None
    headers = _headers(rows)
    filled = _filled(rows, headers)
    return [*_caption(table), *_written(filled, headers)]


def _row(node: LexborNode) -> _Row:
    found = (c for c in node.iter() if c.tag in ("td", "th") and not is_hidden(c.tag, c.attributes))
    parent = node.parent
    return _Row([_cell(c) for c in found], parent is not None and parent.tag == "thead")


def _cell(node: LexborNode) -> _Cell:
    attributes = node.attributes
    return _Cell(
        collapsed(shown_text(node)),
        node.tag == "th",
        _span(attributes.get("colspan")),
        _span(attributes.get("rowspan")),
    )


def _span(value: str | None) -> int:
    digits = (value or "").strip()[:6]
    return min(MAX_SPAN, max(1, int(digits))) if digits.isascii() and digits.isdigit() else 1


def _lays_out(table: LexborNode, rows: list[_Row]) -> bool:
    """Whether cells are boxes of a page: one column of blocks, or one with a long text.

    So is a table that would be mostly blank.
    """
    cells = sum(len(row.cells) for row in rows)
    if _width(rows) * len(rows) > MAX_BLANKS * cells + MIN_GRID:
        return True
    if any(cell.is_header for row in rows for cell in row.cells):
        return False
    if any(len(cell.text) > MAX_CELL for row in rows for cell in row.cells):
        return True
    if any(sum(bool(cell.text) for cell in row.cells) > 1 for row in rows):
        return False
    if any(len(cell.text) > MAX_LINE for row in rows for cell in row.cells):
        return True
    return any(
        child.tag in _BLOCKS_IN_CELLS and not is_hidden(child.tag, child.attributes)
        for cell in table.css("td")
        for child in cell.iter()
    )


def _headers(rows: list[_Row]) -> int:
    """Count the rows that name what is below; the first one does where none says so."""
    count = 0
    while count < min(MAX_HEADERS, len(rows)) and rows[count].is_header:
        count += 1
    if count == len(rows):
        return min(count, 1)
    if count == 0 and rows[0].cells[0].is_header:
        return 0  # names stand before the values, row by row
    return max(count, 1)


def _filled(rows: list[_Row], headers: int) -> list[list[str]]:
    """Write what spans several rows or columns into each; a band across the table only once."""
    width = _width(rows)
    grid: list[list[str]] = []
    held: dict[int, tuple[int, str]] = {}  # column: rows to come, text
    for number, row in enumerate(rows):
        line: list[str] = []
        for cell in row.cells:
            _release(line, held)
            is_band = number >= headers and cell.columns > 1 and len(row.cells) == 1
            again = cell.text if len(cell.text) <= MAX_REPEATED and not is_band else ""
            first = len(line)
            line.append(cell.text)
            line.extend([again] * (min(cell.columns, width - first) - 1))
            if cell.rows > 1:
                held.update((c, (cell.rows - 1, again)) for c in range(first, len(line)))
        _release(line, held)
        grid.append(line)
    return grid


def _width(rows: list[_Row]) -> int:
    return max((sum(cell.columns for cell in row.cells) for row in rows), default=0)


def _release(line: list[str], held: dict[int, tuple[int, str]]) -> None:
    """Put cells from the rows above where the row has got to."""
    while (waiting := held.pop(len(line), None)) is not None:
        count, text = waiting
        if count > 1:
            held[len(line)] = (count - 1, text)
        line.append(text)


def _caption(table: LexborNode) -> Iterator[Part]:
    node = table.css_first("caption")
    if node is not None and not is_hidden("caption", node.attributes):
        yield Part("paragraph", collapsed(shown_text(node)))


def _written(rows: list[list[str]], headers: int) -> Iterator[Part]:
    """Write the table; a long one in several, each with the header."""
    top, body = rows[:headers], rows[headers:]
    for start in range(0, max(1, len(body)), MAX_ROWS):
        text = markdown_table([*top, *body[start : start + MAX_ROWS]], headers=headers)
        if text:
            yield Part("table", text)
