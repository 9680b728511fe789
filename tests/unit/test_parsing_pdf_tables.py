"""Tables of a page, from where its words stand and what is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from indexers.parsing.pdf.bands import bands
from indexers.parsing.pdf.cells import Kind, cells, kind_of
from indexers.parsing.pdf.fonts import Look
from indexers.parsing.pdf.grids import find_grids
from indexers.parsing.pdf.gridtables import grid_table, taken
from indexers.parsing.pdf.grouping import lines
from indexers.parsing.pdf.marks import Box, Marks
from indexers.parsing.pdf.rows import Row, rows
from indexers.parsing.pdf.table import Table
from indexers.parsing.pdf.tables import find_tables
from indexers.parsing.pdf.words import Stretch, Word

LETTER, BLANK, HEIGHT = 5.0, 2.5, 9.0
PITCH = 12.0
Cell = tuple[float, str]
"""Where a cell begins and its text; a negative place is where it ends."""


def stretch(x: float, y: float, text: str, *, bold: bool = False) -> Stretch:
    words = text.split()
    width = sum(len(word) * LETTER for word in words) + BLANK * (len(words) - 1)
    x = -x - width if x < 0 else x
    placed = []
    for word in words:
        placed.append(Word(word, x, x + LETTER * len(word)))
        x += LETTER * len(word) + BLANK
    look = Look(HEIGHT, bold=bold)
    return Stretch(placed[0].x0, y, placed[-1].x1, y + HEIGHT, placed, int(y), look, text)


def page(*found: Sequence[Cell] | str, pitch: float = PITCH, top: float = 100) -> list[Row]:
    """Return rows of cells, or of text at the left, each below the other."""
    stretches = []
    for i, row in enumerate(found):
        for x, text in [(20, row)] if isinstance(row, str) else row:
            if text:
                stretches.append(stretch(x, top + pitch * i, text))
    return rows(stretches)


def tables(found: Sequence[Row], marks: Marks | None = None) -> list[Table]:
    drawn = bands(marks or Marks(), found)
    return [table.table for table in find_tables(lines(found), drawn)]


def shaded(*heights: tuple[float, float], x1: float = 500) -> Marks:
    return Marks(fills=[Box(18, y0, x1, y1) for y0, y1 in heights])


# -- cells -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1,234", Kind.NUMBER),
        ("(1,234)", Kind.NUMBER),
        ("$ (12.5)", Kind.NUMBER),
        ("12 %", Kind.NUMBER),
        ("−3.5", Kind.NUMBER),
        ("2024 - 2044", Kind.TEXT),
        ("11.6 years", Kind.NUMBER),
        ("29,", Kind.TEXT),
        ("2023", Kind.YEAR),
        ("—", Kind.EMPTY),
        ("n/a", Kind.EMPTY),
        ("Net sales", Kind.TEXT),
        ("1" * 5000 + "x", Kind.TEXT),
    ],
)
def test_numbers_are_told_from_words(text: str, kind: Kind) -> None:
    assert kind_of(text) is kind


def test_signs_are_put_to_their_numbers() -> None:
    (row,) = page([(20, "Total"), (200, "$"), (-260, "(12"), (263, ")"), (300, "7"), (312, "%")])
    assert [cell.text for cell in cells(row)] == ["Total", "$(12)", "7%"]


def test_a_sign_that_touches_the_number_before_it_belongs_to_the_next() -> None:
    (row,) = page([(20, "Total"), (200, "4,788 $"), (300, "39,324")])
    assert [cell.text for cell in cells(row)] == ["Total", "4,788", "$39,324"]


def test_the_mark_of_an_item_is_no_cell() -> None:
    (row,) = page([(20, "•"), (40, "something to do")])
    assert [cell.text for cell in cells(row)] == ["• something to do"]


# -- aligned tables --------------------------------------------------------------------------------

BODY: list[Sequence[Cell]] = [
    [(20, "Products"), (190, "$"), (-250, "60,584"), (260, "$"), (-320, "63,355")],
    [(20, "Services"), (-250, "21,213"), (-320, "19,604")],
    [(20, "Total"), (190, "$"), (-250, "81,797"), (260, "$"), (-320, "(82,959"), (323, ")")],
]


def test_a_header_over_two_columns_is_repeated_in_each() -> None:
    found = page(
        [(210, "Three Months Ended")],
        [(-250, "July 1, 2023"), (-320, "June 25, 2022")],
        *BODY,
    )
    (table,) = tables(found)
    assert table.header == [
        "",
        "Three Months Ended July 1, 2023",
        "Three Months Ended June 25, 2022",
    ]
    assert table.rows == [
        ["Products", "$60,584", "$63,355"],
        ["Services", "21,213", "19,604"],
        ["Total", "$81,797", "$(82,959)"],
    ]


def test_a_line_below_a_header_says_over_which_columns_it_stands() -> None:
    numbers = [(-250, "1.5"), (-320, "2.5"), (-390, "3.5"), (-460, "4.5")]
    body = [[(20, label), *numbers] for label in ("alpha", "beta", "gamma")]
    found = page(
        [(235, "First"), (380, "Second")],
        [(-250, "one"), (-320, "two"), (-390, "three"), (-460, "four")],
        *body,
    )
    marks = Marks(across=[Box(200, 110, 322, 111), Box(345, 110, 462, 111)])
    (table,) = tables(found, marks)
    assert table.header == ["", "First one", "First two", "Second three", "Second four"]


def test_a_unit_over_all_columns_stands_over_the_labels() -> None:
    found = page([(-250, "2023"), (-320, "2022")], [(225, "(In millions)")], *BODY)
    (table,) = tables(found)
    assert table.header == ["(In millions)", "2023", "2022"]


def test_lines_of_one_shaded_row_are_one_row() -> None:
    found = page(
        [(-250, "2023"), (-320, "2022")],
        "Depreciation of property and other",
        [(20, "assets"), (-250, "10"), (-320, "20")],
        [(20, "Inventories"), (-250, "30"), (-320, "40")],
        [(20, "Cash"), (-250, "50"), (-320, "60")],
    )
    (table,) = tables(found, shaded((110, 134), (134, 146), (146, 158)))
    assert table.rows[:2] == [
        ["Depreciation of property and other assets", "10", "20"],
        ["Inventories", "30", "40"],
    ]


def test_a_label_over_several_rows_stays_a_row_of_its_own() -> None:
    found = page(
        [(-250, "2023"), (-320, "2022")],
        "Current assets:",
        [(30, "Cash"), (-250, "10"), (-320, "20")],
        [(30, "Inventories"), (-250, "30"), (-320, "40")],
        "Other assets",
        [(30, "Buildings"), (-250, "50"), (-320, "60")],
    )
    (table,) = tables(found)
    assert [row[0] for row in table.rows] == [
        "Current assets:",
        "Cash",
        "Inventories",
        "Other assets",
        "Buildings",
    ]


def test_a_wrapped_label_that_goes_on_in_small_letters_is_one_row() -> None:
    found = page(
        [(-250, "2023"), (-320, "2022")],
        [(20, "Cash"), (-250, "10"), (-320, "20")],
        "Investments that are",
        [(20, "held for sale"), (-250, "30"), (-320, "40")],
        pitch=11,
    )
    (table,) = tables(found)
    assert table.rows[-1] == ["Investments that are held for sale", "30", "40"]


def test_another_header_begins_another_table() -> None:
    head: Sequence[Cell] = [(-250, "2023"), (-320, "2022")]
    found = page(head, *BODY, [(-250, "2021"), (-320, "2020")], *BODY)
    first, second = tables(found)
    assert (first.header, second.header) == (["", "2023", "2022"], ["", "2021", "2020"])
    assert len(first.rows) == len(second.rows) == 3


def test_prose_around_a_table_is_not_in_it() -> None:
    prose = "the words of a sentence that runs over the whole of the line and ends"
    found = page(prose, prose, [(-250, "2023"), (-320, "2022")], *BODY, prose, prose)
    drawn = bands(Marks(), found)
    (table,) = find_tables(lines(found), drawn)
    assert (table.first, table.end) == (2, 6)


def test_prose_with_wide_gaps_is_no_table() -> None:
    found = [
        [(20, "a line of words"), (115, "that has a wide gap of its own here")],
        [(20, "and another of these lines where"), (215, "it is elsewhere")],
        [(20, "as the"), (70, "words fill the whole width of the column")],
        [(20, "until a paragraph comes to"), (185, "its end at last")],
    ]
    assert tables(page(*found)) == []


def test_a_list_is_no_table() -> None:
    items = [[(20, "•"), (40, text)] for text in ("one", "two", "some words", "four")]
    assert tables(page(*items)) == []


def test_a_single_row_with_a_number_is_no_table() -> None:
    assert tables(page([(20, "The title of the book"), (300, "49")])) == []


def test_words_in_columns_under_a_header_are_a_table() -> None:
    found = page(
        [(20, "Number"), (100, "Description"), (300, "Form")],
        [(20, "a1"), (100, "the first of them"), (300, "paper")],
        [(20, "a2"), (100, "the second"), (300, "disk")],
        [(20, "a3"), (100, "the third"), (300, "paper")],
    )
    marks = Marks(across=[Box(18, 109.5, 340, 110)])
    (table,) = tables(found, marks)
    assert table.header == ["Number", "Description", "Form"]
    assert table.rows[1] == ["a2", "the second", "disk"]


def test_many_rows_are_found_in_time() -> None:
    body = [[(20, f"row {i}"), (-250, str(i)), (-320, str(2 * i))] for i in range(1500)]
    (table,) = tables(page([(-250, "one"), (-320, "two")], *body))
    assert len(table.rows) == 1500
    assert [text.count("\n") for text in table.texts()] == [501, 501, 501]
    assert all(text.startswith("|  | one | two |") for text in table.texts())


# -- grids -----------------------------------------------------------------------------------------


def grid_lines(xs: Sequence[float], ys: Sequence[float]) -> Marks:
    return Marks(
        across=[Box(xs[0], y, xs[-1], y + 0.5) for y in ys],
        down=[Box(x, ys[0], x + 0.5, ys[-1]) for x in xs],
    )


def in_grid(found: Sequence[Row], marks: Marks) -> Table:
    (grid,) = find_grids(marks)
    table = grid_table(grid, taken(found, grid.box))
    assert table is not None
    return table


def test_cells_that_are_drawn_keep_their_words() -> None:
    found = page(
        [(25, "Name"), (125, "What it is")],
        [(25, "alpha"), (125, "the first letter")],
        [(125, "of the alphabet")],
        [(25, "beta"), (125, "the second")],
    )
    table = in_grid(found, grid_lines([20, 120, 300], [98, 110, 134, 146]))
    assert table.header == ["Name", "What it is"]
    assert table.rows == [["alpha", "the first letter of the alphabet"], ["beta", "the second"]]


def test_a_cell_over_two_columns_stands_in_both() -> None:
    found = page(
        [(25, "Land"), (125, "A"), (225, "B")],
        [(25, "Continent"), (170, "Europe")],
        [(25, "Capital"), (125, "Rome"), (225, "Paris")],
    )
    marks = grid_lines([20, 120, 320], [98, 110, 122, 134])
    marks.down += [Box(220, 98, 220.5, 110), Box(220, 122, 220.5, 134)]
    assert in_grid(found, marks).rows[0] == ["Continent", "Europe", "Europe"]


def test_rows_without_a_line_between_them_are_parted_where_they_are_values() -> None:
    found = page(
        [(25, "Layers"), (125, "Language"), (225, "Score")],
        [(125, "OTSL"), (225, "0.965")],
        [(25, "6")],
        [(125, "HTML"), (225, "0.969")],
        pitch=6.5,
    )
    table = in_grid(found, grid_lines([20, 120, 220, 320], [98, 109, 132]))
    assert table.rows == [["6", "OTSL", "0.965"], ["6", "HTML", "0.969"]]


def test_a_frame_around_text_is_no_grid() -> None:
    assert find_grids(grid_lines([20, 500], [98, 300])) == []


def test_columns_of_prose_in_a_frame_are_no_table() -> None:
    prose = "many words of a sentence that goes on and on until the end"
    found = page(*[[(25, prose), (325, prose)] for _ in range(14)])
    (grid,) = find_grids(grid_lines([20, 320, 620], [98, 200, 270]))
    assert grid_table(grid, taken(found, grid.box)) is None
