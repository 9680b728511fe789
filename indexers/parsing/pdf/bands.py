"""What shading and lines across say of a table's rows.

Many tables shade every other row, and files made from web pages paint a box behind each cell: the
boxes tell which lines of text are one row. Knows boxes and heights; nothing of text.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from indexers.parsing.pdf.marks import THIN, Box, Marks
from indexers.parsing.pdf.rows import Row
from indexers.parsing.pdf.words import Stretch

_MAX_LINES = 6
"""A shaded box with more lines of text in it is not one row."""
_TOUCH = 1.0
_SAME_EDGE = 0.6
_LEAST_HEIGHT = 4.0
_INSIDE = 0.03
_SLACK = 2.0
_NEAR_ROWS = 4
_LEAST_SHARE = 0.4
"""Of the width of a table: shorter lines across part single cells, not rows."""


@dataclass(slots=True)
class Bands:
    """The shaded rows and the lines across of a page, from top to bottom."""

    shades: list[Box] = field(default_factory=list)
    rules: list[Box] = field(default_factory=list)
    _tops: list[float] = field(default_factory=list)
    _heights: list[float] = field(default_factory=list)

    def shade(self, y: float) -> Box | None:
        """Return the shaded row at a height."""
        for box in self.shades[max(0, bisect_right(self._tops, y) - 3) :][:3][::-1]:
            if box.y0 <= y <= box.y1:
                return box
        return None

    def within(self, y0: float, y1: float) -> list[Box]:
        """Return the lines across between two heights."""
        return self.rules[bisect_left(self._heights, y0) : bisect_right(self._heights, y1)]

    def parts(self, above: float, below: float, x0: float, x1: float) -> bool:
        """Whether a line or the edge of a shaded row parts two lines of text, given by middles."""
        one, other = self.shade(above), self.shade(below)
        if one != other:
            return True
        least = _LEAST_SHARE * (x1 - x0)
        return any(
            min(rule.x1, x1) - max(rule.x0, x0) >= least for rule in self.within(above, below)
        )

    def unites(self, above: float, below: float, height: float) -> bool:
        """Whether two lines of text, given by middles, stand in one shaded row."""
        one = self.shade(above)
        return one is not None and one == self.shade(below) and _is_row(one, height)


def bands(marks: Marks, rows: Sequence[Row] = ()) -> Bands:
    """Return the shaded rows and the lines across, those made of pieces as one.

    Lines that only underline text of the rows are left out.
    """
    tall = [box for box in marks.fills if box.y1 - box.y0 > max(THIN, _LEAST_HEIGHT)]
    shades = _joined(sorted(tall, key=lambda box: (round(box.y0), round(box.y1), box.x0)))
    shades.sort(key=lambda box: box.y0)
    rules = sorted(marks.across, key=lambda box: (round(box.y0), box.x0))
    kept = _without_underlines(_joined(rules), rows)
    kept.sort(key=lambda box: box.y0)
    return Bands(shades, kept, [box.y0 for box in shades], [box.y0 for box in kept])


def _without_underlines(rules: list[Box], rows: Sequence[Row]) -> list[Box]:
    """Leave out lines that run through the lower half of text, from its beginning to its end."""
    tops = [row.y0 for row in rows]
    kept = []
    for rule in rules:
        near = bisect_right(tops, rule.y0)
        texts = (s for row in rows[max(0, near - _NEAR_ROWS) : near] for s in row.stretches)
        if not any(_underlines(rule, text) for text in texts):
            kept.append(rule)
    return kept


def _underlines(rule: Box, text: Stretch) -> bool:
    return (
        (text.y0 + text.y1) / 2 < rule.y0 < text.y1 - _INSIDE * text.height
        and rule.x0 > text.x0 - _SLACK
        and rule.x1 < text.x1 + _SLACK
    )


def _is_row(shade: Box, height: float) -> bool:
    return shade.y1 - shade.y0 <= _MAX_LINES * height


def _joined(boxes: Sequence[Box]) -> list[Box]:
    """Join boxes of one height that touch each other."""
    found: list[Box] = []
    for box in boxes:
        last = found[-1] if found else None
        if (
            last is not None
            and abs(last.y0 - box.y0) < _SAME_EDGE
            and abs(last.y1 - box.y1) < max(_SAME_EDGE, THIN if box.y1 - box.y0 <= THIN else 0)
            and box.x0 - last.x1 < _TOUCH
        ):
            found[-1] = Box(last.x0, last.y0, max(last.x1, box.x1), last.y1)
        else:
            found.append(box)
    return found
