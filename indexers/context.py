"""What stands before a span in its embedded text: title, headings, and the head of a table.

Knows how they are shortened so that most of the window is left to the span. Never the file name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple, TypeAlias

from indexers.pieces import Piece
from indexers.tables import abridged
from rag.types import Span

CountTokens: TypeAlias = Callable[[Sequence[str]], list[int]]

SEPARATOR_TOKENS = 2
"""Of ` > ` or a newline, rather too many than too few; the finished text is counted anyway."""


class Lead(NamedTuple):
    """The lines before a span."""

    title: str
    path: str
    tokens: int


class Context:
    """The leads of one document, by path."""

    def __init__(
        self, title: str, *, tokens: Mapping[str, int], room: int, count_tokens: CountTokens
    ) -> None:
        """Take the tokens of the title and of every heading, and how many a lead may have."""
        self._title = title
        self._tokens = tokens
        self._room = room
        self._count_tokens = count_tokens
        self._leads: dict[tuple[tuple[str, ...], bool], Lead] = {}

    def lead(self, top: Piece) -> Lead:
        """Return what stands before a span with this piece at its top."""
        key = (top.path, bool(top.label) and _same(top.label, self._title))
        if key not in self._leads:
            self._leads[key] = self._shortened(*key)
        return self._leads[key]

    def span(self, text: str, run: Sequence[Piece], max_tokens: int) -> Span:
        """Make the span of consecutive pieces, its tokens not yet counted."""
        start, end = run[0].start, run[-1].end
        top = topmost(run)
        lead = self.lead(top)
        head = (lead.title, lead.path, run[0].header)
        whole = "\n".join(filter(None, (*head, text[start:end].strip())))
        if not run[0].whole:
            return Span(start, end, top.path, whole, 0)
        room = max_tokens - lead.tokens - 2 * SEPARATOR_TOKENS
        short = abridged(run[0].content(text), room, self._count_tokens)
        return Span(start, end, top.path, "\n".join(filter(None, (*head, short))), 0, whole)

    def _shortened(self, path: tuple[str, ...], is_title: bool) -> Lead:
        """Drop headings from the outside until the lead fits, then cut the title."""
        while True:
            title = "" if is_title or (path and _same(path[0], self._title)) else self._title
            names = [name for name in (title, *path) if name]
            tokens = sum(self._tokens[name] + SEPARATOR_TOKENS for name in names)
            if tokens <= self._room or not path:
                break
            path = path[1:]
        while tokens > self._room:
            title = title[: min(len(title) * self._room // tokens, len(title) - 1)]
            title = title.rpartition(" ")[0] or title
            tokens = self._count_tokens([title])[0] + SEPARATOR_TOKENS if title else 0
        return Lead(title, " > ".join(path), tokens)


def topmost(run: Sequence[Piece]) -> Piece:
    """Return the highest of the headings that a run begins with, or its first piece."""
    headings = takewhile(lambda piece: piece.level, run)
    return min(headings, key=lambda piece: piece.floor, default=run[0])


def _same(one: str, other: str) -> bool:
    return one.casefold().split() == other.casefold().split()
