"""Spreadsheets: cells as readers see them, tables where they stand, with their addresses."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pytest
from openpyxl.comments import Comment  # type: ignore[import-untyped]

from indexers.parsing.composing import documents
from indexers.parsing.content import Content
from indexers.parsing.office import cells
from indexers.parsing.office.cellformats import value_text
from indexers.parsing.office.cells import address, cell_name
from indexers.parsing.office.sheets import parse_sheets
from rag.errors import UnreadableDocument
from rag.types import Document

Spot = tuple[int, int, int]


def workbook(*sheets: Sequence[Sequence[object]]) -> Any:
    """Make a workbook whose sheets are called S1, S2, …"""
    book = openpyxl.Workbook()
    del book[book.sheetnames[0]]
    for number, rows in enumerate(sheets, 1):
        sheet = book.create_sheet(f"S{number}")
        for r, row in enumerate(rows, 1):
            for c, value in enumerate(row, 1):
                if value is not None:
                    sheet.cell(r, c, value)
    return book


def saved(book: Any) -> bytes:
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def read(data: bytes) -> Document:
    (document,) = documents(parse_sheets(Content(data)))
    assert isinstance(document, Document)
    return document


def spots(document: Document) -> list[tuple[int, str, Spot]]:
    """Return for each place the sheet's number, the line of text, and row, column and columns."""
    return [
        (
            place.number,
            document.text[place.start :].split("\n", 1)[0],
            (place.row, place.column, place.columns),
        )
        for place in document.places
    ]


def blocks(data: bytes) -> list[tuple[str, str]]:
    document = read(data)
    return [(b.kind, document.text[b.start : b.end]) for b in document.blocks]


def test_a_table_with_its_title_and_places() -> None:
    book = workbook(
        [
            ["Sales of the year"],
            ["in thousands"],
            ["Region", "Sum"],
            ["North", 12],
            ["South|West", 3.5],
            [None, None],
            ["Source: the annual report of the company, printed in the spring of this year."],
        ],
        [],
        [["note"]],
    )
    book.properties.title = "Figures"
    book.properties.creator = "A. Clerk"
    document = read(saved(book))
    assert document.text == (
        "# S1\n\nSales of the year\nin thousands\n\n"
        "| Region | Sum |\n|---|---|\n| North | 12 |\n| South\\|West | 3.5 |\n\n"
        "Source: the annual report of the company, printed in the spring of this year.\n\n"
        "# S3\n\nnote"
    )
    assert [b.kind for b in document.blocks] == [
        "heading", "paragraph", "table", "paragraph", "heading", "paragraph"
    ]  # fmt: skip
    assert spots(document) == [
        (1, "# S1", (0, 0, 0)),
        (1, "Sales of the year", (1, 1, 1)),
        (1, "| Region | Sum |", (3, 1, 2)),
        (1, "| North | 12 |", (4, 1, 2)),
        (1, document.text.split("\n")[10], (7, 1, 1)),
        (3, "# S3", (0, 0, 0)),
        (3, "note", (1, 1, 1)),
    ]
    assert {place.kind for place in document.places} == {"sheet"}
    assert {place.label for place in document.places} == {"S1", "S3"}
    assert (document.title, document.metadata["meta.author"]) == ("Figures", "A. Clerk")
    assert document.metadata["meta.sheets"] == 3


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (5, "General", "5"),
        (5.0, "General", "5"),
        (0.1 + 0.2, "General", "0.3"),
        (1234567890123.0, "General", "1234567890123"),
        (0.25, "0%", "25%"),
        (-0.0523, "0.0%", "-5.2%"),
        (1234.5, "#,##0.00", "1234.50"),
        (-1234.5, "#,##0.00;(#,##0.00)", "-1234.50"),
        (1234.5, '"$"#,##0.00', "$1234.50"),
        (1234.5, "#,##0.00 [$€-407]", "1234.50 €"),
        (-3, '_-* #,##0.00 €_-;-* #,##0.00 €_-;_-* "-"?? €_-;_-@_-', "-3.00 €"),
        (7, "000", "007"),
        (5, '0" kg"', "5 kg"),
        (1, '"yes";"no"', "yes"),
        (-1, '"yes";"no"', "no"),
        (1234567, "#,##0,", "1234567"),
        (0.5, "# ?/?", "0.5"),
        (12345678, "0.00E+00", "1.23E+07"),
        (45000, "dd/mm/yyyy", "2023-03-15"),
        (45000.5, "m/d/yy h:mm", "2023-03-15 12:00"),
        (45000, "mmm-yy", "2023-03"),
        (45000, "yyyy", "2023"),
        (0.5, "h:mm AM/PM", "12:00"),
        (0.75, "hh:mm:ss", "18:00:00"),
        (1.5, "[h]:mm", "36:00:00"),
        (59, "yyyy-mm-dd", "1900-02-28"),
        (61, "yyyy-mm-dd", "1900-03-01"),
        (-1, "yyyy-mm-dd", "-1"),
        (1e9, "yyyy-mm-dd", "1000000000"),
        (5, "%" * 1000, "5"),
        (5, "@", "5"),
        (5, "", "5"),
        (float("inf"), "0", "inf"),
    ],
)
def test_numbers_are_written_as_they_are_seen(value: float, code: str, shown: str) -> None:
    assert value_text(value, code) == shown


