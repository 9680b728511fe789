"""The records of a text of delimited values (RFC 4180), one after the other.

Knows quotes, also those that are never closed; keeps no more of the text than one record.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple, TextIO

from indexers.parsing.text.decoding import cleaned

MAX_FIELD = 1 << 20
"""Characters of one cell."""
MAX_LINE = 1 << 22
MAX_UNCLOSED = 3
"""Quotes that are never closed, after which quotes mean nothing any more."""


class Record(NamedTuple):
    """One record: the number of its row, the line as it is written, its cells."""

    row: int
    line: str
    cells: list[str]


class Lines:
    """The lines of a text, of which some can be looked at or given back."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._waiting: deque[str] = deque()
        self.taken: list[str] = []
        """Since it was cleared last."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else self._read()
        if not line:
            raise StopIteration
        self.taken.append(line)
        return line

    def peek(self, count: int, characters: int) -> list[str]:
        """Return the next lines without taking them."""
        while len(self._waiting) < count and characters > 0 and (line := self._read()):
            self._waiting.append(line)
            characters -= len(line)
        return list(self._waiting)

    def give_back(self, lines: Sequence[str]) -> None:
        """Let lines that were taken come again."""
        self._waiting.extendleft(reversed(lines))

    def _read(self) -> str:
        line = self._text.readline(MAX_LINE)
        return (cleaned(line) or "\n") if line else ""


def records(lines: Lines, delimiter: str) -> Iterator[Record]:
    """Yield all records. A quote that is not closed is an ordinary character."""
    csv.field_size_limit(MAX_FIELD)
    reader = csv.reader(lines, delimiter=delimiter)
    unclosed = 0
    for row in count(1):
        lines.taken.clear()
        try:
            cells = next(reader, None)
        except csv.Error:  # the field is too long
            cells = []
        if cells is None:
            return
        taken = lines.taken
        if len(taken) > 1 and not (cells and _is_closed(taken, delimiter)):
            unclosed += 1
            lines.give_back(taken[1:])
            taken = taken[:1]
            cells = taken[0].rstrip("\n").split(delimiter)
            reader = csv.reader(lines, delimiter=delimiter)
            if unclosed >= MAX_UNCLOSED:
                reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
        line = taken[0].rstrip("\n") if len(taken) == 1 else _joined(taken)
        yield Record(row, line, cells)


def _joined(lines: Sequence[str]) -> str:
    """Bring a record onto one line."""
    return " ".join(line.strip("\n") for line in lines)


def _is_closed(lines: Sequence[str], delimiter: str) -> bool:
    """Whether the quotes of a record over several lines stand where they should."""
    try:
        next(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return False
    return True
