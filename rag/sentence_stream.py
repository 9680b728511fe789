"""A text that streams, cut into sentences as it comes, without a model's own marks of sources.

Everything is passed on at once, but for what may still turn out to be a mark or the end of a
sentence, so that something can be put behind a sentence before the next begins. Knows text only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rag.sentences import sentences

_MARKED = re.compile(r"[ \t]*\[\s*(\d{1,4}(?:\s*[,;–-]\s*\d{1,4}){0,20})\s*\]")
_MAY_BE_MARK = re.compile(r"[ \t]*(?:\[[\d\s,;–-]*)+\Z|[ \t]+\Z")
_AHEAD = 24
"""Characters after a full stop that are enough to tell whether it ends a sentence."""
_LONGEST = 2000
"""Characters of a sentence; what goes on longer is no sentence and is cut."""
_HELD = 200
"""Characters that may be held back as the beginning of a mark."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A sentence ended here, before the white space that follows it."""

    text: str
    hints: frozenset[int]
    """Numbers of sources that the model wrote at it."""


class SentenceStream:
    """Takes deltas, gives text and ends of sentences; the text joined is the sentences joined."""

    def __init__(self) -> None:
        self._raw = ""  # may still become a mark
        self._open = ""  # of the sentence that is under way, with white space before it
        self._passed = 0  # characters of it that were given already
        self._begun = False
        self._hints: list[tuple[int, int]] = []  # place in it, number of a source

    def feed(self, delta: str) -> Iterator[str | Ended]:
        """Take a delta; yield what is certain by now."""
        self._raw += delta
        self._strip_marks()
        held = _MAY_BE_MARK.search(self._raw)
        keep = held.start() if held and len(self._raw) - held.start() <= _HELD else len(self._raw)
        self._take(self._raw[:keep])
        self._raw = self._raw[keep:]
        yield from self._cut(final=False)

    def end(self) -> Iterator[str | Ended]:
        """Yield the rest, without white space at its end."""
        self._take(self._raw)
        self._raw = ""
        yield from self._cut(final=True)

    def _strip_marks(self) -> None:
        """Take whole marks out, also those that only appear when another is out."""
        while True:
            if not self._begun:
                self._raw = self._raw.lstrip()
            if (found := _MARKED.search(self._raw)) is None:
                return
            place = len(self._open) + found.start()
            for number in re.findall(r"\d+", found[1]):
                self._hints.append((place, int(number)))
            self._raw = self._raw[: found.start()] + self._raw[found.end() :]

    def _take(self, text: str) -> None:
        self._begun = self._begun or bool(text)
        self._open += text

    def _cut(self, *, final: bool) -> Iterator[str | Ended]:
        """Give what is certain of the open text, sentence by sentence."""
        while self._open:
            first = min(sentences(self._open)[0][1], _LONGEST)
            rest = len(self._open) - first
            ends = final or rest >= _AHEAD
            # What may be the end of a sentence is held back, for a number may come behind it.
            text = self._open[:first].rstrip()
            if len(text) > self._passed:
                yield text[self._passed :]
                self._passed = len(text)
            if not ends:
                return
            if text:
                mine = frozenset(n for place, n in self._hints if place <= first)
                yield Ended(text.strip(), mine)
            self._hints = [(at - len(text), n) for at, n in self._hints if at > first]
            self._open, self._passed = self._open[len(text) :], 0
            if not self._open.strip():
                self._open = "" if final else self._open
                return
