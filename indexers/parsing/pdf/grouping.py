"""Rows that may be a table: which of a column's rows are aligned with each other.

Knows gaps between cells that lie above each other; nothing of what a table's cells mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from indexers.parsing.pdf.cells import Cell, cells, whole
from indexers.parsing.pdf.rows import Row

Interval: TypeAlias = tuple[float, float]

MAX_PENDING = 8
"""Rows of one cell in a sequence that may belong to a table."""
_FAR = 3.0
"""Of the height of a line: a wider gap below a row ends a table."""
_SHARED = 0.4
"""Of the height: how wide the gaps of two rows must overlap."""
_MANY_WORDS = 8
_RUNNING = 1.8
"""Of the height of a line: the widest gap between the words of prose."""


@dataclass
class Line:
    """A row and its cells."""

    row: Row
    cells: list[Cell]

    @cached_property
    def has_values(self) -> bool:
        """Whether it is a row of values, not of headers."""
        values = [cell for cell in self.cells[1:] if cell.is_value]
        return bool(values) or (len(self.cells) == 1 and self.cells[0].is_value)

    @property
    def is_multi(self) -> bool:
        return len(self.cells) > 1

    @property
    def y0(self) -> float:
        return self.row.y0

    @property
    def y1(self) -> float:
        return self.row.y1

    @property
    def height(self) -> float:
        return max(1.0, self.row.y1 - self.row.y0)

    @cached_property
    def gaps(self) -> list[Interval]:
        pairs = zip(self.cells, self.cells[1:], strict=False)
        return [(one.x1, other.x0) for one, other in pairs if other.x0 > one.x1]


def lines(rows: Sequence[Row], *, mono: bool = False) -> list[Line]:
    """Return the rows with their cells.

    Rows of code are one cell; where all text is in letters of one width (`mono`), there is none.
    """
    return [Line(row, cells(row) if mono or not _is_code(row) else whole(row)) for row in rows]


def _is_code(row: Row) -> bool:
    return all(stretch.look.mono for stretch in row.stretches)


def group_end(found: Sequence[Line], start: int) -> int:
    """Return where the aligned rows end that begin with the row at `start`, which has cells."""
    last_multi, end = start, start + 1
    corridors, has_values = found[start].gaps, found[start].has_values
    for i in range(start + 1, len(found)):
        line, above = found[i], found[i - 1]
        if line.y0 - above.y1 > _FAR * max(line.height, above.height) or i - end > MAX_PENDING:
            break
        if not line.is_multi:
            if is_prose(line, corridors):
                break
            continue
        if not aligned(found[last_multi], line) or is_prose(line, corridors):
            break
        last_multi, end = i, i + 1
        if has_values and line.has_values:
            corridors = crossed(corridors, line.gaps)
        elif line.has_values or not has_values:
            corridors, has_values = line.gaps, line.has_values
    return end


def aligned(one: Line, other: Line) -> bool:
    """Whether a gap of one row lies above a gap of the other."""
    return bool(crossed(one.gaps, other.gaps, _SHARED * min(one.height, other.height)))


def crossed(
    some: Sequence[Interval], others: Sequence[Interval], least: float = 0.0
) -> list[Interval]:
    """Return what two sequences of intervals have in common, where it is wide enough."""
    found, i, j = [], 0, 0
    while i < len(some) and j < len(others):
        low, high = max(some[i][0], others[j][0]), min(some[i][1], others[j][1])
        if high - low > least:
            found.append((low, high))
        if some[i][1] < others[j][1]:
            i += 1
        else:
            j += 1
    return found


def is_prose(line: Line, corridors: Sequence[Interval]) -> bool:
    """Whether a row is prose: many words without a gap, or across the gaps of the rows above."""
    words = sum(cell.words for cell in line.cells)
    if words <= _MANY_WORDS or line.has_values:
        return False
    if line.is_multi and all(high - low < _RUNNING * line.height for low, high in line.gaps):
        return True
    return any(
        cell.words > _MANY_WORDS
        and any(cell.x0 < low and cell.x1 > high for low, high in corridors)
        for cell in line.cells
    )
