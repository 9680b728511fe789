"""Where in its file a stretch of text stands: pages, slides, cells of sheets.

Knows characters and lines; nothing of formats. A place holds from its start until the next one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from rag.types import Location, Place


def places_within(
    places: Sequence[Place], text: str, start: int, end: int, *, offset: int = 0
) -> tuple[Place, ...]:
    """Return the places of the characters from `start` to `end`.

    The first one holds at `start`; one of cells is moved down by the lines in between. `offset`:
    which character of the document the text begins with.
    """
    first = bisect_right(places, start, key=lambda place: place.start) - 1
    found: list[Place] = []
    if first >= 0:
        began = places[first]
        lines = text.count("\n", began.start - offset, start - offset) if began.row else 0
        found.append(replace(began, start=start, row=began.row + lines))
    for place in places[first + 1 :]:
        if place.start >= end:
            break
        found.append(place)
    return tuple(found)


def locate(
    places: Sequence[Place], text: str, start: int, end: int, *, offset: int = 0
) -> Location | None:
    """Say where the characters from `start` to `end` stand; None where the file has no places."""
    found = places_within(places, text, start, end, offset=offset)
    if not found:
        return None
    first = found[0]
    same = [place for place in found if place.kind == first.kind]
    if not first.row:
        return Location(first.kind, first.number, max(p.number for p in same), first.label)
    cells = [place for place in same if place.number == first.number and place.row]
    last = cells[-1]
    bottom = last.row + text.count("\n", last.start - offset, end - offset)
    right = max(place.column + place.columns for place in cells) - 1
    corners = f"{_column(min(p.column for p in cells))}{first.row}", f"{_column(right)}{bottom}"
    return Location(first.kind, first.number, first.number, first.label, ":".join(corners))


def _column(number: int) -> str:
    """Name a column as spreadsheets do: 1 is A, 27 is AA."""
    name = ""
    while number > 0:
        number, letter = divmod(number - 1, 26)
        name = chr(ord("A") + letter) + name
    return name
