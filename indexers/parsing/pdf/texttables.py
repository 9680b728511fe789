"""Whether aligned rows of words are a table, or columns of prose.

Knows shading, lines across and how many words cells have; nothing of what they say.
"""

from __future__ import annotations

from collections.abc import Sequence

from indexers.parsing.pdf.bands import Bands
from indexers.parsing.pdf.cells import Cell
from indexers.parsing.pdf.columns import overlap
from indexers.parsing.pdf.grouping import Interval, Line

_WORDY = 7.0
_KEY_WORDS = 4.0
_LEAST_ROWS = 3
_ALIGNED = 0.8
_EDGE = 3.0


def is_text_table(group: Sequence[Line], columns: Sequence[Interval], bands: Bands) -> bool:
    """Whether aligned rows without numbers are a table."""
    multi = [line for line in group if line.is_multi]
    cells = [cell for line in multi for cell in line.cells]
    words = sum(cell.words for cell in cells) / len(cells)
    if _is_drawn(group, multi, columns, bands):
        return len(multi) > 1 and words <= 2 * _WORDY
    keys = [cell for line in multi for cell in line.cells[:-1]]
    key_words = sum(cell.words for cell in keys) / len(keys)
    if len(multi) < _LEAST_ROWS or (words > _WORDY and key_words > _KEY_WORDS):
        return False
    aligned = sum(1 for cell in cells if _is_aligned(cell, columns))
    return aligned >= _ALIGNED * len(cells) and len(multi) >= len(group) / 2


def _is_drawn(
    group: Sequence[Line], multi: Sequence[Line], columns: Sequence[Interval], bands: Bands
) -> bool:
    """Whether shading or lines across show rows, or lines under headers show columns."""
    rules = bands.within(group[0].y0 - group[0].height, group[-1].y1 + group[-1].height)
    width = columns[-1][1] - columns[0][0]
    drawn = sum(1 for line in multi if bands.shade((line.y0 + line.y1) / 2))
    drawn += sum(1 for rule in rules if rule.x1 - rule.x0 > width / 2)
    if drawn >= len(multi) / 2:
        return True
    pieces: dict[int, set[int]] = {}
    for rule in rules:
        over = [k for k, column in enumerate(columns) if overlap(column, (rule.x0, rule.x1)) > 0]
        if len(over) == 1:
            pieces.setdefault(round(rule.y0), set()).add(over[0])
    return any(len(found) > max(1, len(columns) // 2) for found in pieces.values())


def _is_aligned(cell: Cell, columns: Sequence[Interval]) -> bool:
    return any(
        abs(cell.x0 - low) < _EDGE
        or abs(cell.x1 - high) < _EDGE
        or abs(cell.middle - (low + high) / 2) < _EDGE
        for low, high in columns
    )