def test_dates_of_the_other_calendar() -> None:
    assert value_text(0, "yyyy-mm-dd", is_1904=True) == "1904-01-01"


def test_values_of_every_type() -> None:
    book = workbook(
        [
            ["what", "value"],
            ["bool", True],
            ["date", date(2024, 2, 29)],
            ["moment", datetime(2024, 2, 29, 13, 30)],
            ["time", time(13, 30)],
            ["error", "#DIV/0!"],
            ["formula", "=1+1"],
            ["percent", 0.5],
            ["space", "  two\nlines "],
        ]
    )
    book["S1"]["B8"].number_format = "0%"
    book["S1"]["B6"].data_type = "e"
    lines = blocks(saved(book))[1][1].split("\n")[2:]
    assert lines == [
        "| bool | TRUE |",
        "| date | 2024-02-29 |",
        "| moment | 2024-02-29 13:30:00 |",
        "| time | 13:30:00 |",
        "| error | #DIV/0! |",
        "| formula | =1+1 |",
        "| percent | 50% |",
        "| space | two lines |",
    ]


def test_empty_rows_and_columns_part_tables() -> None:
    rows: list[list[object]] = [
        ["a", "b", None, "k", "l"],
        ["x", "y", None, "p", "q"],
        [None] * 5,
        [None, "c", "d"],
        [None, "u", "v"],
    ]
    document = read(saved(workbook(rows)))
    assert [text for _, text in blocks(saved(workbook(rows)))][1:] == [
        "| a | b |\n|---|---|\n| x | y |",
        "| k | l |\n|---|---|\n| p | q |",
        "| c | d |\n|---|---|\n| u | v |",
    ]
    assert [spot for _, _, spot in spots(document)][1:] == [
        (1, 1, 2), (2, 1, 2), (1, 4, 2), (2, 4, 2), (4, 2, 2), (5, 2, 2)
    ]  # fmt: skip


def test_tables_that_touch_at_a_corner_are_two() -> None:
    rows: list[list[object]] = [
        ["a", "b"],
        ["x", "y"],
        [None, None, "k", "l"],
        [None, None, "p", "q"],
    ]
    assert [text for _, text in blocks(saved(workbook(rows)))][1:] == [
        "| a | b |\n|---|---|\n| x | y |",
        "| k | l |\n|---|---|\n| p | q |",
    ]


def test_merged_cells_are_repeated_and_merged_headers_joined() -> None:
    book = workbook(
        [
            ["Report", None, None],
            ["Region", "2023", None],
            [None, "Net", "Gross"],
            ["North", 1, 2],
            [None, 3, 4],
        ]
    )
    for merged in ("A1:C1", "B2:C2", "A2:A3", "A4:A5"):
        book["S1"].merge_cells(merged)
    document = read(saved(book))
    assert document.text == (
        "# S1\n\nReport\n\n| Region | 2023 Net | 2023 Gross |\n|---|---|---|\n"
        "| North | 1 | 2 |\n| North | 3 | 4 |"
    )
    assert [spot for _, _, spot in spots(document)][1:] == [(1, 1, 3), (2, 1, 3), (4, 1, 3)]


def test_a_merged_title_does_not_join_tables() -> None:
    book = workbook(
        [["Both", None, None, None, None], ["a", "b", None, "k", "l"], ["x", "y", None, "p", "q"]]
    )
    book["S1"].merge_cells("A1:E1")
    assert [text for _, text in blocks(saved(book))][1:] == [
        "Both",
        "| a | b |\n|---|---|\n| x | y |",
        "| k | l |\n|---|---|\n| p | q |",
    ]


