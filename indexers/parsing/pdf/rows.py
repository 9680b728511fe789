"""Stretches to rows: what stands at one height, from left to right.

Knows overlap of boxes; nothing of columns, tables or paragraphs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from indexers.parsing.pdf.table import Table
from indexers.parsing.pdf.words import STRETCH_GAP, WORD_GAP, Stretch, is_rtl, joined

_OVERLAP = 0.6
_COVERED = 0.5
_RAISED = 0.8
"""Of the height of a line: what is lower is an index, raised or lowered."""
_RAISED_OVERLAP = 0.3
MAX_STRETCHES = 20_000
"""More of them on a page are a drawing: they are not put in order."""
_LATEST = 6
"""Rows that a stretch is compared with; those above are out of reach."""
_NEIGHBOURS = 60
_TOUCHING = 0.12
"""Of the height: no blank where a note's mark follows its word as closely."""


@dataclass(slots=True)
class Row:
    """What stands at one height, in reading order."""

    y0: float
    y1: float
    stretches: list[Stretch]
    table: Table | None = None
    """What stands there, if it is a table that was found already."""

    @property
    def x0(self) -> float:
        return min(s.x0 for s in self.stretches)

    @property
    def x1(self) -> float:
        return max(s.x1 for s in self.stretches)

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def text(self) -> str:
        return " ".join(s.text for s in self.stretches)


def rows(found: Sequence[Stretch]) -> list[Row]:
    """Gather stretches into rows, top to bottom; those that touch become one.

    Indices, raised or lowered, come to the row that they share most with.
    """
    if not found:
        return []
    if len(found) > MAX_STRETCHES:
        return [Row(s.y0, s.y1, [s]) for s in found]
    usual = _RAISED * median(s.height for s in found)
    gathered = _gathered(s for s in found if s.height > usual)
    tops = [row.y0 for row in gathered]
    left = []
    for stretch in found:
        if stretch.height <= usual:
            row = _nearest(stretch, gathered, tops)
            if row is not None:
                row.stretches.append(stretch)
            else:
                left.append(stretch)
    gathered.extend(_gathered(left))
    gathered.sort(key=lambda row: row.y0 + row.y1)
    for row in gathered:
        if len(row.stretches) > 1:
            row.stretches = _in_order(row.stretches)
    return gathered


def _gathered(found: Iterable[Stretch]) -> list[Row]:
    gathered: list[Row] = []
    for stretch in sorted(found, key=lambda s: s.y0 + s.y1):
        for row in reversed(gathered[-_LATEST:]):
            if _belongs(stretch, row):
                row.stretches.append(stretch)
                if stretch.height > row.height:
                    row.y0, row.y1 = stretch.y0, stretch.y1
                break
        else:
            gathered.append(Row(stretch.y0, stretch.y1, [stretch]))
    gathered.sort(key=lambda row: row.y0)
    return gathered


def _nearest(index: Stretch, gathered: Sequence[Row], tops: Sequence[float]) -> Row | None:
    """Return the row that an index belongs to: the one that it shares most with.

    What hardly overlaps with a row must stand beside its words.
    """
    end = bisect_right(tops, index.y1)
    best, most = None, _RAISED_OVERLAP * index.height
    for row in gathered[max(0, end - _LATEST) : end]:
        overlap = min(index.y1, row.y1) - max(index.y0, row.y0)
        is_beside = any(s.x0 - row.height < index.x0 < s.x1 + row.height for s in row.stretches)
        if overlap > most and (is_beside or overlap >= _OVERLAP * index.height):
            best, most = row, overlap
    return best


def settled(found: list[Row]) -> list[Row]:
    """Put rows of indices, raised or lowered, to the rows that they belong to."""
    kept: list[Row] = []
    for row in found:
        last = kept[-1] if kept else None
        if last is None or last.table or row.table or not _is_index(last, row):
            kept.append(row)
            continue
        taller = last if last.height >= row.height else row
        both = _in_order([*last.stretches, *row.stretches])
        kept[-1] = Row(taller.y0, taller.y1, both)
    return kept


def _is_index(one: Row, other: Row) -> bool:
    small, large = sorted((one, other), key=lambda row: row.height)
    overlap = min(one.y1, other.y1) - max(one.y0, other.y0)
    return (
        small.height <= _RAISED * large.height
        and overlap >= _RAISED_OVERLAP * small.height
        and small.x0 > large.x0
        and small.x1 < large.x1 + large.height
    )


def regathered(row: Row, chosen: list[Stretch]) -> Row:
    """Return the row with some of its stretches only."""
    if len(chosen) == len(row.stretches):
        return row
    tallest = max(chosen, key=lambda s: s.height)
    return Row(tallest.y0, tallest.y1, chosen)


def _belongs(stretch: Stretch, row: Row) -> bool:
    """Whether a stretch stands beside those of a row, or a little above or below their middle."""
    overlap = min(stretch.y1, row.y1) - max(stretch.y0, row.y0)
    small, large = sorted((stretch.height, row.height))
    if overlap < (_OVERLAP if small > _RAISED * large else _RAISED_OVERLAP) * small:
        return False
    return all(
        min(stretch.x1, other.x1) - max(stretch.x0, other.x0)
        <= _COVERED * min(stretch.x1 - stretch.x0, other.x1 - other.x0)
        or min(stretch.height, other.height) <= _RAISED * max(stretch.height, other.height)
        for other in row.stretches[-_NEIGHBOURS:]
    )


def _in_order(found: list[Stretch]) -> list[Stretch]:
    found.sort(key=lambda s: s.x0)
    if sum(is_rtl(s.text) for s in found) * 2 > len(found):
        found.reverse()
        return found
    merged = found[:1]
    for stretch in found[1:]:
        last = merged[-1]
        gap = stretch.x0 - last.x1
        if gap < STRETCH_GAP * max(last.height, stretch.height):
            merged[-1] = _merged(last, stretch, gap)
        else:
            merged.append(stretch)
    return merged


def _merged(one: Stretch, other: Stretch, gap: float) -> Stretch:
    words = sorted([*one.words, *other.words], key=lambda word: word.x0)
    larger = one if one.height >= other.height else other
    touches = gap < _TOUCHING * larger.height and gap < WORD_GAP * min(one.height, other.height)
    if touches and other.x0 >= one.words[-1].x0:
        last, first = one.words[-1], other.words[0]
        glued = last._replace(text=last.text + first.text, x1=first.x1)
        words = [*one.words[:-1], glued, *other.words[1:]]
    return Stretch(
        one.x0,
        larger.y0,
        max(one.x1, other.x1),
        larger.y1,
        words,
        min(one.order, other.order),
        larger.look,
        joined(words),
    )
