"""The text in a grid, as a table.

Knows which words stand in which cell and where lines of one cell are rows of their own; nothing
of how the grid was found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from indexers.parsing.pdf.cells import Kind, kind_of
from indexers.parsing.pdf.grids import Grid
from indexers.parsing.pdf.marks import Box
from indexers.parsing.pdf.rows import Row
from indexers.parsing.pdf.table import Table, one_header
from indexers.parsing.pdf.words import Stretch, joined

_LEAST_FILLED = 0.3
_MAX_HEAD = 4
_MAX_WORDS = 60
"""Of a cell on average; a grid with more is a frame around text."""


def taken(rows: Sequence[Row], box: Box) -> list[Stretch]:
    """Return the stretches whose middle is in a box."""
    return [
        stretch
        for row in rows
        if row.y1 > box.y0 and row.y0 < box.y1
        for stretch in row.stretches
        if box.x0 <= (stretch.x0 + stretch.x1) / 2 <= box.x1
        and box.y0 <= (stretch.y0 + stretch.y1) / 2 <= box.y1
    ]


def grid_table(grid: Grid, found: Sequence[Stretch]) -> Table | None:
    """Return the table that the stretches make in the grid; None: it is not a table."""
    lines = _cell_lines(grid, found)
    if not _is_table(grid, lines):
        return None
    height, width = len(grid.ys) - 1, len(grid.xs) - 1
    rows: list[list[str]] = []
    head = _header_height(grid)
    head_rows = 0
    for r in range(height):
        texts = [[text for text, _ in lines[grid.merged[r, k]]] for k in range(width)]
        rows.extend(row for row in _rows(texts, split=r >= head) if any(row))
        head_rows = len(rows) if r < head else head_rows
    used = [k for k in range(width) if any(row[k] for row in rows)]
    rows = [[row[k] for k in used] for row in rows]
    columns = [(grid.xs[k], grid.xs[k + 1]) for k in used]
    head = head_rows if head_rows < len(rows) else 0
    return Table(columns, one_header(rows[:head], len(used)), rows[head:])


_Lines = dict[tuple[int, int], list[tuple[str, float]]]


def _cell_lines(grid: Grid, found: Sequence[Stretch]) -> _Lines:
    """Return for each cell its lines of text, each with its height on the page."""
    pieces: dict[tuple[int, int], list[tuple[float, float, float, str]]] = defaultdict(list)
    for stretch in found:
        middle = (stretch.y0 + stretch.y1) / 2
        r = _band(middle, grid.ys)
        for k, (low, high) in enumerate(pairwise(grid.xs)):
            words = [word for word in stretch.words if low <= (word.x0 + word.x1) / 2 < high]
            if words:
                cell = grid.merged[r, k]
                pieces[cell].append((middle, words[0].x0, stretch.height, joined(words)))
    lines: _Lines = defaultdict(list)
    for cell, parts in pieces.items():
        row: list[tuple[float, float, float, str]] = []
        for part in [*sorted(parts), None]:
            if row and (part is None or part[0] - row[0][0] > row[0][2] / 2):
                text = " ".join(p[3] for p in sorted(row, key=lambda p: p[1]))
                lines[cell].append((text, row[0][0]))
                row = []
            if part is not None:
                row.append(part)
    return lines


def _band(value: float, edges: Sequence[float]) -> int:
    below = sum(1 for edge in edges if edge <= value)
    return min(max(below - 1, 0), len(edges) - 2)


def _is_table(grid: Grid, lines: _Lines) -> bool:
    cells = set(grid.merged.values())
    filled = [cell for cell in cells if lines.get(cell)]
    words = sum(len(text.split()) for cell in filled for text, _ in lines[cell])
    return (
        len(filled) >= max(3, _LEAST_FILLED * len(cells))
        and words <= _MAX_WORDS * len(filled)
        and len({k for _, k in filled}) > 1
    )


def _rows(cells: Sequence[Sequence[str]], *, split: bool) -> list[list[str]]:
    """Return the row, or several where the lines of its cells are rows without a line between."""
    counts = [len(cell) for cell in cells if len(cell) > 1]
    most = max(counts, default=1)
    values = [cell for cell in cells if len(cell) == most and _are_values(cell)]
    if split and most > 1 and set(counts) == {most} and len(counts) > 1 and values:
        return [
            [cell[i] if len(cell) > 1 else "".join(cell) for cell in cells] for i in range(most)
        ]
    return [[" ".join(cell) for cell in cells]]


def _are_values(texts: Sequence[str]) -> bool:
    return all(kind_of(text) is not Kind.TEXT for text in texts)


def _header_height(grid: Grid) -> int:
    """Return how many of the first rows are the header: more than one if cells reach further."""
    width = len(grid.xs) - 1
    for r in range(min(_MAX_HEAD, len(grid.ys) - 2)):
        firsts = [grid.merged[r, k] for k in range(width)]
        reaches = any(grid.merged[r + 1, k][0] <= r for k in range(width))
        spans = 1 < len(set(firsts)) < width
        if not reaches and not spans:
            return r + 1
    return 1
