"""What stands before a span in its embedded text: title, headings, and the head of a table.

Knows how they are shortened so that most of the window is left to the span. Never the file name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

from indexers.pieces import Piece
from rag.types import Span

SEPARATOR_TOKENS = 2
"""Of ` > ` or a newline, rather too many than too few; the finished text is counted anyway."""


class Lead(NamedTuple):
    """The lines before a span."""

    title: str
    path: str
    tokens: int


class Context:
    """The leads of one document, by path."""

    def __init__(self, title: str | None, *, tokens: Mapping[str, int], room: int) -> None:
        """Take the tokens of the title and of every heading, and how many a lead may have."""
        self._title = title or ""
        self._tokens = tokens
        self._room = room
        self._leads: dict[tuple[str, ...], Lead] = {}

    def lead(self, path: tuple[str, ...]) -> Lead:
        """Return what stands before the spans under this path."""
        if path not in self._leads:
            self._leads[path] = self._shortened(path)
        return self._leads[path]

    def span(self, text: str, run: Sequence[Piece]) -> Span:
        """Make the span of consecutive pieces."""
        first = run[0]
        path = path_above(run)
        lead = self.lead(path)
        title = "" if _same(first.label, self._title) else lead.title
        lines = (title, lead.path, first.header, text[first.start : run[-1].end].strip())
        return Span(first.start, run[-1].end, path, "\n".join(filter(None, lines)))

    def _shortened(self, path: tuple[str, ...]) -> Lead:
        """Drop headings from the outside until the lead fits, then cut the title."""
        while True:
            title = "" if path and _same(path[0], self._title) else self._title
            names = [name for name in (title, *path) if name]
            tokens = sum(self._tokens[name] + SEPARATOR_TOKENS for name in names)
            if tokens <= self._room or not path:
                break
            path = path[1:]
        if tokens > self._room:
            title = title[: len(title) * self._room // tokens]
            title = title.rpartition(" ")[0] or title
            tokens = self._room
        return Lead(title, " > ".join(path), tokens)


def path_above(run: Sequence[Piece]) -> tuple[str, ...]:
    """Return the headings above all of the headings that a run begins with."""
    headings = takewhile(lambda piece: piece.level, run)
    return min(headings, key=lambda piece: piece.floor, default=run[0]).path


def _same(one: str, other: str) -> bool:
    return one.casefold().split() == other.casefold().split()
