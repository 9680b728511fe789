"""What a first reading overlooked: ink as high as letters that no word covers.

Knows boxes and ink. Tesseract now and then takes a column of short numbers for noise; read by
themselves, they are found.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from indexers.parsing.ocr.lines import joined_runs, runs
from indexers.parsing.ocr.picture import DARK, Mask, Pixels
from indexers.parsing.ocr.sheets import Snippet, snippet
from indexers.parsing.ocr.words import Word

MAX_SNIPPETS = 300
"""More of them are a drawing."""

_COARSE = 4
_MAX_RUNS = 10_000
_REACH_IN = 0.06
"""Letters with less room between them make one snippet."""
_LOWEST_IN, _HIGHEST_IN = 0.05, 0.4
_LEAST_INK = 0.08
"""Share of a snippet that is ink; of letters it is about a quarter."""
_EDGE = 0.3
"""What is near a word is its own, in heights of it."""
_BLANK = 2.0
"""Widest between words of running text, in heights; in wider ones a word may be missing."""


def leftovers(pixels: Pixels, dpi: int, words: Sequence[Word]) -> list[Snippet]:
    """Return the snippets that no word covers, from top to bottom; none where there are too many.

    Their owners are numbered.
    """
    bare = _uncovered(pixels, words, round(_HIGHEST_IN * dpi))
    ink = _coarse(bare < DARK)
    reach = max(1, round(_REACH_IN * dpi / _COARSE))
    boxes = joined_runs(runs(_reached(ink, reach), _MAX_RUNS))
    low, high = _LOWEST_IN * dpi, _HIGHEST_IN * dpi
    found: list[Snippet] = []
    for box in sorted(boxes, key=lambda box: (box.low, box.start)):
        room = tuple(_COARSE * side for side in (box.start, box.low, box.end, box.high))
        cut = snippet((len(found), 0), bare, room)  # type: ignore[arg-type]
        if cut is None or not low <= cut.pixels.shape[0] <= high:
            continue
        if np.mean(cut.pixels < DARK) >= _LEAST_INK:
            found.append(cut)
        if len(found) > MAX_SNIPPETS:
            return []
    return found


def _uncovered(pixels: Pixels, words: Sequence[Word], highest: int) -> Pixels:
    """Make the words white, and the blanks between those of a line."""
    bare = pixels.copy()
    last: Word | None = None
    for word in words:
        height = min(word.height, highest)
        edge = round(_EDGE * height)
        left = word.left
        if last and last.is_beside(word) and 0 < word.left - last.right < _BLANK * height:
            left = last.right
        top, left = max(0, word.top - edge), max(0, left - edge)
        bare[top : word.bottom + edge, left : word.right + edge] = 255
        last = word
    return bare


def _coarse(ink: Mask) -> Mask:
    """Reduce a mask; a pixel of the result has ink where any of its own has."""
    rows, columns = (side // _COARSE * _COARSE for side in ink.shape)
    blocks = ink[:rows, :columns].reshape(rows // _COARSE, _COARSE, columns // _COARSE, _COARSE)
    return np.asarray(blocks.any(axis=(1, 3)))


def _reached(ink: Mask, reach: int) -> Mask:
    """Widen all ink to the right, so that the letters of a word touch."""
    grown = ink.copy()
    for step in range(1, reach + 1):
        grown[:, step:] |= ink[:, :-step]
    return grown
