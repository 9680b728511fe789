"""Tables whose cells are drawn with lines.

Knows lines across and down, and cells that are merged where a line is missing; nothing of tables
that are only aligned.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from indexers.parsing.pdf.marks import Box, Marks

MAX_LINES = 3_000
MAX_GRIDS = 200
_TOUCH = 3.0
_COVERED = 0.6
_OPEN = 6.0
_MAX_CELLS = 10_000


@dataclass(slots=True)
class Grid:
    """Lines that make cells: the edges of its columns and rows, and which cells are one."""

    xs: list[float]
    ys: list[float]
    merged: dict[tuple[int, int], tuple[int, int]]
    """For each cell (row, column) the first of those that it is one with."""

    @property
    def box(self) -> Box:
        return Box(self.xs[0], self.ys[0], self.xs[-1], self.ys[-1])


def find_grids(marks: Marks) -> list[Grid]:
    """Return the grids of at least two columns and two rows, from top to bottom."""
    if not marks.down or len(marks.down) + len(marks.across) > MAX_LINES:
        return []
    grids = []
    for across, down in _clusters(marks.across, marks.down):
        grid = _grid(across, down)
        if grid is not None:
            grids.append(grid)
        if len(grids) == MAX_GRIDS:
            break
    return grids


def _clusters(across: Sequence[Box], down: Sequence[Box]) -> Iterable[tuple[list[Box], list[Box]]]:
    """Part the lines into those that lie together: first by height, then from left to right."""
    lines = [(box, True) for box in across] + [(box, False) for box in down]
    for layer in _joined(lines, 1):
        for cluster in _joined(layer, 0):
            yield [box for box, flat in cluster if flat], [box for box, flat in cluster if not flat]


def _joined(lines: Iterable[tuple[Box, bool]], axis: int) -> list[list[tuple[Box, bool]]]:
    """Group boxes whose extents on an axis (0: x, 1: y) overlap or touch."""
    groups: list[list[tuple[Box, bool]]] = []
    end = float("-inf")
    for box, flat in sorted(lines, key=lambda line: line[0][axis]):
        if not groups or box[axis] > end + _TOUCH:
            groups.append([])
            end = box[axis + 2]
        groups[-1].append((box, flat))
        end = max(end, box[axis + 2])
    return groups


def _grid(across: Sequence[Box], down: Sequence[Box]) -> Grid | None:
    if not across or not down:
        return None
    xs = _edges((b.x0 + b.x1) / 2 for b in down)
    ys = _edges((b.y0 + b.y1) / 2 for b in across)
    xs = _reaching(xs, min(b.x0 for b in across), max(b.x1 for b in across))
    ys = _reaching(ys, min(b.y0 for b in down), max(b.y1 for b in down))
    if len(xs) < 3 or len(ys) < 3 or len(xs) * len(ys) > _MAX_CELLS:
        return None
    walls = _present(down, xs, ys, 0)
    floors = _present(across, ys, xs, 1)
    merged: dict[tuple[int, int], tuple[int, int]] = {}
    for r in range(len(ys) - 1):
        for k in range(len(xs) - 1):
            first = (r, k)
            if k and (k, r) not in walls:
                first = merged[r, k - 1]
            elif r and (r, k) not in floors and _is_alone(r - 1, k, walls, len(xs)):
                first = merged[r - 1, k]
            merged[r, k] = first
    return Grid(xs, ys, merged)


def _is_alone(r: int, k: int, walls: set[tuple[int, int]], width: int) -> bool:
    """Whether a cell is not one with its neighbours to the left and right."""
    return (k == 0 or (k, r) in walls) and (k + 1 >= width - 1 or (k + 1, r) in walls)


def _present(
    lines: Sequence[Box], edges: Sequence[float], others: Sequence[float], axis: int
) -> set[tuple[int, int]]:
    """Return which stretches (edge, band between two of the others) have a line along them."""
    along = 1 - axis
    covered: dict[tuple[int, int], float] = {}
    for box in lines:
        edge = _nearest((box[axis] + box[axis + 2]) / 2, edges)
        band = max(0, bisect_right(others, box[along]) - 1)
        while band < len(others) - 1 and others[band] < box[along + 2]:
            low, high = others[band], others[band + 1]
            shared = min(high, box[along + 2]) - max(low, box[along])
            covered[edge, band] = covered.get((edge, band), 0.0) + shared / (high - low)
            band += 1
    return {key for key, share in covered.items() if share >= _COVERED}


def _reaching(edges: list[float], low: float, high: float) -> list[float]:
    """Add an edge where the lines in the other direction reach beyond the first or the last."""
    before = [low] if low < edges[0] - _OPEN else []
    return [*before, *edges, *([high] if high > edges[-1] + _OPEN else [])]


def _nearest(value: float, edges: Sequence[float]) -> int:
    i = bisect_right(edges, value)
    return min((k for k in (i - 1, i) if 0 <= k < len(edges)), key=lambda k: abs(edges[k] - value))


def _edges(values: Iterable[float]) -> list[float]:
    """Return the places of lines, those that nearly coincide as one."""
    found: list[float] = []
    for value in sorted(values):
        if not found or value - found[-1] > _TOUCH:
            found.append(value)
    return found
