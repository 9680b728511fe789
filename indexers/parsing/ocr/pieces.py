"""Short pieces of text and the rows that they stand in.

Knows boxes of words; nothing of tables. Lines that fill the width of their paragraph are running
text and give no pieces, so that the columns of a newspaper stay what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from statistics import mean

from indexers.parsing.ocr.words import Word

PROSE_WORDS = 4
"""So many words in a row make running text."""

_GAP = 1.2
"""Between two pieces, in heights of a line; blanks are narrower."""
_ROW_GAP = 3.5
_PROSE_INK = 0.65
"""Share of a line that its words fill; in tables there is more room between."""


@dataclass(slots=True)
class Piece:
    """Words of a line that stand close together."""

    words: list[int]
    """Their numbers."""
    left: int
    top: int
    right: int
    bottom: int

    @property
    def middle(self) -> float:
        """Return the height of its middle line on the page."""
        return (self.top + self.bottom) / 2


@dataclass(slots=True)
class Row:
    """Pieces at one height, from left to right."""

    middle: float
    pieces: list[Piece] = field(default_factory=list)


def regions(words: Sequence[Word], height: float) -> list[list[Row]]:
    """Return the rows of pieces, cut where there is much room between two.

    `height`: of a line; all distances are measured by it.
    """
    pieces = [piece for paragraph in _paragraphs(words, height) for piece in paragraph]
    cut: list[list[Row]] = []
    for row in _rows(pieces, height):
        if not cut or row.middle - cut[-1][-1].middle > _ROW_GAP * height:
            cut.append([])
        cut[-1].append(row)
    return cut


def _paragraphs(words: Sequence[Word], height: float) -> list[list[Piece]]:
    """Return the pieces of each paragraph that is not, or in a block of, running text."""
    found = []
    for _, members in groupby(enumerate(words), key=lambda item: item[1].block):
        block = [
            [list(line) for _, line in groupby(paragraph, key=lambda item: item[1].line)]
            for _, paragraph in groupby(members, key=lambda item: item[1].paragraph)
        ]
        if not _is_prose([line for paragraph in block for line in paragraph]):
            found += [
                [piece for line in paragraph for piece in _pieces(line, height)]
                for paragraph in block
                if not _is_prose(paragraph)
            ]
    return found


def _pieces(line: list[tuple[int, Word]], height: float) -> list[Piece]:
    pieces: list[Piece] = []
    for number, word in line:
        if pieces and -height < word.left - pieces[-1].right < _GAP * height:
            last = pieces[-1]
            last.words.append(number)
            last.right = max(last.right, word.right)
            last.top, last.bottom = min(last.top, word.top), max(last.bottom, word.bottom)
        else:
            pieces.append(Piece([number], word.left, word.top, word.right, word.bottom))
    return pieces


def _is_prose(lines: list[list[tuple[int, Word]]]) -> bool:
    """Whether most lines reach from one side of the paragraph to the other, full of words."""
    if len(lines) < 3:
        return False
    left = min(line[0][1].left for line in lines)
    right = max(line[-1][1].right for line in lines)
    full = [
        len(line) >= PROSE_WORDS
        and line[-1][1].right >= left + 0.8 * (right - left)
        and sum(word.width for _, word in line)
        >= _PROSE_INK * (line[-1][1].right - line[0][1].left)
        for line in lines[:-1]
    ]
    return mean(full) >= 0.7


def _rows(pieces: list[Piece], height: float) -> list[Row]:
    """Put pieces at one height into one row."""
    rows: list[Row] = []
    for piece in sorted(pieces, key=lambda piece: piece.middle):
        if not rows or piece.middle - rows[-1].middle > 0.5 * height:
            rows.append(Row(piece.middle))
        rows[-1].pieces.append(piece)
    for row in rows:
        row.pieces.sort(key=lambda piece: piece.left)
    return rows
