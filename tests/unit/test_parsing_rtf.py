"""RTF: text in its code pages, headings, lists, tables, notes, and what the file says of itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexers.parsing.composing import documents
from indexers.parsing.content import Content, Part, Properties
from indexers.parsing.rtf.reader import parse_rtf
from rag.errors import UnreadableDocument
from rag.types import Document

HEAD = r"{\rtf1\ansi\ansicpg1252\deff0"
FONTS = r"{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Arial Cyr;}{\f2\fcharset134 SimSun;}}"


def found(body: str, head: str = HEAD) -> Iterator[Part | Properties]:
    for item in parse_rtf(Content((head + body + "}").encode("latin-1"), name="a.rtf")):
        assert isinstance(item, Part | Properties)
        yield item


def blocks(body: str, head: str = HEAD) -> list[tuple[str, str]]:
    return [(part.kind, part.text) for part in found(body, head) if isinstance(part, Part)]


def text(body: str, head: str = HEAD) -> str:
    return "\n\n".join(part for _, part in blocks(body, head))


# --- characters ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"caf\'e9 \ldblquote x\rdblquote  \endash \~ \{\\\}", "café “x” –\xa0 {\\}"),
        ("caf\xe9", "café"),
        (r"\u8364?\u-3913?x", "€\uf0b7x"),
        (r"\uc2\u20013\'d6\'d0\u25991 abc", "中文c"),
        (r"\uc0\u20013 a{\uc1\u25991 ?}\u20214 b", "中a文件b"),
        (r"\u-10179?\u-8704?", "😀"),
        (r"\u-10179?x", "\ufffdx"),
        (FONTS + r"\f1 \'cf\'f0\'e8\f0  \'fc", "При ü"),
        (FONTS + r"\f2 \'d6\'d0\'ce\'c4{\f0\'e9}", "中文é"),
        (r"one\line two\tab three" + "\r\n" + r" four", "one\ntwo three four"),
        ("a\\\nb", "a\n\nb"),
        (r"soft\-hyphen non\_break", "softhyphen non\u2011break"),
        (r"\plain{\v hidden}shown{\deleted gone}", "shown"),
        (r"\bogus123 kept{\*\unknown {nested} gone} text", "kept text"),
    ],
)
def test_characters(body: str, expected: str) -> None:
    assert text(body) == expected


@pytest.mark.parametrize(
    ("head", "data", "expected"),
    [
        (r"{\rtf1\ansi\ansicpg932 ", r"\'83\'65\'83X\'83g", "テスト"),
        (r"{\rtf1\ansi\ansicpg1251 ", r"\'cf\'f0\'e8", "При"),
        (r"{\rtf1\mac ", r"caf\'8e", "café"),
        (r"{\rtf1\pc ", r"caf\'82", "café"),
        (r"{\rtf1\ansi\ansicpg99999 ", r"caf\'e9", "café"),
        (r"{\rtf1\ansi\ansicpg65001 ", r"caf\'c3\'a9", "café"),
    ],
)
def test_code_pages_of_the_document(head: str, data: str, expected: str) -> None:
    assert text(data, head) == expected


# --- structure -----------------------------------------------------------------------------------


def test_headings_by_outline_level_and_by_style() -> None:
    styles = (
        r"{\stylesheet{\s0 Normal;}{\s1\outlinelevel1 Mine;}{\s2 heading 3;}{\s3 Title;}"
        r"{\*\cs4 heading 1;}}"
    )
    body = (
        r"\pard\s3 Book\par\pard\s1 Part\par\pard\s2 Chapter\par\pard\outlinelevel0 Own\par"
        r"\pard\s0 text\par{\pard\outlinelevel0 Grouped\par}after\par"
    )
    parts = [part for part in found(styles + body) if isinstance(part, Part)]
    assert [(part.kind, part.level, part.label or part.text) for part in parts] == [
        ("heading", 1, "Book"),
        ("heading", 2, "Part"),
        ("heading", 3, "Chapter"),
        ("heading", 1, "Own"),
        ("paragraph", 0, "text"),
        ("heading", 1, "Grouped"),
        ("paragraph", 0, "after"),
    ]
    assert parts[1].text == "## Part"


def test_lists_keep_numbers_and_levels() -> None:
    body = (
        r"{\listtext 1.\tab}\ls1\ilvl0 One\par{\listtext \'b7\tab}\ilvl1 Sub\par"
        r"{\listtext 2.\tab}\ilvl0 Two\line more\par\pard Text\par{\pntext b)\tab}Old\par"
    )
    assert blocks(body) == [
        ("list", "1. One\n  - Sub\n2. Two\n  more"),
        ("paragraph", "Text"),
        ("list", "- b) Old"),
    ]


def test_notes_stand_below_their_paragraph() -> None:
    body = r"Text{\super 1}{\footnote\pard The {\b note}\par more} goes on.\par Next\par"
    assert text(body) == "Text1 goes on.\n\nThe note\nmore\n\nNext"


def test_fields_shapes_and_objects_show_what_a_reader_sees() -> None:
    body = (
        r'{\field{\*\fldinst HYPERLINK "http://x"}{\fldrslt link}} '
        r"{\shp{\*\shpinst{\sp{\sn a}{\sv b}}{\shptxt \pard In the box\par}}{\shprslt no}}"
        r"{\object{\*\objdata 0102}{\result shown}}{\header running}{\pict\pngblip 8950}\par"
    )
    assert text(body) == "link shown\n\nIn the box"


# --- tables --------------------------------------------------------------------------------------


def test_a_table_whose_rows_share_one_definition() -> None:
    body = (
        r"before\par\trowd\cellx100\cellx200\pard\intbl A\cell B|\cell\row"
        r"\pard\intbl 1\par x\cell\cell\row\pard after\par"
    )
    assert blocks(body) == [
        ("paragraph", "before"),
        ("table", "| A | B\\| |\n|---|---|\n| 1 x |  |"),
        ("paragraph", "after"),
    ]


def test_merged_cells_and_header_rows() -> None:
    row = r"\pard\intbl {}\cell {}\cell {}\cell\row"
    body = (
        r"\trowd\trhdr\cellx100\clmgf\cellx200\clmrg\cellx300"
        + row.format("Region", "2023", "")
        + r"\trowd\trhdr\cellx100\cellx200\cellx300"
        + row.format("", "Q1", "Q2")
        + r"\trowd\clvmgf\cellx100\cellx200\cellx300"
        + row.format("North", "1", "2")
        + r"\trowd\clvmrg\cellx100\cellx200\cellx300"
        + row.format("", "3", "4")
    )
    assert text(body) == (
        "| Region | 2023 Q1 | 2023 Q2 |\n|---|---|---|\n| North | 1 | 2 |\n| North | 3 | 4 |"
    )


def test_cells_that_span_columns_by_their_edges() -> None:
    body = (
        r"\trowd\cellx100\cellx300\intbl A\cell B\cell\row"
        r"\trowd\cellx105\cellx200\cellx300 1\cell 2\cell 3\cell\row"
        r"\trowd\cellx300 Band\cell\row"
    )
    assert text(body) == "| A | B | B |\n|---|---|---|\n| 1 | 2 | 3 |\n| Band |  |  |"


def test_a_table_in_a_cell_stands_below() -> None:
    body = (
        r"\trowd\cellx100\pard\intbl Outer\par\itap2 a\nestcell b\nestcell"
        r"{\*\nesttableprops\trowd\cellx10\cellx20\nestrow}{\nonesttables\par}"
        r"\pard\intbl after\cell\row\pard"
    )
    assert text(body).startswith("| Outer after |\n|---|\n\n| a | b |")


def test_long_tables_are_several_with_one_header() -> None:
    rows = "".join(rf"\intbl {n}\cell\row" for n in range(1001))
    tables = [part for kind, part in blocks(r"\trowd\cellx100 No\cell\row" + rows)]
    assert [table.count("\n") - 1 for table in tables] == [500, 500, 1]
    assert all(table.startswith("| No |\n|---|\n") for table in tables)


# --- about the file ------------------------------------------------------------------------------


def test_what_the_file_says_of_itself() -> None:
    info = (
        r"{\info{\title \'c4 \u8364?uro}{\author Ann {\b Lee}}{\subject Birds}{\keywords a, b}"
        r"{\creatim\yr2021\mo2\dy3\hr4\min5}{\revtim\yr2021\mo99}}"
    )
    (properties,) = [item for item in found(info + "x") if isinstance(item, Properties)]
    assert properties.title == "Ä €uro"
    assert properties.metadata == {
        "meta.author": "Ann Lee",
        "meta.created": 1612325100,
        "meta.subject": "Birds",
        "meta.keywords": "a, b",
    }


def test_the_title_may_be_the_first_heading() -> None:
    (document,) = documents(parse_rtf(Content(rb"{\rtf1 a\par\outlinelevel0 Head\par}")))
    assert isinstance(document, Document)
    assert document.title == "Head"


# --- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"plain", b"{\\rt", b"PK\x03\x04"])
def test_other_content_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        list(parse_rtf(Content(data)))
    assert caught.value.code == "malformed"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (rb"{\rtf1 cut \b off", "cut off"),
        (rb"{\rtf1 a}}}{\par b}", "a"),
        (rb"{\rtf1 a\bin3 }}}b\par}", "ab"),
        (rb"{\rtf1 a\bin9999999999 }b", "a"),
        (rb"{\rtf1 a{\pict\bin4 }}}}ff}b\par}", "ab"),
        (rb"{\rtf1{\pict\bin99999999 }b\par}", ""),
        (rb"{\rtf1\trowd\cellx1\intbl a\cell b", "| a | b |\n|---|---|"),
        (b"\xef\xbb\xbf {\\rtf1 a}", "a"),
    ],
)
def test_damaged_files_are_read_as_far_as_they_go(data: bytes, expected: str) -> None:
    parts = [item.text for item in parse_rtf(Content(data)) if isinstance(item, Part)]
    assert "\n\n".join(parts) == expected


@pytest.mark.parametrize(
    "body",
    [
        "{" * 100_000 + "bottom" + "}" * 100_000,
        r"{\footnote " * 20_000 + "bottom",
        r"{\pict " * 50_000,
        r"{\stylesheet" + "{" * 50_000,
        r"\trowd" + r"\cellx1" * 20_000 + r"x\cell" * 20_000 + r"\row",
        "".join(rf"\trowd\cellx{n * 40}\intbl a\cell\row" for n in range(2000)),
    ],
)
def test_hostile_files_take_no_time(body: str) -> None:
    began = time.process_time()
    text(body)
    assert time.process_time() - began < 2


# --- the corpus ----------------------------------------------------------------------------------


@pytest.mark.data
def test_the_document_of_the_corpus(data_folder: Path) -> None:
    content = Content((data_folder / "formats/ok/fake-doc.rtf").read_bytes())
    parts = [(p.kind, p.text) for p in parse_rtf(content) if isinstance(p, Part)]
    assert parts == [
        ("heading", "# My First Heading"),
        ("paragraph", "My first paragraph."),
        ("paragraph", "Table Example:"),
        (
            "table",
            "| Column 1 | Column 2 |\n|---|---|\n"
            "| Row 1, Cell 1 | Row 1, Cell 2 |\n| Row 2, Cell 1 | Row 2, Cell 2 |",
        ),
    ]


@pytest.mark.data
def test_a_document_in_two_languages(data_folder: Path) -> None:
    content = Content((data_folder / "formats/ok/eng_spa_mult.rtf").read_bytes())
    first, *_ = (part.text for part in parse_rtf(content) if isinstance(part, Part))
    assert "All human beings are born free and equal in dignity and rights" in first
    assert "{" not in first
