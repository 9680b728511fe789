"""The columns of a table: where the cells of its rows leave gaps.

Knows intervals on a line; nothing of text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from indexers.parsing.pdf.grouping import Interval

_LEAST_GAP = 0.3
"""Of the height of a line."""
_MAX_GAPS = 60
_STRAY = 12
"""One row in so many may run across a gap."""


def columns(rows: Sequence[Sequence[Interval]], height: float) -> list[Interval]:
    """Return the columns that the cells of the rows make, from left to right.

    A cell of a few rows that lies over a gap that all others leave does not close it.
    """
    every = [cell for row in rows for cell in row]
    bridges = _bridges(every, len(rows) // _STRAY)
    kept = [cell for cell in every if cell not in bridges] if bridges else every
    return merged(kept, _LEAST_GAP * height)


def merged(cells: Iterable[Interval], gap: float) -> list[Interval]:
    """Return the union of intervals; narrow gaps are closed."""
    found: list[Interval] = []
    for low, high in sorted(cells):
        if found and low - found[-1][1] < gap:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


def gaps(columns: Sequence[Interval]) -> Iterator[Interval]:
    """Yield what lies between columns."""
    for one, other in pairwise(columns):
        yield one[1], other[0]


def overlap(one: Interval, other: Interval) -> float:
    """Return how much two intervals share; negative: how far they are apart."""
    return min(one[1], other[1]) - max(one[0], other[0])


def _bridges(cells: Sequence[Interval], tolerated: int) -> set[Interval]:
    """Return cells that cover what otherwise were a gap, with cells of other rows on both sides."""
    if not tolerated:
        return set()
    edges = sorted([(low, 1) for low, _ in cells] + [(high, -1) for _, high in cells])
    depth, profile = 0, []
    for x, step in edges:
        depth += step
        profile.append((x, depth))
    thin: list[Interval] = []
    for (x, depth), (end, _) in pairwise(profile):
        if 0 < depth <= tolerated and end > x:
            if thin and thin[-1][1] == x:
                thin[-1] = (thin[-1][0], end)
            else:
                thin.append((x, end))
    deep = {x for x, depth in profile if depth > tolerated}
    ends = {end for (_, depth), (end, _) in pairwise(profile) if depth > tolerated}
    gaps = [(low, high) for low, high in thin if low in ends and high in deep][:_MAX_GAPS]
    return {cell for cell in cells for low, high in gaps if cell[0] < low and cell[1] > high}
