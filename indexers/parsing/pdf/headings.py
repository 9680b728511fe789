"""Which paragraphs are headings, and of which level.

Knows sizes and weights of fonts against those of the body, the words that begin chapters, and
outlines; nothing of pages.
"""

from __future__ import annotations

import re
from bisect import insort
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from indexers.parsing.pdf.elements import Element
from indexers.parsing.pdf.fonts import PLAIN, Look
from indexers.parsing.pdf.words import Stretch

MAX_LEVEL = 6
MAX_RANKS = 200
_MAX_LINES = 5
_MAX_CHARS = 260
_MAX_WORDS = 30
_FEW_WORDS = 10
_LARGER = 1.15
_BOLDLY_LARGER = 1.07
_SAME = 0.06
_CHAPTER = re.compile(r"(?:part|chapter|appendix|teil|kapitel|anhang)\s+[\divxlcA-Z]+\b", re.I)
_SECTION = re.compile(r"(?:item|section|article|abschnitt|artikel)\s+\d|§\s?\d", re.I)
_NOTE = re.compile(r"note\s+\d", re.I)
_NUMBERED = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,5})\.?\s")
_CAPTION = re.compile(r"(?:table|figure|fig\.|listing|tabelle|abbildung|exhibit)\s*\S{0,4}\d", re.I)
_ENDINGS = (",", ";", ".", "…")

Rank: TypeAlias = tuple[float, int]
"""Sorts headings, the highest first: the negative size, then what kind it is."""


class Scale:
    """The looks of headings that a document has, and the look of its body."""

    def __init__(self) -> None:
        self._looks: Counter[tuple[float, bool, bool]] = Counter()
        self._ranks: list[Rank] = []
        self._pages: dict[Rank, int] = {}
        """The last page on which there is a heading of the rank."""
        self.body = PLAIN

    def note(self, stretches: Iterable[Stretch]) -> None:
        """Take note of the looks of text."""
        for stretch in stretches:
            look = stretch.look
            self._looks[look.size, look.bold, look.mono] += len(stretch.text)

    def settle(self) -> None:
        """Decide what the body looks like."""
        if self._looks:
            (size, bold, mono), _ = self._looks.most_common(1)[0]
            self.body = Look(size, bold, False, mono)

    def learn(self, elements: Iterable[Element], page: int) -> None:
        """Take note of the headings on a page, before levels are asked for."""
        for element in elements:
            if self.is_heading(element):
                self._pages[self._add(self._rank(element))] = page

    def is_heading(self, element: Element) -> bool:
        """Whether a paragraph is large or bold, and short, unlike the body."""
        text, look = element.text, element.look
        if element.kind not in ("prose", "item") or element.lines > _MAX_LINES:
            return False
        if len(text) > _MAX_CHARS or not any(c.isalpha() for c in text):
            return False
        if len(text.split()) > _MAX_WORDS or _CAPTION.match(text):
            return False
        is_larger = self._is_larger(element)
        if text.endswith(_ENDINGS) and not (is_larger and element.lines == 1):
            return False
        if is_larger:
            return len(text) > 1
        is_bold = element.is_bold and not self.body.bold and look.size > self.body.size * 0.85
        is_italic = (
            look.italic and element.lines == 1 and len(text.split()) <= _FEW_WORDS
        ) and not self.body.italic
        is_loud = text.isupper() and element.lines == 1 and " " in text and not look.mono
        return is_bold or ((is_loud or is_italic) and look.size > self.body.size * (1 - _SAME))

    def level(self, element: Element) -> int:
        """Return the level of a heading; 1 is the highest.

        What is large on the first page only (a cover) takes no more than one level.
        """
        rank = self._add(self._rank(element))
        above = self._ranks[: self._ranks.index(rank)]
        cover = [r for r in (*above, rank) if -r[0] > self.body.size and self._pages.get(r, 0) == 1]
        if max(self._pages.values(), default=0) > 2 and len(cover) > 1:
            above = [r for r in above if r not in cover[1:]]
            if rank in cover:
                return 1
        return min(len(above) + 1, MAX_LEVEL)

    def _rank(self, element: Element) -> Rank:
        text, look = element.text, element.look
        number = _NUMBERED.match(text)
        depth = number[1].count(".") if number is not None else 0
        if self._is_larger(element):
            return -look.size, depth
        if _CHAPTER.match(text):
            kind = 0
        elif _SECTION.match(text):
            kind = 1
        elif _NOTE.match(text) or number is not None:
            kind = 2 + depth
        elif text.isupper() and element.is_bold:
            kind = 3
        else:
            kind = (5 if look.italic else 4) if element.is_bold else 6
        return -self.body.size, kind

    def _is_larger(self, element: Element) -> bool:
        is_bold = element.is_bold and not self.body.bold
        return element.look.size >= self.body.size * (_BOLDLY_LARGER if is_bold else _LARGER)

    def _add(self, rank: Rank) -> Rank:
        """Return the rank that is known, of one that is nearly as large, or keep a new one."""
        for known in self._ranks:
            if abs(known[0] - rank[0]) <= _SAME * -rank[0] and known[1] == rank[1]:
                return known
        if len(self._ranks) == MAX_RANKS:
            return min(self._ranks, key=lambda known: abs(known[0] - rank[0]))
        insort(self._ranks, rank)
        return rank


def largest(elements: Sequence[Element]) -> Element | None:
    """Return the largest of some headings, of equal ones the first."""
    return max(elements, key=lambda element: element.look.size, default=None)
