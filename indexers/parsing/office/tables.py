"""Tables of office documents, with cells that span rows and columns.

Knows how to repeat what spans several cells, where the header ends, and how to cut a long table;
nothing of the formats that tables come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

from indexers.parsing.office.grouping import Line
from indexers.parsing.tabular import markdown_table

MAX_ROWS = 500
"""Of one part; the header stands in each."""
MAX_CHARACTERS = 100_000
"""Of the cells of one part, about."""
MAX_HEAD = 10_000
"""Characters: a longer header is not repeated."""
MAX_COLUMNS = 1024
MAX_CELL_PARAGRAPHS = 10
"""A cell with more is a column of a page rather than a cell of a table."""
MAX_SPAN = 64
MAX_REPEATED = 200
"""Characters: what is longer stands in the first only of the cells that it spans."""
MAX_REPEATED_ACROSS = 20
"""Characters, below the header: only values are repeated in the columns that they span."""
MAX_REPEATED_TOTAL = 2_000_000
"""Characters of a table that stand in cells which others cover."""


class Cell(NamedTuple):
    """A cell of the grid; one that spans several is followed by those that it covers."""

    text: str = ""
    covered: Literal["", "left", "above"] = ""
    """Where the cell is that covers this one."""


Rows: TypeAlias = Sequence[Sequence[Cell]]


def spanning(text: str, columns: int, covered: Literal["", "left", "above"] = "") -> list[Cell]:
    """Return a cell over several columns, and the cells that it covers."""
    columns = min(max(columns, 1), MAX_SPAN)
    if covered:
        return [Cell("", covered)] * columns
    return [Cell(text), *[Cell("", "left")] * (columns - 1)]


def is_layout(paragraphs: Sequence[Sequence[int]]) -> bool:
    """Whether a table only arranges text on the page: it is one cell, or has columns of text.

    `paragraphs`: how many each cell has, row by row.
    """
    if sum(map(len, paragraphs)) <= 1:
        return True
    long = sum(max(row, default=0) > MAX_CELL_PARAGRAPHS for row in paragraphs)
    return 2 * long > len(paragraphs)


def table_lines(rows: Rows, headers: int | None = None) -> Iterator[Line]:
    """Yield a table, in several parts where it is long.

    `headers`: how many rows are the header, where the document says so. A first row that is one
    cell over the whole width is no header but a title, and comes first as a paragraph.
    """
    rows = [row[:MAX_COLUMNS] for row in rows if row]
    while rows and not any(cell.text.strip() for cell in rows[0]):
        rows, headers = rows[1:], headers - 1 if headers else headers
    while len(rows) > 1 and len(rows[0]) > 1 and _is_one_cell(rows[0]):
        yield Line("paragraph", rows[0][0].text)
        rows, headers = rows[1:], headers - 1 if headers else headers
    if not rows:
        return
    if not headers and _is_form(rows):
        rows = [[cell for cell in row if not cell.covered] or row[:1] for row in rows]
    headers = min(headers or _guessed_headers(rows), len(rows))
    texts = _filled(rows, headers)
    is_short = sum(len(text) for row in texts[:headers] for text in row) <= MAX_HEAD
    for start, end in _cuts(texts, headers):
        if start > headers and not is_short:
            headers = 0
        yield Line("table", markdown_table([*texts[:headers], *texts[start:end]], headers=headers))


def _is_form(rows: Rows) -> bool:
    """Whether hardly two rows have the same columns: then a cell says nothing of those below."""
    plain = [row for row in rows if not _is_one_cell(row)]
    spanned = sum(any(cell.covered == "left" for cell in row) for row in plain)
    return len(rows) > 2 and 2 * spanned > len(plain)


def _guessed_headers(rows: Rows) -> int:
    """Two rows are the header where a cell of the first spans several of the second, else one."""
    if len(rows) < 3:
        return 1
    split = (
        upper.covered == "left" and not lower.covered and lower.text
        for upper, lower in zip(rows[0], rows[1], strict=False)
    )
    return 2 if any(split) else 1


def _is_one_cell(row: Sequence[Cell]) -> bool:
    return bool(row[0].text) and all(cell.covered == "left" for cell in row[1:])


def _filled(rows: Rows, headers: int) -> list[list[str]]:
    """Repeat what spans several cells, but not over the whole width; drop empty rows."""
    texts: list[list[str]] = []
    budget = MAX_REPEATED_TOTAL
    for number, row in enumerate(rows):
        above = texts[-1] if texts else []
        filled: list[str] = []
        is_section = number >= headers and len(row) > 1 and _is_one_cell(row)
        for column, cell in enumerate(row):
            text = cell.text
            if cell.covered:
                source, place = (filled, column - 1) if cell.covered == "left" else (above, column)
                text = source[place] if 0 <= place < len(source) and not is_section else ""
                is_value = number >= headers and cell.covered == "left"
                limit = MAX_REPEATED_ACROSS if is_value else MAX_REPEATED
                text = text if len(text) <= min(limit, budget) else ""
                budget -= len(text)
            filled.append(text)
        texts.append(filled)
    body = zip(rows[headers:], texts[headers:], strict=True)
    return [*texts[:headers], *(filled for row, filled in body if any(cell.text for cell in row))]


def _cuts(rows: Sequence[Sequence[str]], headers: int) -> Iterator[tuple[int, int]]:
    """Yield where the parts of a long table begin and end; at least one."""
    start, size = headers, 0
    for number in range(headers, len(rows)):
        size += sum(map(len, rows[number]))
        if number + 1 - start >= MAX_ROWS or size > MAX_CHARACTERS:
            yield start, number + 1
            start, size = number + 1, 0
    if start < len(rows) or len(rows) == headers:
        yield start, len(rows)