@pytest.mark.parametrize(
    ("rows", "headers"),
    [
        ([["a", "b"], ["c", "d"]], 1),
        ([["x", 2021, 2022], ["y", 5, 6]], 1),
        ([["x", 5, 6], ["y", 7, 8]], 0),
        ([["2024-01-01", 5], ["2024-01-02", 7]], 0),
        ([["2024-01-01", "2024-01-02"], [5, 7]], 1),
    ],
)
def test_a_first_row_like_the_others_is_no_header(rows: list[list[object]], headers: int) -> None:
    first = blocks(saved(workbook(rows)))[1][1].split("\n")[0]
    assert (first.replace("|", "").strip() != "") == bool(headers)


def test_a_table_goes_on_below_an_empty_row() -> None:
    rows: list[list[object]] = [["Item", "Sum"], ["a", 1], [None, None], ["b", 2], ["c", 3]]
    assert [text for _, text in blocks(saved(workbook(rows)))][1:] == [
        "| Item | Sum |\n|---|---|\n| a | 1 |",
        "| Item | Sum |\n|---|---|\n| b | 2 |\n| c | 3 |",
    ]
    document = read(saved(workbook(rows)))
    assert [spot for _, _, spot in spots(document)][3:] == [(1, 1, 2), (4, 1, 2)]


def test_a_long_table_comes_in_parts_that_each_know_their_rows() -> None:
    rows: list[list[object]] = [["No", "Text"], *([n, f"t{n}"] for n in range(1, 1201))]
    document = read(saved(workbook(rows)))
    tables = [document.text[b.start : b.end] for b in document.blocks if b.kind == "table"]
    assert [table.split("\n")[0] for table in tables] == ["| No | Text |"] * 3
    assert [table.count("\n") - 1 for table in tables] == [500, 500, 200]
    assert [(line, spot) for _, line, spot in spots(document)][1:] == [
        ("| No | Text |", (1, 1, 2)),
        ("| 1 | t1 |", (2, 1, 2)),
        ("| No | Text |", (1, 1, 2)),
        ("| 501 | t501 |", (502, 1, 2)),
        ("| No | Text |", (1, 1, 2)),
        ("| 1001 | t1001 |", (1002, 1, 2)),
    ]


def test_hidden_sheets_are_read() -> None:
    book = workbook([["seen"]], [["hidden"]])
    book["S2"].sheet_state = "hidden"
    assert read(saved(book)).text == "# S1\n\nseen\n\n# S2\n\nhidden"


def test_comments_follow_their_sheet() -> None:
    book = workbook([["a", "b"], ["c", "d"]], [["next"]])
    book["S1"]["B2"].comment = Comment("Ann:\nIs it so?", "Ann")
    assert [text for _, text in blocks(saved(book))][2:] == [
        "Comment B2 (Ann): Is it so?",
        "# S2",
        "next",
    ]


