"""Lines of text joined into one: blanks, and hyphens at the ends of lines.

Knows which words a document uses, so that `state-of-the-` keeps its hyphen and `hyphen-ation`
loses it; nothing of where lines come from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from indexers.parsing.pdf.words import is_cjk

MAX_WORDS = 300_000
"""Words of a document that are remembered."""
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_LAST = re.compile(r"([^\W\d_]+)-$")
_FIRST = re.compile(r"[^\W\d_]+")
_SOFT = "\u00ad"
_LEAST = 3


class Vocabulary:
    """The words of a document as far as it was read."""

    def __init__(self) -> None:
        self._words: set[str] = set()

    def learn(self, texts: Iterable[str]) -> None:
        """Take note of the words in stretches of lines, without those that may have been cut."""
        if len(self._words) >= MAX_WORDS:
            return
        for text in texts:
            start = text.find(" ") if text[:1].islower() else 0
            end = text.rfind(" ") if text.endswith("-") else len(text)
            if 0 <= start < end:
                words = _WORD.findall(text[start:end].lower())
                self._words.update(words)
                self._words.update(w for word in words if "-" in word for w in word.split("-"))

    def joins(self, first: str, second: str) -> bool:
        """Whether two pieces around a hyphen at a line's end are one word without it."""
        first, second = first.lower(), second.lower()
        if first + second in self._words:
            return True
        if f"{first}-{second}" in self._words or len(first) == 1:
            return False
        both = first in self._words and second in self._words
        return not (both and min(len(first), len(second)) >= _LEAST)


def joined_lines(lines: Iterable[str], vocabulary: Vocabulary) -> str:
    """Join lines of a paragraph."""
    pieces: list[str] = []
    for line in lines:
        if pieces:
            last, glue = _glue(pieces[-1], line, vocabulary)
            pieces[-1] = last + glue
        pieces.append(line)
    return "".join(pieces).replace(_SOFT, "")


def _glue(line: str, following: str, vocabulary: Vocabulary) -> tuple[str, str]:
    """Return a line and what stands between it and the next one."""
    if line.endswith(_SOFT):
        return line[:-1], ""
    if is_cjk(line[-1:]) and is_cjk(following[:1]):
        return line, ""
    cut = _LAST.search(line[-60:])
    rest = _FIRST.match(following)
    if line.endswith("-") and len(line) > 1 and not line[-2].isspace():
        if cut is None or rest is None or not rest[0][:1].islower():
            return line, "" if line[-2].isalnum() and following[:1].isalnum() else " "
        if vocabulary.joins(cut[1], rest[0]):
            return line[:-1], ""
        return line, ""
    return line, " "
