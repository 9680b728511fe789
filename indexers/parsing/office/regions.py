"""Tables in a sheet: where each begins and ends, and which of its rows are the header.

Cells that touch belong together; empty rows and columns part tables (the recursive XY cut of Nagy
and Seth, 1984). Knows nothing of files. Works through long sheets piece by piece.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

from indexers.parsing.office.cells import Row

PIECE_CELLS = 100_000
"""Cells that are looked at together."""
MAX_CUTS = 12
"""How often what was cut is cut again."""
MAX_HEADERS = 4
MAX_GAP = 2
"""A table may go on below an empty row."""
LONG_TEXT = 60
"""Characters: a cell of this length that is alone in its row is a remark."""

_NUMBER = re.compile(r"[^\w]{0,3}\d[\d.,: /%€$£Ee+-]*|true|false|#\w+[!?]?", re.IGNORECASE)
_DATE = re.compile(r"(?:19|20)\d\d(?:-\d\d)?(?:-\d\d)?(?: \d\d:\d\d(?::\d\d)?)?")


class Region(NamedTuple):
    """A table, or texts where it is one cell wide."""

    rows: list[Row]
    """Without gaps."""
    left: int
    right: int
    headers: int = 0
    """How many of the first rows are the header."""
    head: tuple[Row, ...] = ()
    """The header of the table that this one continues."""
    is_table: bool = False


def regions(rows: Iterable[Row]) -> Iterator[Region]:
    """Yield the regions of a sheet from top to bottom, those side by side from left to right."""
    heads: dict[tuple[int, int], Region] = {}
    for piece in _pieces(rows):
        first = piece[0].number
        heads = {k: r for k, r in heads.items() if first - r.rows[-1].number <= 1 + MAX_GAP}
        for region in _resolved(piece, MAX_CUTS):
            key = (region.left, region.right)
            if region.is_table:
                above = heads.get(key)
                if above is not None and _continues(region, above):
                    region = region._replace(headers=0, head=above.head or _head(above))
                elif len(region.rows) == 1:
                    region = region._replace(is_table=False)
                heads[key] = region
            yield region


def _pieces(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield runs of rows without a gap, long ones in pieces."""
    piece: list[Row] = []
    size = 0
    for row in rows:
        if piece and (row.number > piece[-1].number + 1 or size > PIECE_CELLS):
            yield piece
            piece, size = [], 0
        piece.append(row)
        size += len(row.cells)
    if piece:
        yield piece


def _resolved(rows: list[Row], cuts: int) -> Iterator[Region]:
    """Take titles and remarks from a run of rows, and cut what is between them."""
    if len(rows) == 1:
        yield _shaped(rows)
        return
    first = next((n for n, row in enumerate(rows) if not _is_title(row, rows)), len(rows))
    last = len(rows)
    while last > first and _is_remark(rows[last - 1]):
        last -= 1
    if first:
        yield _texts(rows[:first])
    body = rows[first:last]
    parts = list(_cut(body)) if cuts and body else [body]
    if len(parts) > 1:
        for part in parts:
            for run in _pieces(part):
                yield from _resolved(run, cuts - 1)
    elif body:
        yield _shaped(body)
    if last < len(rows):
        yield _texts(rows[last:])


def _cut(rows: list[Row]) -> Iterator[list[Row]]:
    """Cut at empty columns; else between rows that have not one column below the other."""
    columns = sorted({column for row in rows for column in row.cells})
    group_of: dict[int, int] = {}
    group = 0
    for before, column in zip([columns[0], *columns], columns, strict=False):
        group += column > before + 1
        group_of[column] = group
    if not group:
        yield from _cut_diagonally(rows)
        return
    groups: list[list[Row]] = [[] for _ in range(group + 1)]
    for row in rows:
        split: dict[int, dict[int, str]] = {}
        for column, text in row.cells.items():
            split.setdefault(group_of[column], {})[column] = text
        for number, cells in split.items():
            repeated = row.repeated and row.repeated.intersection(cells)
            groups[number].append(Row(row.number, cells, repeated))
    yield from groups


def _cut_diagonally(rows: list[Row]) -> Iterator[list[Row]]:
    spans = [(min(row.cells), max(row.cells)) for row in rows]
    above = list(accumulate(spans, _union))
    below = list(accumulate(reversed(spans), _union))[::-1]
    start = 0
    for number in range(1, len(rows)):
        (left, right), (other_left, other_right) = above[number - 1], below[number]
        if right < other_left or other_right < left:
            yield rows[start:number]
            start = number
    yield rows[start:]


def _union(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return min(one[0], other[0]), max(one[1], other[1])


def _own(row: Row) -> list[str]:
    """Return the texts of a row that it does not repeat from other cells."""
    return [text for column, text in row.cells.items() if column not in row.repeated]


def _is_title(row: Row, rows: list[Row]) -> bool:
    """Whether a row above a table is but one text: alone, or merged from the left."""
    if len(_own(row)) > 1:
        return False
    if len(row.cells) == 1:
        return True
    return min(row.cells) == min(min(other.cells) for other in rows[:MAX_HEADERS])


def _is_remark(row: Row) -> bool:
    """Whether a row below a table is but one text, too long for a cell."""
    own = _own(row)
    return len(own) == 1 and len(own[0]) > LONG_TEXT


def _texts(rows: list[Row]) -> Region:
    """Return rows that are no table."""
    spans = [(min(row.cells), max(row.cells)) for row in rows]
    left, right = list(accumulate(spans, _union))[-1]
    return Region(rows, left, right)


def _shaped(rows: list[Row]) -> Region:
    """Return a region that is not to be cut; one of several columns is a table."""
    region = _texts(rows)
    if region.left == region.right:
        return region
    return region._replace(is_table=True, headers=_headers(rows))


def _headers(rows: list[Row]) -> int:
    """Count the rows of the header: more than one where its cells are merged, else 0 or 1."""
    if len(rows) > 1 and _looks_alike(rows[0], rows[1]):
        return 0
    count = 1
    while count < min(MAX_HEADERS, len(rows) - 1) and (
        _spans_columns(rows[count - 1]) or _is_covered(rows[count], rows[count - 1])
    ):
        count += 1
    return count


def _looks_alike(one: Row, other: Row) -> bool:
    """Whether a row has numbers and dates in most of the places where the next one has them."""
    kinds = {column: _kind(text) for column, text in other.cells.items()}
    values = sum(kind != "" for kind in kinds.values())
    same = sum(_kind(text) == kinds.get(column, "") != "" for column, text in one.cells.items())
    return same * 2 > values


def _kind(text: str) -> str:
    """Tell numbers and dates from words; a year may be either."""
    if _DATE.fullmatch(text):
        return "date"
    return "number" if _NUMBER.fullmatch(text) else ""


def _spans_columns(row: Row) -> bool:
    return any(row.cells.get(column - 1) == row.cells[column] for column in row.repeated)


def _is_covered(row: Row, above: Row) -> bool:
    """Whether a cell of the row above reaches down into this one."""
    return any(above.cells.get(column) == row.cells[column] for column in row.repeated)


def _continues(region: Region, above: Region) -> bool:
    """Whether a table is the rest of one above it: at once, or its first row is no header."""
    first = region.rows[0]
    if first.number == above.rows[-1].number + 1:
        return True
    return any(_kind(text) == "number" for text in _own(first))


def _head(region: Region) -> tuple[Row, ...]:
    return tuple(region.rows[: region.headers])
