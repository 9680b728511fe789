"""Dots that lead the eye to a number, as in a table of contents: they are a gap, not text.

Knows words on a line; nothing of tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from indexers.parsing.pdf.words import Stretch, Word, joined

_DOTS = re.compile(r"[.·…‥_]{4,}")
_DOT = re.compile(r"[.·…‥]{1,3}")
_LEAST = 4
"""Single dots in a sequence that lead somewhere."""


def without_leaders(stretch: Stretch) -> list[Stretch]:
    """Return what stands before and behind dots that lead from one to the other."""
    if "...." not in stretch.text and ". . . ." not in stretch.text and "…" not in stretch.text:
        return [stretch]
    runs: list[list[Word]] = [[]]
    dots: list[Word] = []
    for word in _split(stretch.words):
        if _DOTS.fullmatch(word.text):
            dots += [word] * _LEAST
        elif _DOT.fullmatch(word.text):
            dots.append(word)
        else:
            if len(dots) >= _LEAST:
                runs.append([])
            else:
                runs[-1].extend(dots)
            dots = []
            runs[-1].append(word)
    if len(dots) < _LEAST:
        runs[-1].extend(dots)
    return [
        replace(stretch, x0=words[0].x0, x1=words[-1].x1, words=words, text=joined(words))
        for words in runs
        if words
    ]


def _split(words: list[Word]) -> Iterator[Word]:
    """Part dots from words that they touch."""
    for word in words:
        found = _DOTS.search(word.text)
        if found is None or found.span() == (0, len(word.text)):
            yield word
            continue
        letter = (word.x1 - word.x0) / len(word.text)
        start, end = found.span()
        first, last = word.x0 + letter * start, word.x0 + letter * end
        if start:
            yield Word(word.text[:start].rstrip("."), word.x0, first)
        yield Word(found[0], first, last)
        if end < len(word.text):
            yield Word(word.text[end:], last, word.x1)
