"""Presentations: each slide with its title, its texts in reading order, notes and comments."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pptx
import pytest
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Cm

from indexers.parsing.composing import documents
from indexers.parsing.content import Content, Member
from indexers.parsing.office.pptx import parse_pptx
from rag.errors import UnreadableDocument
from rag.types import Document

TITLE, BODY, SECTION, TWO, TITLE_ONLY, BLANK = 0, 1, 2, 3, 5, 6
"""Layouts of the library's template."""


def saved(show: Any) -> bytes:
    file = io.BytesIO()
    show.save(file)
    return file.getvalue()


def changed(data: bytes, replaced: Mapping[str, tuple[str, str]]) -> bytes:
    """Replace a text in some of the parts; an empty one to replace drops the part."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name in replaced:
                before, after = replaced[name]
                if not before:
                    continue
                assert before.encode() in content
                content = content.replace(before.encode(), after.encode())
            new.writestr(name, content)
    return file.getvalue()


def parse(data: bytes) -> Document:
    (document,) = (
        found for found in documents(parse_pptx(Content(data))) if isinstance(found, Document)
    )
    return document


def blocks(data: bytes) -> list[tuple[str, str]]:
    document = parse(data)
    return [(b.kind, document.text[b.start : b.end]) for b in document.blocks]


def add_slide(show: Any, layout: int, title: str = "") -> Any:
    slide = show.slides.add_slide(show.slide_layouts[layout])
    if title:
        slide.shapes.title.text = title
    return slide


def add_box(shapes: Any, left: float, top: float, text: str) -> None:
    box = shapes.add_textbox(Cm(left), Cm(top), Cm(5), Cm(1))
    box.text_frame.text = text


def test_titles_bodies_notes_and_places() -> None:
    show = pptx.Presentation()
    first = add_slide(show, TITLE, "Our plan")
    first.placeholders[1].text = "A subtitle"
    second = add_slide(show, BODY, "First\vsteps")
    frame = second.placeholders[1].text_frame
    frame.text = "one"
    inner = frame.add_paragraph()
    inner.text, inner.level = "inner", 1
    frame.add_paragraph().text = "two"
    second.notes_slide.notes_text_frame.text = "Say this.\nAnd this."
    add_slide(show, SECTION, "Part two")
    document = parse(saved(show))
    assert [(b.kind, document.text[b.start : b.end]) for b in document.blocks] == [
        ("heading", "# Our plan"),
        ("paragraph", "A subtitle"),
        ("heading", "## First steps"),
        ("list", "- one\n  - inner\n- two"),
        ("quote", "Notes: Say this.\nAnd this."),
        ("heading", "# Part two"),
    ]
    assert document.title == "Our plan"  # the template's title is none
    assert document.metadata["meta.slides"] == 3
    at = document.text.index
    assert [(place.start, place.kind, place.number) for place in document.places] == [
        (0, "slide", 1),
        (at("## First"), "slide", 2),
        (at("# Part"), "slide", 3),
    ]


def test_what_stands_higher_or_further_left_is_read_first() -> None:
    show = pptx.Presentation()
    slide = add_slide(show, TITLE_ONLY, "Title")
    add_box(slide.shapes, 12, 8.1, "lower right")
    add_box(slide.shapes, 1, 8.3, "lower left")
    add_box(slide.shapes, 6, 4, "above")
    group = slide.shapes.add_group_shape()
    add_box(group.shapes, 12, 12.2, "group right")
    add_box(group.shapes, 1, 12, "group left")
    assert [text for _, text in blocks(saved(show))] == [
        "## Title",
        "above",
        "lower left",
        "lower right",
        "group left",
        "group right",
    ]


def test_a_slide_without_a_title_ends_the_one_before() -> None:
    show = pptx.Presentation()
    add_slide(show, BLANK)
    add_box(add_slide(show, BLANK).shapes, 1, 1, "text")
    document = parse(saved(show))
    assert document.text == "## Slide 2\n\ntext"
    assert document.title is None
    assert [(place.start, place.number) for place in document.places] == [(0, 2)]


def test_tables_with_merged_cells() -> None:
    show = pptx.Presentation()
    slide = add_slide(show, BLANK)
    table = slide.shapes.add_table(4, 3, Cm(1), Cm(1), Cm(9), Cm(4)).table
    for number, text in enumerate("Region,2023,,,Net,Gross,North,1,2,,3,4".split(",")):
        table.cell(number // 3, number % 3).text = text
    table.cell(0, 1).merge(table.cell(0, 2))
    table.cell(0, 0).merge(table.cell(1, 0))
    table.cell(2, 0).merge(table.cell(3, 0))
    assert blocks(saved(show))[1] == (
        "table",
        "| Region | 2023 Net | 2023 Gross |\n|---|---|---|\n| North | 1 | 2 |\n| North | 3 | 4 |",
    )


def test_charts_are_read_as_their_numbers() -> None:
    show = pptx.Presentation()
    slide = add_slide(show, TITLE_ONLY, "Sales")
    data: Any = CategoryChartData(number_format="0%")  # type: ignore[no-untyped-call]
    data.categories = ["East", "007"]
    data.add_series("Q1", (0.25, 0.5))
    data.add_series("Q2", (None, 1.0))
    chart = slide.shapes.add_chart(
        XL_CHART_TYPE.COLUMN_CLUSTERED, Cm(1), Cm(1), Cm(9), Cm(9), data
    ).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Growth"
    assert blocks(saved(show)) == [
        ("heading", "## Sales"),
        ("paragraph", "Growth"),
        ("table", "|  | Q1 | Q2 |\n|---|---|---|\n| East | 25% |  |\n| 007 | 50% | 100% |"),
    ]


def paragraph(text: str, bullet: str = "", level: int = 0) -> str:
    return f'<a:p><a:pPr lvl="{level}">{bullet}</a:pPr><a:r><a:t>{text}</a:t></a:r></a:p>'


def test_bullets_and_numbers_are_told_from_plain_paragraphs() -> None:
    show = pptx.Presentation()
    slide = add_slide(show, BODY, "Lists")
    slide.placeholders[1].text = "marker"
    numbered = '<a:buAutoNum type="{}" startAt="3"/>'
    new = "".join(
        [
            paragraph("inherits a bullet"),
            paragraph("has none", "<a:buNone/>"),
            paragraph("three", numbered.format("arabicPeriod")),
            paragraph("letter", numbered.format("alphaLcParenR"), 1),
            paragraph("four", numbered.format("arabicPeriod")),
            "<a:p><a:r><a:t>two</a:t></a:r><a:br/><a:r><a:t>lines</a:t></a:r>"
            '<a:fld id="{1}" type="slidenum"><a:t>5</a:t></a:fld></a:p>',
        ]
    )
    old = "<a:p><a:r><a:t>marker</a:t></a:r></a:p>"
    name = "ppt/slides/slide1.xml"
    with zipfile.ZipFile(io.BytesIO(saved(show))) as archive:
        content = archive.read(name).decode()
    start = content.rindex("<a:p>", 0, content.index("marker"))
    old = content[start : content.index("</a:p>", start) + len("</a:p>")]
    assert blocks(changed(saved(show), {name: (old, new)}))[1:] == [
        ("list", "- inherits a bullet"),
        ("paragraph", "has none"),
        ("list", "3. three\n  - c) letter\n4. four\n- two\n  lines"),
    ]


def test_lists_of_two_shapes_are_two_lists() -> None:
    show = pptx.Presentation()
    slide = add_slide(show, TWO, "Two")
    slide.placeholders[1].text = "left"
    slide.placeholders[2].text = "right"
    assert blocks(saved(show))[1:] == [("list", "- left"), ("list", "- right")]


def test_footers_dates_and_numbers_of_slides_are_left_out() -> None:
    show = pptx.Presentation()
    slide = add_slide(show, BODY, "Title")
    slide.placeholders[1].text = "Company, 2024"
    footer = changed(
        saved(show), {"ppt/slides/slide1.xml": ('<p:ph idx="1"/>', '<p:ph type="ftr" idx="11"/>')}
    )
    assert blocks(footer) == [("heading", "## Title")]


def test_hidden_slides_are_read_and_counted() -> None:
    show = pptx.Presentation()
    add_slide(show, TITLE_ONLY, "Hidden")._element.set("show", "0")
    add_slide(show, TITLE_ONLY, "Shown")
    assert blocks(saved(show)) == [("heading", "## Hidden"), ("heading", "## Shown")]


COMMENTS = (
    '<p:cmLst xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main">'
    '<p:cm authorId="0"><p:text>Is it so?</p:text></p:cm>'
    '<p:cm authorId="7"><p:text>Yes.</p:text></p:cm></p:cmLst>'
)
AUTHORS = (
    '<p:cmAuthorLst xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main">'
    '<p:cmAuthor id="0" name="Ann"/></p:cmAuthorLst>'
)
RELATION = (
    '<Relationship Id="{0}" Target="{1}" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{2}"/>'
    "</Relationships>"
)


def with_parts(data: bytes, parts: Mapping[str, str], relations: Mapping[str, str]) -> bytes:
    data = changed(data, {name: ("</Relationships>", added) for name, added in relations.items()})
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def test_comments_and_embedded_files() -> None:
    show = pptx.Presentation()
    add_slide(show, TITLE_ONLY, "Title")
    relations = RELATION.format("c", "../comments/comment1.xml", "comments")
    embedded = RELATION.format("e", "../embeddings/Book.xlsx", "package")
    data = with_parts(
        saved(show),
        {
            "ppt/comments/comment1.xml": COMMENTS,
            "ppt/commentAuthors.xml": AUTHORS,
            "ppt/embeddings/Book.xlsx": "bytes",
        },
        {
            "ppt/slides/_rels/slide1.xml.rels": relations.replace("</Relationships>", embedded),
            "ppt/_rels/presentation.xml.rels": RELATION.format(
                "a", "commentAuthors.xml", "commentAuthors"
            ),
        },
    )
    assert blocks(data)[1:] == [
        ("quote", "Comment (Ann): Is it so?"),
        ("quote", "Comment: Yes."),
    ]
    members = [m for m in documents(parse_pptx(Content(data))) if isinstance(m, Member)]
    assert [(member.name, member.content) for member in members] == [("Book.xlsx", b"bytes")]


def test_slides_are_found_where_their_list_is_damaged() -> None:
    show = pptx.Presentation()
    for number in range(1, 12):
        add_slide(show, TITLE_ONLY, f"No {number}")
    data = changed(saved(show), {"ppt/presentation.xml": ("", "")})
    assert [text for _, text in blocks(data)] == [f"## No {n}" for n in range(1, 12)]


def test_a_slide_that_is_damaged_costs_only_itself() -> None:
    show = pptx.Presentation()
    add_slide(show, TITLE_ONLY, "Broken")
    add_slide(show, TITLE_ONLY, "Whole")
    data = changed(saved(show), {"ppt/slides/slide1.xml": ("<p:sld ", "<<<")})
    document = parse(data)
    assert document.text == "## Whole"
    assert [place.number for place in document.places] == [2]


def test_no_slides_at_all_is_malformed() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("ppt/presentation.xml", "<p/>")
    with pytest.raises(UnreadableDocument) as caught:
        parse(file.getvalue())
    assert caught.value.code == "malformed"


@pytest.mark.data
def test_real_presentations(data_folder: Path) -> None:
    files = data_folder / "formats"
    found = blocks((files / "ok" / "sample-presentation.pptx").read_bytes())
    assert found[2:5] == [
        ("heading", "## This is the first content slide"),
        ("paragraph", "There’s text here"),
        (
            "list",
            "- And a list of bulleted information\n  - With a sub-bullet\n  - And another one\n"
            "    - This one is a sub-sub-bullet\n- We can see how it works",
        ),
    ]
    table = blocks((files / "ok" / "fake-power-point-table.pptx").read_bytes())
    assert table[1][1].startswith("| Column 1 | Column 2 | Column 3 |\n|---|---|---|\n| Red |")
    damaged = parse((files / "hostile" / "fake-power-point-malformed.pptx").read_bytes())
    assert damaged.text == "## Test Slide"
