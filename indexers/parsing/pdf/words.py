"""Characters to stretches of a line: words that stand together, with the look of their font.

Knows the gaps between characters and between words; nothing of lines, columns or paragraphs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from indexers.parsing.pdf.fonts import Fonts, Look
from indexers.parsing.pdf.glyphs import Boxes, Codes, Glyphs

Mask: TypeAlias = npt.NDArray[np.bool_]

WORD_GAP = 0.25
"""Of the height of a line: wider gaps part words even where the file has no space."""
STRETCH_GAP = 0.65
"""Of the height of a line: words with wider gaps between them may be cells of a table."""
MAX_STRETCHES = 50_000
"""Of a page; what comes after them is left out."""
_BACK = 0.4
_MONO_BLANK = 0.2
_SAME_LINE = 0.5
_SAME_BOX = 0.1
_SPACES = np.array(
    [0x09, 0x0A, 0x0D, 0x20, 0xA0, 0x3000, 0xFEFF, *range(0x2000, 0x200C), 0x202F, 0x205F],
    np.uint32,
)
_SYMBOLS = str.maketrans(dict.fromkeys("\uf0b7\uf0a7\uf076\uf0d8\uf06e\uf0a8", "•"))
_UNUSUAL = ((0xAD, 0xAD), (0xE000, 0xF8FF), (0xFB00, 0xFDFF), (0xFE70, 0xFEFC))
_ACCENTS = frozenset("˘ˇ´¨˜ˆ¯˙˚¸˝")
"""Signs that some files print over a letter for themselves; the letter stays."""
_CJK = ((0x2E80, 0x9FFF), (0xF900, 0xFAFF), (0xFF00, 0xFF60), (0x20000, 0x3FFFF))
_RTL = ((0x590, 0x8FF), (0xFB1D, 0xFDFF), (0xFE70, 0xFEFC))


class Word(NamedTuple):
    """A word and from where to where it goes on its line, in points."""

    text: str
    x0: float
    x1: float


@dataclass(slots=True)
class Stretch:
    """Words of one line without a wide gap between them, in reading order."""

    x0: float
    y0: float
    x1: float
    y1: float
    words: list[Word]
    order: int
    """Where in the file it comes."""
    look: Look
    text: str = ""

    @property
    def height(self) -> float:
        return self.y1 - self.y0


def stretches(glyphs: Glyphs, fonts: Fonts) -> list[Stretch]:
    """Return the words of the glyphs, gathered where they stand beside each other."""
    letters = np.flatnonzero(~np.isin(glyphs.codes, _SPACES))
    if not len(letters):
        return []
    codes, boxes = glyphs.codes[letters], glyphs.boxes[letters]
    apart = np.diff(letters) > 1
    rtl = _within(codes, _RTL)
    starts = _starts(apart | ~_beside(boxes, rtl, WORD_GAP))
    texts, spans = _texts(codes, starts), _spans(boxes, starts)
    first = _starts(~_beside(spans, rtl[starts], STRETCH_GAP))[: MAX_STRETCHES + 1]
    indices = glyphs.indices[letters].tolist()
    bounds = _spans(spans, first).tolist()
    edges = spans[:, [0, 2]].tolist()
    at = [*starts.tolist(), len(codes)]
    found = []
    for (begin, end), (x0, y0, x1, y1) in zip(
        pairwise([*first.tolist(), len(starts)][: MAX_STRETCHES + 1]), bounds, strict=False
    ):
        words = [Word(texts[i], *edges[i]) for i in range(begin, end) if texts[i] not in _ACCENTS]
        if not words:
            continue
        longest = max(range(begin, end), key=lambda i: (texts[i].isalpha(), len(texts[i])))
        middle = (at[longest] + at[longest + 1] - 1) // 2
        look = _look(fonts, indices[middle], indices[at[begin]], indices[at[end] - 1])
        text = joined(words, y1 - y0 if look.mono else 0)
        found.append(Stretch(x0, y0, x1, y1, words, indices[at[begin]], look, text))
    return found


def joined(words: Sequence[Word], mono_height: float = 0) -> str:
    """Return the text of words of one line; there is no blank where two touch, as in Chinese.

    `mono_height`: of a line in letters of one width, where blanks are never narrow.
    """
    pieces: list[str] = []
    for i, word in enumerate(words):
        if i and not (is_cjk(words[i - 1].text[-1:]) and is_cjk(word.text[:1])):
            gap = word.x0 - words[i - 1].x1
            pieces.append(" " if not mono_height or gap > _MONO_BLANK * mono_height else "")
        pieces.append(word.text)
    return "".join(pieces)


def is_cjk(letter: str) -> bool:
    """Whether the letter is of a script that is written without blanks between words."""
    return letter >= "\u2e80" and any(low <= ord(letter) <= high for low, high in _CJK)


def is_rtl(text: str) -> bool:
    """Whether most letters of the text are written from right to left."""
    if text.isascii():
        return False
    letters = [letter for letter in text if letter.isalpha()]
    return 2 * sum(unicodedata.bidirectional(c) in ("R", "AL") for c in letters) > len(letters)


def _look(fonts: Fonts, middle: int, *ends: int) -> Look:
    """Return the look of a letter in the middle, bold or italic only if those at the ends are."""
    look = fonts.look(middle)
    for index in ends if look.bold or look.italic or look.mono else ():
        other = fonts.look(index)
        look = Look(
            look.size,
            look.bold and other.bold,
            look.italic and other.italic,
            look.mono and other.mono,
        )
    return look


def _beside(boxes: Boxes, rtl: Mask, gap: float) -> Mask:
    """Whether each box but the first follows the one before it on its line, with a small gap."""
    x0, y0, x1, y1 = boxes.T
    heights = np.maximum(y1 - y0, 1)
    overlap = np.minimum(y1[1:], y1[:-1]) - np.maximum(y0[1:], y0[:-1])
    same_line = overlap >= _SAME_LINE * np.minimum(heights[1:], heights[:-1])
    space = np.where(rtl[1:] & rtl[:-1], x0[:-1] - x1[1:], x0[1:] - x1[:-1])
    height = np.maximum(heights[1:], heights[:-1])
    follows = (space < gap * height) & (space > -_BACK * height)
    one_glyph = np.abs(boxes[1:] - boxes[:-1]).sum(axis=1) < _SAME_BOX  # the letters of a ligature
    beside: Mask = same_line & (follows | one_glyph)
    return beside


def _starts(broken: Mask) -> npt.NDArray[np.int64]:
    return np.concatenate(([0], np.flatnonzero(broken) + 1))


def _spans(boxes: Boxes, starts: npt.NDArray[np.int64]) -> Boxes:
    """Return the boxes around each run of boxes."""
    low = np.minimum.reduceat(boxes[:, :2], starts)
    high = np.maximum.reduceat(boxes[:, 2:], starts)
    return np.concatenate((low, high), axis=1)


def _texts(codes: Codes, starts: npt.NDArray[np.int64]) -> list[str]:
    text = codes.astype("<u4").tobytes().decode("utf-32-le", errors="replace")
    words = [text[i:j] for i, j in pairwise([*starts.tolist(), len(text)])]
    return [_usual(word) for word in words] if _within(codes, _UNUSUAL).any() else words


def _usual(word: str) -> str:
    """Write ligatures, letters in their Arabic shapes and symbols of Windows as usual."""
    if word.isascii():
        return word
    word = word[:-1].translate(_SYMBOLS).replace("\u00ad", "") + word[-1:].translate(_SYMBOLS)
    return "".join(
        unicodedata.normalize("NFKC", c) if "\ufb00" <= c <= "\ufefc" else c for c in word
    )


def _within(codes: Codes, ranges: Sequence[tuple[int, int]]) -> Mask:
    found = np.zeros(len(codes), np.bool_)
    for low, high in ranges:
        found |= (codes >= low) & (codes <= high)
    return found
