"""Lines of an office document, put together to the parts of a text.

Knows that items of a list that follow each other are one list, nested by their indentation, and
that lines of code are one piece of code; nothing of the formats that lines come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from indexers.parsing.content import Part
from rag.types import BlockKind, Place

MAX_CHARACTERS = 50_000
"""Of a list or of code that is one part, about."""
MAX_HEADING_CHARACTERS = 500
"""What is longer is no heading, whatever its style says."""
_SAME_INDENT = 100
_BULLETS = frozenset("•‣◦▪▫●○■□◆➢➤❖✓✔")
_GROUPED = ("list", "code")


class Line(NamedTuple):
    """A paragraph, an item of a list, or a table."""

    kind: BlockKind
    text: str
    level: int = 0
    """Of a heading."""
    marker: str = ""
    """Of an item: what stands before it, `- ` or `1. `."""
    indent: int = 0
    """Of an item: how far it is from the left, in any unit of which 100 are a small step."""
    places: tuple[Place, ...] = ()
    is_aside: bool = False
    """It comes after the list in which it stands: a note or a comment."""
    is_break: bool = False
    """It has no text, but ends a list."""


BREAK = Line("paragraph", "", is_break=True)


def grouped(lines: Iterable[Line]) -> Iterator[Part]:
    """Turn lines into parts; those without text are left out, but their places are kept.

    Hyphens that do not break are plain ones: nobody searches for the others.
    """
    group = _Group()
    places: tuple[Place, ...] = ()
    for line in lines:
        if line.is_break:
            yield from group.parts()
            group = _Group()
            continue
        if not line.text.strip() and not (line.kind == "code" and group.takes(line)):
            places = line.places[-1:] or places
            continue
        if places and not (line.places and line.places[0].start == 0):
            line = line._replace(places=(replace(places[-1], start=0), *line.places))
        places = ()
        line = line._replace(text=line.text.replace("\N{NON-BREAKING HYPHEN}", "-"))
        if not group.takes(line):
            yield from group.parts()
            group = _Group()
        if line.kind in _GROUPED or group.takes(line):
            group.add(line)
        else:
            yield _part(line)
    yield from group.parts()


def plain_line(text: str) -> Line:
    """Return a paragraph, or an item of a list where someone typed the bullet by hand."""
    text = text.strip()
    if text[:1] in _BULLETS and (len(text) == 1 or text[1].isspace()):
        return Line("list", text[1:].strip(), marker="- ")
    return Line("paragraph", text)


def _part(line: Line) -> Part:
    if line.kind != "heading":
        return Part(line.kind, line.text, places=line.places)
    label = " ".join(line.text.split())
    if len(label) > MAX_HEADING_CHARACTERS:
        return Part("paragraph", line.text, places=line.places)
    marks = "#" * min(line.level, 6)
    return Part("heading", f"{marks} {label}", line.level, label, line.places)


class _Group:
    """A list or a piece of code under way."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._kind: BlockKind = "list"
        self._places: list[Place] = []
        self._indents: list[int] = []
        self._length = 0
        self._asides: list[Line] = []

    def takes(self, line: Line) -> bool:
        """Whether a line belongs to the group."""
        if not self._lines or self._length >= MAX_CHARACTERS:
            return False
        return line.is_aside or line.kind == self._kind

    def add(self, line: Line) -> None:
        """Put a line at the end."""
        if line.is_aside:
            self._asides.append(line)
            return
        self._kind = line.kind
        text = line.text if line.kind == "code" else self._item(line)
        start = self._length + bool(self._lines)
        offset = len(text) - len(text.lstrip())
        for place in line.places:
            self._places.append(
                replace(place, start=start + (place.start and place.start + offset))
            )
        self._lines.append(text)
        self._length = start + len(text)

    def _item(self, line: Line) -> str:
        while self._indents and line.indent < self._indents[-1] - _SAME_INDENT:
            self._indents.pop()
        if not self._indents or line.indent > self._indents[-1] + _SAME_INDENT:
            self._indents.append(line.indent)
        margin = "  " * (len(self._indents) - 1)
        return f"{margin}{line.marker}" + line.text.strip().replace("\n", f"\n{margin}  ")

    def parts(self) -> Iterator[Part]:
        """Yield what there is, then the notes and comments on it."""
        if self._lines:
            yield Part(self._kind, "\n".join(self._lines), places=tuple(self._places))
        yield from map(_part, self._asides)
