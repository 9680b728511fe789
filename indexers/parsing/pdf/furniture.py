"""Running headers and footers, and page numbers: what stands on page after page.

Knows the rows at the top and the foot of the pages around one; nothing of what they say.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from indexers.parsing.pdf.rows import Row

REACH = 8
"""Pages before and after that a page is compared with."""
_ROWS = 4
"""At the top and at the foot that may be furniture."""
_LEAST_FREE = 4
"""Pages around one that have the same row, wherever it stands."""
_LEAST_FIXED = 3
"""Pages that have it at the same height."""
_GRID = 3.0
_MAX_TEXT = 160
MAX_SEEN = 20_000
_MAX_CELLS = 3
_MAX_DIGITS = 9
_MAX_NUMBER = 40
_GAP = 0.6
_DIGITS = re.compile(r"\d+")
_NUMBER = re.compile(
    r"[\W_]*(?:page|seite|p\.)?[\W_]*(\d{1,5}|[ivxlc]{1,7})[\W_]*(?:(?:of|von|/)\s*\d{1,5})?[\W_]*",
    re.IGNORECASE,
)


class _Sign(NamedTuple):
    """What makes a row the same as one on another page."""

    at_top: bool
    text: str
    offset: int | None
    """How far its number is from the number of the page; None: the text is the same."""
    place: int | None
    """Its height on the page, coarsely; None: any."""


class Furniture:
    """Tells furniture by comparing a page with those around it, which come one by one."""

    def __init__(self) -> None:
        self._counts: Counter[_Sign] = Counter()
        self._pages: deque[list[_Sign]] = deque()
        self._numbers: deque[dict[bool, int]] = deque()
        self._seen: set[str] = set()

    def note(self, rows: Sequence[Row], number: int) -> None:
        """Take note of a page that comes later than the one that is cleared next."""
        signs = list({sign for at_top in (True, False) for sign in _signs(rows, number, at_top)})
        self._counts.update(signs)
        self._pages.append(signs)
        self._numbers.append(
            {at_top: found - number for at_top in (True, False) if (found := _number(rows, at_top))}
        )
        if len(self._pages) > 2 * REACH + 1:
            self._forget(self._pages.popleft())
            self._numbers.popleft()

    def _forget(self, signs: Sequence[_Sign]) -> None:
        for sign in signs:
            self._counts[sign] -= 1
            if not self._counts[sign]:
                del self._counts[sign]

    def cleared(self, rows: Sequence[Row], number: int) -> list[Row]:
        """Return the rows of a page without the furniture.

        The first of several equal headers stays: it may be the only place that says so.
        """
        kept = list(rows)
        for at_top in (True, False):
            kept = self._without(kept, number, at_top=at_top)
        # Pages of which nothing else is left are no frames around text.
        return kept or [row for row in rows if _page_number(row.text) is None]

    def _without(self, rows: list[Row], number: int, *, at_top: bool) -> list[Row]:
        edge = _edge(rows, at_top)
        count = 0
        for i, row in enumerate(edge):
            is_number = i == 0 and self._is_number(edge, number, at_top=at_top)
            if not is_number and not self._is_furniture(row, number, at_top=at_top):
                break
            count = i + 1
        while count and not _is_apart(rows, count, at_top=at_top):
            count -= 1
        gone = {id(row) for row in edge[:count] if not self._is_first(row, number, at_top=at_top)}
        return [row for row in rows if id(row) not in gone]

    def _is_furniture(self, row: Row, number: int, *, at_top: bool) -> bool:
        if len(row.stretches) > _MAX_CELLS or row.table is not None:
            return False
        return any(
            self._counts[sign] >= (_LEAST_FREE if sign.place is None else _LEAST_FIXED)
            for sign in _row_signs(row, number, at_top)
        )

    def _is_number(self, edge: Sequence[Row], number: int, *, at_top: bool) -> bool:
        found = _number(edge, at_top)
        if found is None:
            return False
        offset = found - number
        return offset == 0 or sum(n.get(at_top) == offset for n in self._numbers) > 1

    def _is_first(self, row: Row, number: int, *, at_top: bool) -> bool:
        """Whether a row was not seen before; footers with the number of their page do not count."""
        text = _plain(row.text)
        if len(self._seen) >= MAX_SEEN or _page_number(row.text) is not None:
            return False
        exact = _Sign(at_top, row.text[:_MAX_TEXT].lower(), None, None)
        if not at_top and self._counts[exact] < _LEAST_FIXED:
            return False
        is_new = text not in self._seen
        self._seen.add(text)
        return is_new


def _edge(rows: Sequence[Row], at_top: bool) -> list[Row]:
    """Return the outermost rows, the first or last one first."""
    return list(rows[:_ROWS]) if at_top else list(rows[: -_ROWS - 1 : -1])


def _signs(rows: Sequence[Row], number: int, at_top: bool) -> Iterator[_Sign]:
    for row in _edge(rows, at_top):
        yield from _row_signs(row, number, at_top)


def _row_signs(row: Row, number: int, at_top: bool) -> Iterator[_Sign]:
    """Yield the signs of a row: its text, and its text but for the number that counts pages."""
    text = row.text[:_MAX_TEXT].lower()
    place = round(row.y0 / _GRID)
    yield _Sign(at_top, text, None, None)
    yield _Sign(at_top, text, None, place)
    numbers = _DIGITS.findall(text)
    if numbers:
        last = numbers[-1] if text[-1:].isdigit() else numbers[0]
        offset = int(last[-_MAX_DIGITS:]) - number
        yield _Sign(at_top, _plain(text), offset, None)
        yield _Sign(at_top, _plain(text), offset, place)


def _plain(text: str) -> str:
    return _DIGITS.sub("#", text[:_MAX_TEXT].lower())


def _number(rows: Sequence[Row], at_top: bool) -> int | None:
    """Return the page number that stands alone in the outermost row."""
    if not rows:
        return None
    edge = _edge(rows, at_top) if len(rows) > _ROWS else list(rows if at_top else rows[::-1])
    return _page_number(edge[0].text)


def _page_number(text: str) -> int | None:
    """Return the number of a page, if a row says nothing else."""
    found = _NUMBER.fullmatch(text) if len(text) <= _MAX_NUMBER else None
    if found is None:
        return None
    return int(found[1]) if found[1].isdigit() else _roman(found[1].lower())


def _roman(text: str) -> int:
    values = [{"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}[c] for c in text]
    pairs = zip(values, [*values[1:], 0], strict=True)
    return sum(-value if value < following else value for value, following in pairs)


def _is_apart(rows: Sequence[Row], count: int, *, at_top: bool) -> bool:
    """Whether there is a gap between the first rows and the others: else they are a table's."""
    if count >= len(rows):
        return True
    inner, outer = (rows[count], rows[count - 1]) if at_top else (rows[-count - 1], rows[-count])
    gap = inner.y0 - outer.y1 if at_top else outer.y0 - inner.y1
    return gap > _GAP * max(inner.height, outer.height)
