"""Lines of text to the rows of a table: labels and cells that are wrapped become one row.

Knows shading, lines across, and how closely the lines of one cell follow each other; nothing of
headers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from indexers.parsing.pdf.bands import Bands
from indexers.parsing.pdf.cells import MARKER, Cell
from indexers.parsing.pdf.columns import overlap
from indexers.parsing.pdf.grouping import Interval, Line

_CLOSE = 1.32
"""Of the height of a line: the pitch of lines within a cell is at most this."""
_CLOSER = 0.88
"""Of the pitch of rows with values: lines that follow each other more closely are one row."""
_MOSTLY = 0.5
_RULED = 0.6


@dataclass(slots=True)
class TableRow:
    """A row of a table under way: the texts of its columns, and where its lines stand."""

    texts: list[list[str]]
    values: set[int]
    """Columns that hold a number."""
    first: Line
    last: Line

    @property
    def cells(self) -> list[str]:
        return [_line(pieces) for pieces in self.texts]

    @property
    def filled(self) -> set[int]:
        return {k for k, pieces in enumerate(self.texts) if pieces}


def _line(pieces: Sequence[str]) -> str:
    """Join the lines of a cell; a word that a hyphen cut stays one."""
    text = ""
    for piece in pieces:
        is_cut = text.endswith("-") and text[-2:-1].isalpha() and piece[:1].islower()
        text += piece if is_cut or not text else f" {piece}"
    return text


def table_rows(lines: Sequence[Line], columns: Sequence[Interval], bands: Bands) -> list[list[str]]:
    """Return the texts of the rows, column by column."""
    pitch = _pitch(lines)
    edges = columns[0][0], columns[-1][1]
    ruled = _is_ruled(lines, bands, edges)
    rows: list[TableRow] = []
    for line in lines:
        row = _row(line, columns)
        if rows and _is_one(rows[-1], row, bands, edges, pitch, ruled):
            _join(rows[-1], row)
        else:
            rows.append(row)
    return [row.cells for row in rows]


def column_of(cell: Cell, columns: Sequence[Interval]) -> tuple[int, int]:
    """Return the first and the last column in which a cell of a row stands."""
    over = [
        k
        for k, (low, high) in enumerate(columns)
        if overlap((cell.x0, cell.x1), (low, high)) > _MOSTLY * min(cell.x1 - cell.x0, high - low)
    ]
    if over and (over[0] > 0 or len(over) == 1):
        return over[0], over[-1]
    best = max(range(len(columns)), key=lambda k: overlap((cell.x0, cell.x1), columns[k]))
    return (over[0], over[0]) if over else (best, best)


def _row(line: Line, columns: Sequence[Interval]) -> TableRow:
    texts: list[list[str]] = [[] for _ in columns]
    values = set()
    cells = [part for cell in line.cells for part in _parted(cell, columns)]
    for cell in cells:
        first, last = column_of(cell, columns)
        if len(cells) == 1 and not cell.is_value and (last > first or first == 0):
            first = last = 0  # what stands over a part of the rows
        for k in range(first, last + 1):
            texts[k].append(cell.text)
            if cell.is_value:
                values.add(k)
    return TableRow(texts, values, line, line)


def _parted(cell: Cell, columns: Sequence[Interval]) -> Sequence[Cell]:
    """Return a mark and its text as two cells where they stand in two columns."""
    if not cell.parts or column_of(cell.parts[0], columns) == column_of(cell.parts[1], columns):
        return (cell,)
    return cell.parts


def _is_one(
    row: TableRow, other: TableRow, bands: Bands, edges: Interval, pitch: float, ruled: bool
) -> bool:
    """Whether two lines, one below the other, are of one row of the table."""
    if row.values & other.values:
        return False
    above, below = row.last, other.first
    above_y, below_y = (above.y0 + above.y1) / 2, (below.y0 + below.y1) / 2
    height = max(above.height, below.height)
    if bands.unites(above_y, below_y, height):
        return True
    if bands.parts(above_y, below_y, *edges):
        return False
    if ruled:
        return True
    distance = below_y - above_y
    if distance > _CLOSE * height:
        return False
    closer = bool(pitch) and distance < _CLOSER * pitch
    if 0 not in other.filled and len(other.filled) > 1:
        return closer or not other.values
    k = min(other.filled, default=0)
    if len(row.filled) > 1 and len(other.filled) > 1:
        return k == 0 and not other.values and other.cells[0][:1].islower()
    if k not in row.filled or min(row.filled) > k:
        return not other.values and k > 0
    return _continues(row.cells[k], other.cells[k], closer, k)


def _continues(before: str, text: str, closer: bool, column: int) -> bool:
    if before.endswith((":", ".")) and column == 0:
        return False
    if not closer and MARKER.match(text) and not text[:1].isdigit():
        return False
    return closer or text[:1].islower() or text[:1] in "(&" or before.endswith((",", "-", "—"))


def _join(row: TableRow, other: TableRow) -> None:
    for pieces, more in zip(row.texts, other.texts, strict=True):
        pieces.extend(more)
    row.values |= other.values
    row.last = other.last


def _pitch(lines: Sequence[Line]) -> float:
    """Return how far rows with values are from each other at least, by middles; 0: unknown."""
    return min(
        (
            (below.y0 + below.y1 - above.y0 - above.y1) / 2
            for above, below in pairwise(lines)
            if above.has_values and below.has_values
        ),
        default=0.0,
    )


def _is_ruled(lines: Sequence[Line], bands: Bands, edges: Interval) -> bool:
    """Whether there is a line across below most rows, so that all others are lines of a cell."""
    labelled = sum(1 for line in lines if line.cells[0].x0 <= edges[0] + line.height)
    if labelled < 2:
        return False
    rules = [
        rule.y0
        for rule in bands.within(lines[0].y0, lines[-1].y1)
        if rule.x1 - rule.x0 > _MOSTLY * (edges[1] - edges[0])
    ]
    return len({round(y) for y in rules}) >= max(2, _RULED * (labelled - 1))
