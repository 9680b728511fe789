"""The ruled lines of a page: runs of ink too long for a letter and too thin for a bar.

Knows straight lines of ink; nothing of text and of what the lines mean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from indexers.parsing.ocr.picture import DARK, Mask, Picture, Pixels

MAX_RUNS = 40_000

_SHORTEST_IN = 0.25
_THICKEST_IN = 0.06
_MAX_LINES = 1000


class Line(NamedTuple):
    """A ruled line: from where to where it runs, and across which pixels it is thick."""

    start: int
    end: int
    low: int
    high: int

    @property
    def at(self) -> int:
        """Return the middle of its thickness."""
        return (self.low + self.high) // 2


class Lines(NamedTuple):
    """Those that run from left to right, and those that run from top to bottom."""

    flat: list[Line]
    steep: list[Line]


def ruled_lines(picture: Picture) -> Lines:
    """Find the lines of a page; a drawing of very many lines counts as none."""
    ink = picture.pixels < DARK
    return Lines(_lines(ink, picture.dpi), _lines(np.ascontiguousarray(ink.T), picture.dpi))


def without(picture: Picture, lines: Lines) -> Pixels:
    """Return the pixels with the lines made white."""
    if not lines.flat and not lines.steep:
        return picture.pixels
    pixels, edge = picture.pixels.copy(), max(1, picture.dpi // 150)
    for line in lines.flat:
        pixels[max(0, line.low - edge) : line.high + edge, line.start : line.end] = 255
    for line in lines.steep:
        pixels[line.start : line.end, max(0, line.low - edge) : line.high + edge] = 255
    return pixels


def _lines(ink: Mask, dpi: int) -> list[Line]:
    """Find the lines that run along the rows of the mask."""
    length = max(16, round(_SHORTEST_IN * dpi))
    if ink.shape[1] < length:
        return []
    found = [
        line
        for line in joined_runs(runs(_opened(ink, length)))
        if line.high - line.low <= _THICKEST_IN * dpi
    ]
    return found if len(found) <= _MAX_LINES else []


def _opened(ink: Mask, length: int) -> Mask:
    """Keep only the pixels that lie in a run of at least that length, small gaps allowed."""
    closed = ink.copy()
    closed[:, 1:-1] |= ink[:, :-2] & ink[:, 2:]
    kept, reach = closed, 1
    while reach < length:
        step = min(reach, length - reach)
        kept = kept[:, :-step] & kept[:, step:]
        reach += step
    grown = np.zeros_like(ink)
    grown[:, : kept.shape[1]] = kept
    reach = 1
    while reach < length:
        step = min(reach, length - reach)
        grown[:, step:] |= grown[:, :-step].copy()
        reach += step
    return grown


def runs(mask: Mask, limit: int = MAX_RUNS) -> list[tuple[int, int, int]]:
    """List the runs of a mask as row, start and end; none where they are more than a limit."""
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), dtype=np.int8)
    padded[:, 1:-1] = mask
    edges = np.diff(padded, axis=1)
    rows, starts = np.nonzero(edges == 1)
    if len(rows) > limit:
        return []
    ends = np.nonzero(edges == -1)[1]
    return list(zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True))


def joined_runs(runs: list[tuple[int, int, int]]) -> list[Line]:
    """Join runs that touch in neighbouring rows."""
    done: list[Line] = []
    open_: list[Line] = []
    row = -1
    for at, start, end in runs:
        if at != row:
            done += [line for line in open_ if line.high < at]
            open_ = [line for line in open_ if line.high >= at]
            row = at
        touching = [line for line in open_ if line.start < end and start < line.end]
        for line in touching:
            open_.remove(line)
            start, end = min(start, line.start), max(end, line.end)
        low = min((line.low for line in touching), default=at)
        open_.append(Line(start, end, low, at + 1))
    return done + open_
