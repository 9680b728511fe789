"""Tables without a grid, found by the alignment of their cells.

Knows what makes aligned rows a table; nothing of where on the page the rows are, nor of tables
whose cells are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from indexers.parsing.pdf.bands import Bands
from indexers.parsing.pdf.columns import columns as columns_of
from indexers.parsing.pdf.columns import gaps, overlap
from indexers.parsing.pdf.grouping import Interval, Line, group_end, is_prose
from indexers.parsing.pdf.heads import boxes, header
from indexers.parsing.pdf.table import Table
from indexers.parsing.pdf.tableheads import body_start, divided, head_start, value_columns
from indexers.parsing.pdf.tablerows import table_rows
from indexers.parsing.pdf.texttables import is_text_table

MAX_LINES = 2_000
_MAX_COLUMNS = 60
_LEAST_TEXT_ROWS = 3
_MAX_HEAD = 8
_MAX_TRIMMED = 3
_EDGE = 3.0


@dataclass(slots=True)
class Found:
    """A table, and the lines of the page that it takes."""

    first: int
    end: int
    table: Table


def find_tables(lines: Sequence[Line], bands: Bands) -> list[Found]:
    """Return the tables among the rows of a column of text, from top to bottom."""
    found: list[Found] = []
    i = taken = 0
    while i < len(lines):
        if not lines[i].is_multi:
            i += 1
            continue
        end = min(group_end(lines, i), i + MAX_LINES)
        for start, stop in divided(lines, i, end):
            table = table_of(lines, start, stop, taken, bands) if stop > start else None
            if table is not None:
                found.append(table)
                taken = table.end
        i = max(end, taken)
    return found


def table_of(lines: Sequence[Line], first: int, end: int, taken: int, bands: Bands) -> Found | None:
    """Make a table of aligned rows, with the header above them, or none if it is not one.

    `taken`: what stands before this line does not belong to it.
    """
    first, end = _trimmed(lines, first, end)
    group = lines[first:end]
    multi = [line for line in group if line.is_multi]
    valued = [line for line in multi if line.has_values]
    has_values = len(valued) > 1 or (len(valued) == 1 and len(multi) <= _LEAST_TEXT_ROWS)
    height = median(line.height for line in group)
    basis = valued if has_values else multi
    columns = columns_of([[(c.core, c.x1) for c in line.cells] for line in basis], height)
    if not 2 <= len(columns) <= _MAX_COLUMNS:
        return None
    top = lines[max(taken, first - _MAX_HEAD)].y0
    wide = boxes(_with_signs(columns, group), bands.within(top, lines[end - 1].y1))
    if has_values:
        body = body_start(lines, first, end, taken, wide, bands)
        head = head_start(lines, body, taken, wide, value_columns(lines[body:end], wide), bands)
    else:
        if not is_text_table(group, wide, bands):
            return None
        body = _text_body(lines, first, end, bands)
        head = head_start(lines, body, taken, wide, set(range(1, len(wide))), bands)
        head = min(head, first)
    end = _end(lines, end, columns, bands)
    titles, unit = header(lines[head:body], wide, bands)
    if unit:
        titles[0] = f"{titles[0]} {unit}".strip()
    rows = table_rows(lines[body:end], columns, bands)
    if len(rows) < 2 and not any(titles):
        return None
    return Found(head, end, Table(columns, titles, rows))


def _trimmed(lines: Sequence[Line], first: int, end: int) -> tuple[int, int]:
    """Leave out rows at the beginning and the end that close a gap which all others leave."""

    def count(start: int, stop: int) -> int:
        group = [line for line in lines[start:stop] if line.is_multi]
        cells = [[(c.core, c.x1) for c in line.cells] for line in group]
        return len(columns_of(cells, median(line.height for line in group))) if group else 0

    for _ in range(_MAX_TRIMMED):
        if not any(lines[i].is_multi and not lines[i].has_values for i in (first, end - 1)):
            break
        if end - first <= _LEAST_TEXT_ROWS:
            break
        whole = count(first, end)
        if not lines[end - 1].has_values and count(first, end - 1) > whole:
            end -= 1
        elif not lines[first].has_values and count(first + 1, end) > whole:
            first += 1
        else:
            break
    while end > first and not lines[end - 1].is_multi:
        end -= 1
    while first < end and not lines[first].is_multi:
        first += 1
    return first, end


def _with_signs(columns: Sequence[Interval], group: Sequence[Line]) -> list[Interval]:
    """Return the columns with the signs that stand before their numbers."""
    found = list(columns)
    for cell in (cell for line in group for cell in line.cells if cell.x0 < cell.core):
        for k, (low, high) in enumerate(found):
            if low <= cell.core <= high and k:
                found[k] = (max(min(low, cell.x0), found[k - 1][1]), high)
                break
    return found


def _text_body(lines: Sequence[Line], first: int, end: int, bands: Bands) -> int:
    """Return the first row below the header of a table of words."""
    body = first
    while body < end and all(cell.bold for cell in lines[body].cells):
        body += 1
    if first < body < end:
        return body
    if first + 2 < end and bands.within(lines[first].y1 - 1, lines[first + 1].y0 + 1):
        return first + 1
    return first


def _end(lines: Sequence[Line], end: int, columns: Sequence[Interval], bands: Bands) -> int:
    """Take in the lines below the last row that go on in one of its cells."""
    while end < len(lines):
        line, above = lines[end], lines[end - 1]
        if line.is_multi or is_prose(line, list(gaps(columns))):
            break
        cell = line.cells[0]
        over = [column for column in columns if overlap(column, (cell.x0, cell.x1)) > 0]
        if len(over) != 1 or cell.x0 < over[0][0] - _EDGE:
            break
        gap = line.y0 - above.y1
        is_close = gap < 0 or (gap < line.height / 3 and cell.text[:1].islower())
        middles = (above.y0 + above.y1) / 2, (line.y0 + line.y1) / 2
        if not is_close and not bands.unites(*middles, line.height):
            break
        end += 1
    return end
