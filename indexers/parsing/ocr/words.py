"""The words that Tesseract found, with their boxes and how sure it is of them.

Knows its TSV; nothing of what the words make together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

MAX_WORDS = 20_000
"""Of one picture; a dense page has about 2,000."""

_WORD = "5"
_FIELDS = 12


class Word(NamedTuple):
    """A word, where it stands, and the line, paragraph and block that it belongs to."""

    text: str
    left: int
    top: int
    right: int
    bottom: int
    confidence: float
    """From 0 to 100."""
    block: int = 0
    paragraph: int = 0
    line: int = 0

    def is_beside(self, other: Word) -> bool:
        """Whether both belong to one line."""
        return self[-3:] == other[-3:]

    @property
    def height(self) -> int:
        """Return the height of its box."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Return the width of its box."""
        return self.right - self.left


def words(tsv: str) -> list[Word]:
    """Read the words of an answer in its order; lines that are none are left out."""
    found: list[Word] = []
    for row in tsv.split("\n")[1:]:
        cells = row.split("\t", _FIELDS - 1)
        if len(cells) < _FIELDS or cells[0] != _WORD or not cells[11].strip():
            continue
        block, paragraph, line, _, left, top, width, height = map(int, cells[2:10])
        box = (left, top, left + width, top + height)
        found.append(Word(cells[11].strip(), *box, float(cells[10]), block, paragraph, line))
        if len(found) == MAX_WORDS:
            break
    return found


def certainty(found: Iterable[Word]) -> tuple[float, float]:
    """Return the mean confidence, larger words counting more, and how much is sure.

    By the second, readings of one picture are compared: a few sure words are less than many.
    """
    area = weighted = sure = 0.0
    for word in found:
        size = float(word.width * word.height)
        area += size
        weighted += size * word.confidence
        sure += size * max(0.0, word.confidence - 50.0)
    return (weighted / area if area else 0.0), sure


def run_sideways(found: Iterable[Word]) -> bool:
    """Whether most words of some length are higher than wide, as when they run up a page."""
    long = [word.height > word.width for word in found if len(word.text) > 3]
    return sum(long) > len(long) / 2
