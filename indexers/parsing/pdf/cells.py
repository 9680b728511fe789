"""Rows as cells: which stretches of a row belong together, and which of them are values.

Knows how numbers are printed in tables (a currency sign far to the left, a bracket or a percent
sign to the right) and what begins an item of a list; nothing of columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import pairwise

from indexers.parsing.pdf.rows import Row
from indexers.parsing.pdf.words import Stretch, joined

_MAX_NUMBER = 40
_NUMBER = re.compile(
    r"[(\[]?[-–—−+±<>~≈]?(?:US|C|A|HK|R)?[$€£¥₹]?\s?[-–—−+(]?\s?\d(?:[\d,.'’\s]*\d)?"
    r"\s?(?:[%‰]|x|X|bps|bp|pts|pp|[KMB]|years?|months?|days?|million|billion|thousand)?"
    r"\s?[)\]]?\s?[%‰]?(?:\s?\(\w{1,2}\))*[*†‡]?"
)
_EMPTY = frozenset("— – - − -- --- … n/a N/A NA n.a. NM nm N.M. * nil".split())
_YEAR = re.compile(r"(?:19|20)\d\d")
_CURRENCY = re.compile(r"\(?(?:(?:US|C|A|HK|R)?[$€£¥₹]|USD|EUR|GBP|CHF|RMB)\s?\(?")
_SUFFIX = re.compile(r"[)\]]?\s?[%‰]?\s?[)\]]?|pts|bps|pp|x")
_SIGNS = frozenset("$ € £ ¥".split())
_NUMBER_GAP = 0.4
"""Of the height: numbers with a wider gap between them are of two columns."""
_SUFFIX_GAP = 2.0
"""Of the height: how far a bracket or a percent sign may stand from its number."""
MARKER = re.compile(
    r"[•◦▪▫●○■□‣⁃∙·➢►✓❖§\-–—*]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)]|\d{1,2}(?:\.\d{1,2}){1,4}\.?"
)
"""What stands before an item of a list, or before a heading."""
_NAMED = re.compile(r"(?:item|note|part|chapter|section|article|appendix)\s\S{1,6}", re.IGNORECASE)


class Kind(Enum):
    """What a cell holds."""

    TEXT = auto()
    NUMBER = auto()
    YEAR = auto()
    EMPTY = auto()
    """A dash, or another sign that there is no value."""


@dataclass(slots=True)
class Cell:
    """A piece of a row that is, or could be, a cell of a table."""

    x0: float
    x1: float
    y0: float
    y1: float
    text: str
    kind: Kind
    bold: bool = False
    size: float = 10.0
    words: int = 1
    core: float = 0.0
    """Where its number begins, without the sign before it."""
    parts: tuple[Cell, ...] = ()
    """A mark and the text behind it, of which the cell was made."""

    @property
    def middle(self) -> float:
        return (self.x0 + self.x1) / 2

    @property
    def is_value(self) -> bool:
        return self.kind in (Kind.NUMBER, Kind.EMPTY)


def kind_of(text: str) -> Kind:
    """Tell numbers from words."""
    if text in _EMPTY:
        return Kind.EMPTY
    if _YEAR.fullmatch(text):
        return Kind.YEAR
    if len(text) <= _MAX_NUMBER and _NUMBER.fullmatch(text):
        return Kind.NUMBER
    return Kind.TEXT


def cells(row: Row) -> list[Cell]:
    """Return the cells of a row from left to right, signs put to their numbers."""
    found = [_cell(piece) for stretch in row.stretches for piece in _pieces(stretch)]
    found.sort(key=lambda cell: cell.x0)
    if len(found) > 1:
        found = _with_signs(found)
    return _with_markers(found) if len(found) > 1 else found


def whole(row: Row) -> list[Cell]:
    """Return a row as one cell."""
    first, *others = (_cell(stretch) for stretch in row.stretches)
    for other in others:
        first = joined_cells(first, other, f"{first.text} {other.text}", Kind.TEXT)
    return [first]


def joined_cells(one: Cell, other: Cell, text: str, kind: Kind) -> Cell:
    """Return a cell around both."""
    return replace(
        one,
        x0=min(one.x0, other.x0),
        x1=max(one.x1, other.x1),
        y0=min(one.y0, other.y0),
        y1=max(one.y1, other.y1),
        text=text,
        kind=kind,
        words=one.words + other.words,
    )


def _pieces(stretch: Stretch) -> Iterator[Stretch]:
    """Part numbers of columns that stand close to each other: before a sign, or at a wider gap."""
    words = stretch.words
    cuts = [
        i
        for i in range(1, len(words))
        if words[i].text in _SIGNS
        or (
            words[i].x0 - words[i - 1].x1 > _NUMBER_GAP * stretch.height
            and _is_number(words[i - 1].text)
            and _is_number(words[i].text)
        )
    ]
    if not cuts or not _is_number(words[0].text):
        yield stretch
        return
    for start, end in pairwise([0, *cuts, len(words)]):
        some = words[start:end]
        yield replace(stretch, x0=some[0].x0, x1=some[-1].x1, words=some, text=joined(some))


def _is_number(text: str) -> bool:
    return text in _SIGNS or (text[-1:] in "0123456789)%—" and kind_of(text) is not Kind.TEXT)


def _cell(stretch: Stretch) -> Cell:
    return Cell(
        stretch.x0,
        stretch.x1,
        stretch.y0,
        stretch.y1,
        stretch.text,
        kind_of(stretch.text),
        stretch.look.bold,
        stretch.look.size,
        len(stretch.words),
        stretch.x0,
    )


def _with_signs(found: list[Cell]) -> list[Cell]:
    """Put currency signs, brackets and percent signs to the number that they belong to."""
    kept: list[Cell] = []
    for cell in found:
        last = kept[-1] if kept else None
        if last is not None and cell.is_value and _CURRENCY.fullmatch(last.text):
            merged = joined_cells(last, cell, _tight(last.text + cell.text), cell.kind)
            kept[-1] = replace(merged, core=cell.core)
        elif (
            last is not None
            and last.is_value
            and _SUFFIX.fullmatch(cell.text)
            and cell.x0 - last.x1 < _SUFFIX_GAP * (cell.y1 - cell.y0)
        ):
            kept[-1] = joined_cells(last, cell, _tight(last.text + cell.text), Kind.NUMBER)
        else:
            if cell.kind is Kind.NUMBER:
                cell = replace(cell, text=_tight(cell.text))
            kept.append(cell)
    return kept


def _with_markers(found: list[Cell]) -> list[Cell]:
    """Put the mark of an item, the number of a heading to the text behind it."""
    first, second = found[0], found[1]
    if second.kind is not Kind.TEXT:
        return found
    is_bullet = not first.text[-1].isalnum() and not first.text[0].isalnum()
    is_mark = MARKER.fullmatch(first.text) and (len(found) == 2 or is_bullet)
    if is_mark or (len(found) == 2 and _NAMED.fullmatch(first.text)):
        merged = joined_cells(first, second, f"{first.text} {second.text}", Kind.TEXT)
        return [replace(merged, parts=(first, second)), *found[2:]]
    return found


_LOOSE = re.compile(r"(?<=[$€£¥₹(])\s+|\s+(?=[)%‰])")


def _tight(text: str) -> str:
    """Write `$ (1,234 )` as `$(1,234)`."""
    return _LOOSE.sub("", text)
