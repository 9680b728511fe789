"""Where a stretch of text stands in its file, also when it is only a part of the document."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rag.places import locate, places_within
from rag.types import Location, Place

TEXT = "one two\n\nthree four\n\nfive"
PAGES = (Place(0, "page", 1), Place(9, "page", 2), Place(21, "page", 4))

TABLE = "Sheet\n\n| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n| 5 | 6 |"
HEAD, ROWS = TABLE.index("| a"), TABLE.index("| 1")
CELLS = (
    Place(0, "sheet", 2, "Net sales"),
    Place(HEAD, "sheet", 2, "Net sales", row=5, column=27, columns=2),
    Place(ROWS, "sheet", 2, "Net sales", row=6, column=27, columns=2),
)


@pytest.mark.parametrize(
    ("quote", "expected"),
    [
        ("two", Location("page", 1, 1)),
        ("three", Location("page", 2, 2)),
        ("four\n\nfive", Location("page", 2, 4)),
        ("two\n\nthree four\n\nfive", Location("page", 1, 4)),
    ],
)
def test_pages_of_a_quote(quote: str, expected: Location) -> None:
    start = TEXT.index(quote)
    assert locate(PAGES, TEXT, start, start + len(quote)) == expected


@pytest.mark.parametrize(
    ("quote", "cells"),
    [
        ("| a | b |", "AA5:AB5"),
        ("| 1 | 2 |", "AA6:AB6"),
        ("| 3 | 4 |\n| 5 | 6 |", "AA7:AB8"),
        (TABLE[HEAD:], "AA5:AB8"),
        ("Sheet", ""),
    ],
)
@pytest.mark.parametrize("offset", [0, 100])
def test_cells_of_a_quote(quote: str, cells: str, offset: int) -> None:
    start = TABLE.index(quote) + offset
    places = [replace(place, start=place.start + offset) for place in CELLS]
    found = locate(places, TABLE, start, start + len(quote), offset=offset)
    assert found == Location("sheet", 2, 2, "Net sales", cells)


def test_a_chunk_of_a_table_begins_at_its_row() -> None:
    start = TABLE.index("| 5")
    (place,) = places_within(CELLS, TABLE, start, len(TABLE))
    assert (place.start, place.row, place.column) == (start, 8, 27)


def test_text_before_the_first_place_has_none() -> None:
    assert places_within((Place(9, "page", 1),), TEXT, 0, 5) == ()
    assert locate((), TEXT, 0, 5) is None


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (Location("page", 3, 3), "page 3"),
        (Location("page", 3, 5), "pages 3-5"),
        (Location("slide", 1, 1), "slide 1"),
        (Location("sheet", 1, 1, "Q1", "A5:B6"), "Q1!A5:B6"),
        (Location("sheet", 1, 1, "", "A5:B6"), "A5:B6"),
        (Location("sheet", 1, 1, "Q1"), "Q1"),
    ],
)
def test_locations_for_people(location: Location, shown: str) -> None:
    assert str(location) == shown
