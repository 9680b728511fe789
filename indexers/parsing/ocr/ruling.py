"""The tables that ruled lines make.

Knows how lines meet; nothing of text. Where no line parts two cells of the grid, they are one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from indexers.parsing.ocr.lines import Line, Lines
from indexers.parsing.ocr.picture import Mask

MAX_CELLS = 4000
"""Of one table; more of them are a drawing."""

_NEAR_IN = 0.05
_NARROWEST_IN = 1.0
_LOWEST_IN = 0.08
"""Of a row; the hatching of drawings is narrower."""
_OVERHANG_IN = 0.3
_PARTED = 0.6
"""Share of the border between two cells that lines must cover."""
_LARGEST_CELL = 0.6
"""Share of the table; with a larger one, the lines frame a page."""


class Cell(NamedTuple):
    """The room of a cell, and which rows and columns of the table it spans."""

    left: int
    top: int
    right: int
    bottom: int
    row: int
    column: int
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class Grid:
    """A ruled table; its cells go row by row."""

    left: int
    top: int
    right: int
    bottom: int
    rows: int
    columns: int
    cells: tuple[Cell, ...]
    lines: Lines

    def holds(self, other: Grid) -> bool:
        """Whether the other table stands inside this one."""
        return (
            other is not self
            and self.left <= other.left
            and self.top <= other.top
            and other.right <= self.right
            and other.bottom <= self.bottom
        )


def grids(lines: Lines, dpi: int) -> list[Grid]:
    """Find the tables among the lines, from top to bottom; none inside another."""
    found = [grid for met in _meeting(lines, _near(dpi)) if (grid := _grid(met, dpi))]
    outer = [grid for grid in found if not any(other.holds(grid) for other in found)]
    return sorted(outer, key=lambda grid: (grid.top, grid.left))


def _near(dpi: int) -> int:
    return max(2, round(_NEAR_IN * dpi))


def _meeting(lines: Lines, near: int) -> list[Lines]:
    """Group the lines that touch each other."""
    if not lines.flat or not lines.steep:
        return []
    flat, steep = np.array(lines.flat)[:, None, :], np.array(lines.steep)[None, :, :]
    x, y = (steep[..., 2] + steep[..., 3]) // 2, (flat[..., 2] + flat[..., 3]) // 2
    touch = (flat[..., 0] - near <= x) & (x <= flat[..., 1] + near)
    touch &= (steep[..., 0] - near <= y) & (y <= steep[..., 1] + near)
    groups = []
    left = set(range(len(lines.flat)))
    while left:
        flats, steeps = _group(touch, left.pop())
        left -= set(flats)
        groups.append(Lines([lines.flat[i] for i in flats], [lines.steep[i] for i in steeps]))
    return groups


def _group(touch: Mask, first: int) -> tuple[list[int], list[int]]:
    """Return the flat and the steep lines that hang together with a flat one."""
    flats = np.zeros(touch.shape[0], dtype=np.bool_)
    flats[first] = True
    while True:
        steeps = touch[flats].any(axis=0)
        grown = flats | touch[:, steeps].any(axis=1)
        if (grown == flats).all():
            return np.nonzero(flats)[0].tolist(), np.nonzero(steeps)[0].tolist()
        flats = grown


def _grid(lines: Lines, dpi: int) -> Grid | None:
    """Make a table of lines that hang together; None when they are none."""
    near = _near(dpi)
    ys = _edges(lines.flat, lines.steep, near, dpi)
    xs = _edges(lines.steep, lines.flat, near, dpi)
    if not _roomy(xs, ys, dpi):
        return None
    cells = _cells(xs, ys, _parted(ys, xs, lines.flat, near), _parted(xs, ys, lines.steep, near))
    if len({cell.row for cell in cells}) < 2 or len({cell.column for cell in cells}) < 2:
        return None
    largest = max((c.right - c.left) * (c.bottom - c.top) for c in cells)
    if largest > _LARGEST_CELL * (xs[-1] - xs[0]) * (ys[-1] - ys[0]):
        return None
    return Grid(xs[0], ys[0], xs[-1], ys[-1], len(ys) - 1, len(xs) - 1, tuple(cells), lines)


def _roomy(xs: list[int], ys: list[int], dpi: int) -> bool:
    """Whether text finds room between the edges."""
    widths, heights = np.diff(xs), np.diff(ys)
    if not 1 <= len(widths) * len(heights) <= MAX_CELLS or xs[-1] - xs[0] < _NARROWEST_IN * dpi:
        return False
    low = _LOWEST_IN * dpi
    return bool(np.mean(widths < low) < 0.2 and np.mean(heights < low) < 0.2)


def _edges(lines: list[Line], across: list[Line], near: int, dpi: int) -> list[int]:
    """Return where the lines stand, and where those across end when they go well beyond."""
    edges: list[int] = []
    for at in sorted(line.at for line in lines):
        if not edges or at - edges[-1] > near:
            edges.append(at)
    overhang = _OVERHANG_IN * dpi
    if edges and across:
        start, end = min(line.start for line in across), max(line.end for line in across)
        edges = (
            [start] * (start < edges[0] - overhang) + edges + [end] * (end > edges[-1] + overhang)
        )
    return edges


def _parted(edges: list[int], across: list[int], lines: list[Line], near: int) -> Mask:
    """Tell for each edge and each stretch between the edges across whether a line covers it."""
    starts, ends = np.array(across[:-1]), np.array(across[1:])
    covered = np.zeros((len(edges), len(starts)))
    for line in lines:
        at = int(np.argmin(np.abs(np.array(edges) - line.at)))
        covered[at] += np.clip(
            np.minimum(ends, line.end + near) - np.maximum(starts, line.start - near), 0, None
        )
    return np.asarray(covered >= _PARTED * (ends - starts))


def _cells(xs: list[int], ys: list[int], flat: Mask, steep: Mask) -> list[Cell]:
    """Return the cells row by row; those that no line parts are one when they make a rectangle."""
    rows, columns = len(ys) - 1, len(xs) - 1
    seen = np.zeros((rows, columns), dtype=np.bool_)
    cells = []
    for row in range(rows):
        for column in range(columns):
            if seen[row, column]:
                continue
            group = _unparted(row, column, flat, steep)
            bottom, right = max(r for r, _ in group) + 1, max(c for _, c in group) + 1
            if len(group) != (bottom - row) * (right - column):
                group, bottom, right = {(row, column)}, row + 1, column + 1
            for r, c in group:
                seen[r, c] = True
            room = (xs[column], ys[row], xs[right], ys[bottom])
            cells.append(Cell(*room, row, column, bottom - row, right - column))
    return cells


def _unparted(row: int, column: int, flat: Mask, steep: Mask) -> set[tuple[int, int]]:
    """Return the cells of the grid that can be reached without crossing a line."""
    rows, columns = flat.shape[0] - 1, steep.shape[0] - 1
    group, stack = {(row, column)}, [(row, column)]
    while stack:
        r, c = stack.pop()
        for near, is_parted in (
            ((r - 1, c), r == 0 or flat[r, c]),
            ((r + 1, c), r + 1 == rows or flat[r + 1, c]),
            ((r, c - 1), c == 0 or steep[c, r]),
            ((r, c + 1), c + 1 == columns or steep[c + 1, r]),
        ):
            if not is_parted and near not in group:
                group.add(near)
                stack.append(near)
    return group
