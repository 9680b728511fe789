"""Rows of spreadsheets, as all of their formats give them.

Knows addresses of cells, and ranges of cells that are shown as one; nothing of files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rag.errors import UnreadableDocument

MAX_COLUMNS = 16_384
MAX_MERGED_COLUMNS = 64
MAX_MERGED = 200_000
"""Cells of a sheet that repeat what a merged range shows."""
MAX_REPEATED = 200
"""Characters: what is longer is not repeated."""
MAX_CELL_CHARACTERS = 32_767
"""The limit of Excel; what is longer is cut."""
MAX_CHARACTERS = 128_000_000
"""Of the cells of a sheet: a few bytes in a file can stand for a long text."""
_ADDRESS = re.compile(r"\$?([A-Za-z]{1,3})\$?(\d{1,7})")


class Row(NamedTuple):
    """A row with something in it."""

    number: int
    """1 is the first."""
    cells: dict[int, str]
    """The texts by column, 1 is A; none is empty."""
    repeated: frozenset[int] = frozenset()
    """Columns whose cells are covered by the one before or above them."""


def bounded(rows: Iterable[Row]) -> Iterator[Row]:
    """Cut texts that are too long; raise `too_large` when they are too long together."""
    characters = 0
    for row in rows:
        lengths = [len(text) for text in row.cells.values()]
        if max(lengths) > MAX_CELL_CHARACTERS:
            cut = {column: text[:MAX_CELL_CHARACTERS] for column, text in row.cells.items()}
            row = row._replace(cells=cut)
        characters += min(sum(lengths), len(lengths) * MAX_CELL_CHARACTERS)
        if characters > MAX_CHARACTERS:
            raise UnreadableDocument(
                f"a sheet has more than {MAX_CHARACTERS:,} characters", code="too_large"
            )
        yield row


class Merge(NamedTuple):
    """A range of cells that is shown as one."""

    top: int
    left: int
    bottom: int
    right: int


def address(text: str) -> tuple[int, int] | None:
    """Return row and column of an address like `B7`; None where it is none."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        return None
    column = 0
    for letter in match[1].upper():
        column = column * 26 + ord(letter) - ord("A") + 1
    return int(match[2]), column


def cell_name(row: int, column: int) -> str:
    """Return the address of a cell, like `B7`."""
    letters = ""
    while column > 0:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return f"{letters}{row}"


def merged(rows: Iterable[Row], merges: Iterable[Merge]) -> Iterator[Row]:
    """Repeat the text of each merged range in the cells that it covers, in rows that exist."""
    waiting = sorted(merges, reverse=True)
    merger = Merger()
    for row in rows:
        while waiting and waiting[-1].top <= row.number:
            merge = waiting.pop()
            if merge.top == row.number:
                merger.add(merge, row.cells.get(merge.left, ""))
        yield merger.applied(row)


class Merger:
    """Repeats the texts of merged ranges, while rows come from top to bottom."""

    def __init__(self) -> None:
        """Begin without any range."""
        self._active: list[tuple[Merge, str]] = []
        self._budget = MAX_MERGED

    def add(self, merge: Merge, text: str) -> None:
        """Take a range that begins in the next row."""
        if text and len(text) <= MAX_REPEATED:
            self._active.append((merge, text))

    def applied(self, row: Row) -> Row:
        """Return a row with what ranges that began above, or in it, show there."""
        self._active = [item for item in self._active if item[0].bottom >= row.number]
        if not self._active or self._budget <= 0:
            return row
        cells, repeated = dict(row.cells), set()
        for merge, text in self._active:
            right = min(merge.right, merge.left + MAX_MERGED_COLUMNS)
            self._budget -= right - merge.left + 1
            for column in range(merge.left, right + 1) if self._budget > 0 else ():
                if column not in cells:
                    cells[column] = text
                    repeated.add(column)
        return Row(row.number, cells, frozenset(repeated))