def raw(sheet: str, strings: str = "") -> bytes:
    """Build a workbook of one sheet from XML."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    link = "http://schemas.openxmlformats.org/package/2006/relationships"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{relations}"><sheets>'
            '<sheet name="S1" r:id="s"/><sheet name="Lost" r:id="x"/></sheets></workbook>',
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{link}">'
            f'<Relationship Id="s" Type="{relations}/worksheet" Target="sheet.xml"/>'
            f'<Relationship Id="t" Type="{relations}/sharedStrings" Target="t.xml"/>'
            "</Relationships>",
        )
        archive.writestr("xl/sheet.xml", f'<worksheet xmlns="{main}">{sheet}</worksheet>')
        archive.writestr("xl/t.xml", f'<sst xmlns="{main}">{strings}</sst>')
    return file.getvalue()


def test_cells_far_apart_cost_nothing() -> None:
    sheet = (
        '<dimension ref="A1:XFD1048576"/><sheetData>'
        '<row r="1"><c r="A1"><v>1</v></c></row>'
        '<row r="1048576"><c r="XFD1048576"><v>2</v></c></row></sheetData>'
    )
    document = read(raw(sheet))
    assert document.text == "# S1\n\n1\n\n2"
    assert document.places[-1].row == 1_048_576
    assert document.places[-1].column == 16_384


def test_a_diagonal_of_cells_is_text() -> None:
    rows = "".join(
        f'<row r="{n}"><c r="{cell_name(n, n)}"><v>{n}</v></c>'
        f'<c r="{cell_name(n, n + 1)}"><v>{n}</v></c></row>'
        for n in range(1, 1500)
    )
    document = read(raw(f"<sheetData>{rows}</sheetData>"))
    assert len(document.text) < 40_000
    assert [b.kind for b in document.blocks][:2] == ["heading", "paragraph"]


def test_shared_and_inline_strings_and_cells_without_addresses() -> None:
    strings = (
        "<si><t>plain</t></si><si><r><t>rich </t></r><r><t>text</t></r>"
        "<rPh><t>hint</t></rPh></si><si><t>a_x000D_b_x005F_</t></si>"
    )
    sheet = (
        "<sheetData><row><c t='s'><v>0</v></c><c t='s'><v>1</v></c></row>"
        "<row><c t='s'><v>2</v></c><c t='inlineStr'><is><t>in line</t></is></c>"
        "<c t='b'><v>0</v></c><c t='s'><v>99</v></c></row></sheetData>"
    )
    assert read(raw(sheet, strings)).text == (
        "# S1\n\n| plain | rich text |  |\n|---|---|---|\n| a b_ | in line | FALSE |"
    )


def test_a_long_text_that_is_shared_by_many_cells_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cells, "MAX_CHARACTERS", 100_000)
    strings = f"<si><t>{'x' * 40_000}</t></si>"
    row = "<row><c t='s'><v>0</v></c></row>"
    assert len(read(raw(f"<sheetData>{row}</sheetData>", strings)).text) < 33_000
    with pytest.raises(UnreadableDocument) as caught:
        read(raw(f"<sheetData>{row * 4}</sheetData>", strings))
    assert caught.value.code == "too_large"


def test_a_merged_range_over_the_whole_sheet_is_bounded() -> None:
    rows = "".join(f'<row r="{n}"><c r="A{n}"><v>{n}</v></c></row>' for n in range(2, 3000))
    sheet = (
        '<sheetData><row r="1"><c r="A1" t="str"><v>all</v></c></row>'
        f'{rows}</sheetData><mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>'
    )
    assert sum(len(d.text) for d in _all(raw(sheet))) < 3_000_000


def _all(data: bytes) -> list[Document]:
    return [d for d in documents(parse_sheets(Content(data))) if isinstance(d, Document)]


def test_a_sheet_is_read_up_to_its_damage() -> None:
    sheet = "<sheetData><row><c><v>1</v></c></row><row><c><v>2</v></c></row><row><c><v>3"
    assert read(raw(sheet)).text == "# S1\n\n1\n2\n3"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A1", (1, 1)),
        ("$XFD$1048576", (1_048_576, 16_384)),
        ("aa10", (10, 27)),
        ("1A", None),
        ("", None),
        ("AAAA1", None),
    ],
)
def test_addresses(text: str, found: tuple[int, int] | None) -> None:
    assert address(text) == found
    if found is not None:
        assert cell_name(*found) == text.replace("$", "").upper()


@pytest.mark.parametrize("data", [b"", b"a,b", b"PK\x03\x04"])
def test_what_is_no_workbook_is_malformed(data: bytes) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        read(data)
    assert caught.value.code == "malformed"


def test_a_workbook_without_sheets_is_malformed() -> None:
    with pytest.raises(UnreadableDocument) as caught:
        read(raw("").replace(b"sheet.xml", b"gone0.xml"))
    assert caught.value.code == "malformed"


@pytest.mark.data
def test_real_workbooks(data_folder: Path) -> None:
    files = data_folder / "formats"
    cups = read((files / "ok" / "stanley-cups.xlsx").read_bytes())
    assert "\n| Maple Leafs | TOR | 13 |" in cups.text
    assert [(spot, line) for _, line, spot in spots(cups)][1:4] == [
        ((1, 1, 5), "Stanley Cups"),
        ((2, 1, 3), "| Team | Location | Stanley Cups |"),
        ((3, 1, 3), "| Blues | STL | 1 |"),
    ]
    inflated = read((files / "hostile" / "xlsx_04_inflated.xlsx").read_bytes())
    assert "| first | second | third |\n|---|---|---|\n| 1 | 5 | 9 |" in inflated.text
    assert "| first | header second | header third |" in inflated.text
    with pytest.raises(UnreadableDocument) as caught:
        read((files / "hostile" / "password_protected.xlsx").read_bytes())
    assert caught.value.code == "encrypted"
