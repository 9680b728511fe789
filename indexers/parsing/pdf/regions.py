"""The columns of a page: in which order its parts are read.

Knows that text in columns leaves a gutter that stays free over many rows, with prose on both
sides (between the cells of a table there is a gutter too, but no prose); nothing of paragraphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from indexers.parsing.pdf.grouping import Interval
from indexers.parsing.pdf.marks import Box
from indexers.parsing.pdf.rows import Row, regathered, settled
from indexers.parsing.pdf.words import Stretch, is_rtl

MAX_DEPTH = 4
_LEAST_GUTTER = 0.8
"""Of the height of a line."""
_LEAST_ROWS = 3
_LEAST_SIDE = 2
_LEAST_BOTH = 5
_PROSE_WORDS = 4
_PROSE_WIDTH = 0.55
"""Of the width of its column: a line of prose mostly fills it."""
_PROSE_SHARE = 0.3
"""Of the lines of a column must be prose."""
_SLACK = 1.0
_MAX_RULES = 200


@dataclass(slots=True)
class _Band:
    """Rows that leave a gutter, or that do not."""

    rows: list[Row]
    is_parted: bool


def flows(rows: Sequence[Row], rules: Sequence[Box], depth: int = 0) -> list[list[Row]]:
    """Return the rows in reading order, those of each column together.

    `rules`: lines across the page; what stands between two that cross a gutter is one table or
    one figure, unless it is prose.
    """
    gutter = _gutter(rows) if depth < MAX_DEPTH and len(rows) >= _LEAST_ROWS else None
    if gutter is None:
        return [settled(list(rows))] if rows else []
    found: list[list[Row]] = []
    for band in _bands(rows, gutter, rules):
        if not band.is_parted:
            found.extend(
                flows(band.rows, rules, depth + 1) if len(band.rows) < len(rows) else [band.rows]
            )
            continue
        left, right = _sides(band.rows, gutter)
        sides = (right, left) if _is_rtl(band.rows) else (left, right)
        for side in sides:
            found.extend(flows(side, rules, depth + 1))
    return found


def _gutter(rows: Sequence[Row]) -> Interval | None:
    """Return the gap that most rows leave between stretches of prose."""
    edges: list[tuple[float, int]] = []
    prose = [[s for s in row.stretches if len(s.words) >= _PROSE_WORDS] for row in rows]
    for i, stretches in enumerate(prose):
        ordered = sorted(stretches, key=lambda s: s.x0)
        pairs = list(pairwise(ordered))
        if i + 1 < len(rows) and rows[i + 1].y0 < rows[i].y1:  # columns with lines at other heights
            pairs += [(one, other) for one in stretches for other in prose[i + 1]]
        for one, other in pairs:
            first, second = (one, other) if one.x0 <= other.x0 else (other, one)
            if second.x0 - first.x1 >= _LEAST_GUTTER * rows[i].height:
                edges += [(first.x1, 1), (second.x0, -1)]
    depth = best = 0
    found: Interval | None = None
    edges.sort()
    for i, (x, step) in enumerate(edges[:-1]):
        depth += step
        if depth > best and edges[i + 1][0] - x > _SLACK:
            best, found = depth, (x, edges[i + 1][0])
    return found if best >= _LEAST_ROWS else None


def _bands(rows: Sequence[Row], gutter: Interval, rules: Sequence[Box]) -> list[_Band]:
    """Part the rows into bands that leave the gutter, with prose on both sides, and others."""
    middle = (gutter[0] + gutter[1]) / 2
    crossing = [rule.y0 for rule in rules if rule.x0 < gutter[0] and rule.x1 > gutter[1]]
    crossing = crossing[:_MAX_RULES]
    bands: list[_Band] = []
    for row in rows:
        is_free = row.table is None or not row.x0 < middle < row.x1
        is_free = is_free and not any(s.x0 < middle < s.x1 for s in row.stretches)
        last = bands[-1] if bands else None
        if last is None or last.is_parted != is_free or (is_free and _is_cut(last, row, crossing)):
            bands.append(_Band([], is_free))
        bands[-1].rows.append(row)
    for band in bands:
        if band.is_parted and not _is_prose(band.rows, gutter):
            band.is_parted = False
    joined: list[_Band] = []
    for band in bands:
        if joined and not band.is_parted and not joined[-1].is_parted:
            joined[-1].rows.extend(band.rows)
        else:
            joined.append(band)
    return joined


def _is_cut(band: _Band, row: Row, crossing: Sequence[float]) -> bool:
    above = band.rows[-1]
    return any(above.y0 < y < row.y1 for y in crossing)


def _is_prose(rows: Sequence[Row], gutter: Interval) -> bool:
    """Whether lines on both sides of the gutter mostly fill their columns with words."""
    counts = [_prose_rows(side) for side in _sides(rows, gutter)]
    return min(counts) >= _LEAST_SIDE and sum(counts) >= _LEAST_BOTH


def _prose_rows(side: Sequence[Row]) -> int:
    """Return how many rows fill a column with words; 0 where they are too few of its rows."""
    if not side:
        return 0
    width = max(row.x1 for row in side) - min(row.x0 for row in side)
    prose = sum(
        1 for row in side if row.x1 - row.x0 >= _PROSE_WIDTH * width and _words(row) >= _PROSE_WORDS
    )
    return prose if prose >= _PROSE_SHARE * len(side) else 0


def _words(row: Row) -> int:
    words = [word.text for stretch in row.stretches for word in stretch.words]
    return sum(1 for word in words if any(c.isalpha() for c in word))


def _sides(rows: Sequence[Row], gutter: Interval) -> tuple[list[Row], list[Row]]:
    middle = (gutter[0] + gutter[1]) / 2
    left: list[Row] = []
    right: list[Row] = []
    for row in rows:
        before: list[Stretch] = []
        after: list[Stretch] = []
        for stretch in row.stretches:
            (before if (stretch.x0 + stretch.x1) / 2 < middle else after).append(stretch)
        if before:
            left.append(regathered(row, before))
        if after:
            right.append(regathered(row, after))
    return left, right


def _is_rtl(rows: Sequence[Row]) -> bool:
    stretches = [stretch for row in rows for stretch in row.stretches]
    return 2 * sum(is_rtl(stretch.text) for stretch in stretches) > len(stretches)
