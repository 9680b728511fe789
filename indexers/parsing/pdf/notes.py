"""Footnotes: the smaller text at the foot of a column, below a short line or with a mark.

Knows sizes and places; nothing of what notes belong to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from indexers.parsing.pdf.fonts import Look
from indexers.parsing.pdf.marks import Box
from indexers.parsing.pdf.rows import Row

_SMALLER = 0.94
_MARK = re.compile(r"[*†‡§¶∗]|\(?\d{1,3}[).]?\s?\D|[a-z]\)?\s")
_MAX_SHARE = 0.6


def without_notes(
    rows: Sequence[Row], rules: Sequence[Box], body: Look
) -> tuple[list[Row], list[Row]]:
    """Part the rows of a column into its text and the footnotes below it."""
    start = len(rows)
    while start > 0 and rows[start - 1].table is None and _is_small(rows[start - 1], body):
        start -= 1
    if start == len(rows) or start == 0 or len(rows) - start > _MAX_SHARE * len(rows):
        return list(rows), []
    first, above = rows[start], rows[start - 1]
    ruled = any(
        above.y1 - above.height / 2 < rule.y0 < first.y0 + first.height
        and rule.x1 - rule.x0 < (max(r.x1 for r in rows) - min(r.x0 for r in rows)) * _MAX_SHARE
        and rule.x0 < first.x0 + first.height * 3
        for rule in rules
    )
    if ruled or (_MARK.match(first.text) and first.y0 - above.y1 > first.height / 2):
        return list(rows[:start]), list(rows[start:])
    return list(rows), []


def _is_small(row: Row, body: Look) -> bool:
    """Whether most of a row is smaller than the text of the document."""
    longest = max(row.stretches, key=lambda s: len(s.words))
    return longest.look.size < _SMALLER * body.size
