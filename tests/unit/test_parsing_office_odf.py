"""OpenDocument files: texts, slides and sheets, as they are displayed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from indexers.parsing.composing import documents
from indexers.parsing.content import Content, Parser
from indexers.parsing.office.odf import parse_odp, parse_odt
from indexers.parsing.office.ods import parse_ods
from indexers.parsing.office.sheets import parse_sheets
from rag.errors import UnreadableDocument
from rag.types import Document

NAMES = {
    "office": "office", "text": "text", "table": "table", "draw": "drawing", "meta": "meta",
    "style": "style", "svg": "svg-compatible", "presentation": "presentation", "chart": "chart",
    "manifest": "manifest",
}  # fmt: skip
NAMESPACES = " ".join(
    [
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xlink="http://www.w3.org/1999/xlink"',
        *(
            f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
            for short, name in NAMES.items()
        ),
    ]
)


def xml(root: str, inner: str) -> str:
    return f"<{root} {NAMESPACES}>{inner}</{root}>"


def package(body: str, styles: str = "", parts: Mapping[str, str] | None = None) -> bytes:
    """Build a file of its body and automatic styles, and of other parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            "content.xml",
            xml(
                "office:document-content",
                f"<office:automatic-styles>{styles}</office:automatic-styles>"
                f"<office:body>{body}</office:body>",
            ),
        )
        for name, part in (parts or {}).items():
            archive.writestr(name, part)
    return file.getvalue()


def parse(parser: Parser, data: bytes) -> Document:
    (document,) = documents(parser(Content(data)))
    assert isinstance(document, Document)
    return document


def blocks(parser: Parser, data: bytes) -> list[tuple[str, str]]:
    document = parse(parser, data)
    return [(b.kind, document.text[b.start : b.end]) for b in document.blocks]


def odt(text: str, styles: str = "", parts: Mapping[str, str] | None = None) -> bytes:
    return package(f"<office:text>{text}</office:text>", styles, parts)


META = xml(
    "office:document-meta",
    "<office:meta><dc:title>A title</dc:title><meta:initial-creator>Ann</meta:initial-creator>"
    "<dc:creator>Bob</dc:creator><dc:date>2024-05-06T07:08:09</dc:date><dc:language>de</dc:language>"
    "<meta:creation-date>2024-01-02T00:00:00</meta:creation-date><meta:keyword>x</meta:keyword>"
    '<meta:keyword>y</meta:keyword><meta:document-statistic meta:page-count="3"/></office:meta>',
)


def test_headings_paragraphs_and_properties() -> None:
    text = (
        '<text:h text:outline-level="1">Chapter</text:h>'
        "<text:p>Two <text:span>words</text:span>  \n  and<text:s text:c='3'/>space"
        "<text:tab/>tab<text:line-break/>line</text:p>"
        '<text:section><text:h text:outline-level="2">Part</text:h></text:section><text:p/>'
    )
    data = odt(text, parts={"meta.xml": META})
    assert blocks(parse_odt, data) == [
        ("heading", "# Chapter"),
        ("paragraph", "Two words and   space\ttab\nline"),
        ("heading", "## Part"),
    ]
    document = parse(parse_odt, data)
    assert document.title == "A title"
    assert document.metadata == {
        "meta.author": "Ann",
        "meta.modified": 1714979289,
        "meta.created": 1704153600,
        "meta.lang": "de",
        "meta.keywords": "x, y",
        "meta.pages": 3,
    }


STYLES = (
    '<style:style style:name="P1" style:family="paragraph" style:parent-style-name="Title"/>'
    '<style:style style:name="P2" style:parent-style-name="Preformatted_20_Text"/>'
    '<style:style style:name="P3" style:parent-style-name="Quotations"/>'
    '<style:style style:name="T1"><style:text-properties text:display="none"/></style:style>'
    '<text:list-style style:name="L1">'
    '<text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/>'
    '<text:list-level-style-number text:level="2" style:num-format="a" style:num-suffix=")"/>'
    '<text:list-level-style-bullet text:level="3"/></text:list-style>'
)


def test_styles_make_titles_quotes_and_code_and_hide_text() -> None:
    text = (
        '<text:p text:style-name="P1">The title</text:p>'
        '<text:p text:style-name="P2">x = 1</text:p><text:p text:style-name="P2">  y</text:p>'
        '<text:p text:style-name="P3">So he said.</text:p>'
        '<text:p>seen<text:span text:style-name="T1"> hidden</text:span></text:p>'
        '<text:p text:style-name="T1">hidden</text:p>'
    )
    assert blocks(parse_odt, odt(text, STYLES)) == [
        ("heading", "# The title"),
        ("code", "x = 1\n y"),
        ("quote", "So he said."),
        ("paragraph", "seen"),
    ]
    assert parse(parse_odt, odt(text, STYLES)).title == "The title"


def test_lists_are_nested_and_counted() -> None:
    def items(*inner: str) -> str:
        return "".join(f"<text:list-item>{item}</text:list-item>" for item in inner)

    text = (
        '<text:list text:style-name="L1">'
        + items(
            "<text:p>one</text:p>",
            "<text:p>two</text:p><text:p>goes on</text:p><text:list>"
            + items(
                "<text:p>a</text:p><text:list>" + items("<text:p>dot</text:p>") + "</text:list>"
            )
            + "</text:list>",
        )
        + "</text:list><text:list text:style-name='L1' text:continue-numbering='true'>"
        + items("<text:p>three</text:p>")
        + "</text:list><text:p>between</text:p><text:list text:style-name='L1'>"
        + items("<text:p>anew</text:p>")
        + "</text:list><text:list>"
        + items("<text:p>bullet</text:p>")
        + "</text:list>"
    )
    assert blocks(parse_odt, odt(text, STYLES)) == [
        ("list", "1. one\n2. two\n  goes on\n  - a) a\n    - dot\n3. three"),
        ("paragraph", "between"),
        ("list", "1. anew\n- bullet"),
    ]


def test_numbered_headings_show_their_numbers() -> None:
    outline = (
        "<text:outline-style>"
        '<text:outline-level-style text:level="1" style:num-format="1"/>'
        '<text:outline-level-style text:level="2" style:num-format="1" text:display-levels="2"/>'
        "</text:outline-style>"
    )
    styles = xml("office:document-styles", f"<office:styles>{outline}</office:styles>")
    text = "".join(
        f'<text:h text:outline-level="{level}">{name}</text:h>'
        for level, name in ((1, "a"), (2, "b"), (2, "c"), (1, "d"), (2, "e"), (3, "f"))
    )
    found = blocks(parse_odt, odt(text, parts={"styles.xml": styles}))
    assert [text for _, text in found] == [
        "# 1 a", "## 1.1 b", "## 1.2 c", "# 2 d", "## 2.1 e", "### f"
    ]  # fmt: skip


def test_notes_comments_and_changes() -> None:
    note = (
        "<text:note><text:note-citation>1</text:note-citation>"
        "<text:note-body><text:p>A note.</text:p></text:note-body></text:note>"
    )
    comment = (
        "<office:annotation><dc:creator>Ann</dc:creator><dc:date>2024</dc:date>"
        "<text:p>Why?</text:p></office:annotation>"
    )
    text = (
        "<text:tracked-changes><text:changed-region><text:deletion><text:p>deleted</text:p>"
        "</text:deletion></text:changed-region></text:tracked-changes>"
        f"<text:p>Text{note} goes{comment} on<text:change/>.</text:p><text:p>More{note}</text:p>"
    )
    assert blocks(parse_odt, odt(text)) == [
        ("paragraph", "Text[^1] goes on."),
        ("paragraph", "[^1]: A note."),
        ("quote", "Comment (Ann): Why?"),
        ("paragraph", "More[^2]"),
        ("paragraph", "[^2]: A note."),
    ]


def cell(text: str, extra: str = "") -> str:
    return f"<table:table-cell {extra}><text:p>{text}</text:p></table:table-cell>"


COVERED = "<table:covered-table-cell/>"


def row(*cells: str, extra: str = "") -> str:
    return f"<table:table-row {extra}>{''.join(cells)}</table:table-row>"


def test_tables_with_headers_spans_and_repetition() -> None:
    text = (
        "<table:table><table:table-header-rows>"
        + row(cell("Region"), cell("2023", 'table:number-columns-spanned="2"'), COVERED)
        + row(cell(""), cell("Net"), cell("Gross"))
        + "</table:table-header-rows>"
        + row(cell("North", 'table:number-rows-spanned="2"'), cell("1"), cell("2"))
        + row(COVERED, cell("3"), cell("4"))
        + row(cell("South"), cell("x", 'table:number-columns-repeated="2"'))
        + "</table:table>"
    )
    assert blocks(parse_odt, odt(text)) == [
        (
            "table",
            "| Region | 2023 Net | 2023 Gross |\n|---|---|---|\n| North | 1 | 2 |\n"
            "| North | 3 | 4 |\n| South | x | x |",
        )
    ]


def test_repetition_in_a_table_is_bounded() -> None:
    many = "999999999"
    text = (
        f"<table:table>{row(cell('a'), cell('b'))}"
        + row(
            cell("x" * 150, f'table:number-columns-repeated="{many}"'),
            extra=f'table:number-rows-repeated="{many}"',
        )
        + "</table:table>"
    )
    found = list(documents(parse_odt(Content(odt(text)))))
    assert sum(len(d.text) for d in found if isinstance(d, Document)) < 3_000_000


def test_frames_formulas_and_charts() -> None:
    text = (
        "<text:p>before <draw:frame><svg:title>alternative</svg:title><draw:text-box>"
        "<text:p>in the box</text:p></draw:text-box></draw:frame>after</text:p>"
        '<text:p><draw:frame><draw:object xlink:href="./Object 1"/></draw:frame></text:p>'
        '<text:p><draw:frame><draw:object xlink:href="./Object 2"/></draw:frame></text:p>'
        '<text:p><draw:frame><draw:object xlink:href="../gone"/></draw:frame></text:p>'
    )
    formula = "<math><semantics><mi>E</mi><annotation>E = m c^2</annotation></semantics></math>"
    chart = xml(
        "office:document-content",
        "<office:body><office:chart><chart:chart><chart:title><text:p>Sales</text:p></chart:title>"
        "<table:table>"
        + row(cell(""), cell("NaN"), cell("Q1"))
        + row(cell("East"), cell("NaN"), cell("5"))
        + "</table:table></chart:chart></office:chart></office:body>",
    )
    parts = {"Object 1/content.xml": formula, "Object 2/content.xml": chart}
    assert [text for _, text in blocks(parse_odt, odt(text, parts=parts))] == [
        "before after",
        "in the box",
        "E = m c^2",
        "Sales",
        "|  | Q1 |\n|---|---|\n| East | 5 |",
    ]


def test_margins_come_last_without_page_numbers() -> None:
    styles = xml(
        "office:document-styles",
        "<office:master-styles><style:master-page><style:footer><text:p>Page "
        "<text:page-number>1</text:page-number></text:p><text:p>Company</text:p></style:footer>"
        "<style:header><text:p>Company</text:p></style:header></style:master-page>"
        "</office:master-styles>",
    )
    found = blocks(parse_odt, odt("<text:p>text</text:p>", parts={"styles.xml": styles}))
    assert [text for _, text in found] == ["text", "Company"]


def frame(text: str, top: str, left: str, kind: str = "") -> str:
    named = f'presentation:class="{kind}"' if kind else ""
    return (
        f'<draw:frame svg:y="{top}" svg:x="{left}" {named}><draw:text-box>'
        f"<text:p>{text}</text:p></draw:text-box></draw:frame>"
    )


def test_slides() -> None:
    notes = f"<presentation:notes>{frame('Say it.', '1cm', '1cm', 'notes')}</presentation:notes>"
    body = (
        "<office:presentation><draw:page>"
        + frame("lower", "9cm", "1cm")
        + frame("right", "4.1cm", "12cm")
        + frame("left", "40mm", "1cm")
        + frame("The plan", "20cm", "1cm", "title")
        + frame("2024", "21cm", "1cm", "footer")
        + notes
        + f"</draw:page><draw:page>{frame('untitled', '1cm', '1cm')}</draw:page>"
        "<draw:page/></office:presentation>"
    )
    document = parse(parse_odp, package(body))
    assert document.text == (
        "## The plan\n\nleft\n\nright\n\nlower\n\nNotes: Say it.\n\n## Slide 2\n\nuntitled"
    )
    assert document.title == "The plan"
    assert document.metadata["meta.slides"] == 3
    assert [(place.kind, place.number) for place in document.places] == [("slide", 1), ("slide", 2)]


def ods(*tables: str) -> bytes:
    return package(f"<office:spreadsheet>{''.join(tables)}</office:spreadsheet>")


def table(name: str, *rows: str) -> str:
    return f'<table:table table:name="{name}">{"".join(rows)}</table:table>'


@pytest.mark.parametrize("parser", [parse_ods, parse_sheets])
def test_sheets(parser: Parser) -> None:
    day = (
        '<table:table-cell office:value-type="date" office:date-value="2024-02-29">'
        "<text:p>29.02.24</text:p></table:table-cell>"
    )
    comment = (
        "<office:annotation><dc:creator>Ann</dc:creator><text:p>So?</text:p></office:annotation>"
    )
    remarked = cell("5").replace("<text:p>", f"{comment}<text:p>", 1)
    data = ods(
        table(
            "One",
            row("<table:table-cell/>", extra='table:number-rows-repeated="9"'),
            row("<table:table-cell table:number-columns-repeated='2'/>", cell("Day"), cell("%")),
            row("<table:table-cell table:number-columns-repeated='2'/>", day, cell("5 %")),
            row("<table:table-cell/>", extra='table:number-rows-repeated="1048000"'),
        ),
        table("Empty", row("<table:table-cell/>")),
        table("Three", row(cell("a", 'table:number-columns-repeated="2"'), remarked)),
    )
    document = parse(parser, data)
    assert document.text == (
        "# One\n\n| Day | % |\n|---|---|\n| 2024-02-29 | 5 % |\n\n# Three\n\na | a | 5\n\n"
        "Comment C1 (Ann): So?"
    )
    assert [(p.number, p.label, p.row, p.column, p.columns) for p in document.places] == [
        (1, "One", 0, 0, 0),
        (1, "One", 10, 3, 2),
        (1, "One", 11, 3, 2),
        (3, "Three", 0, 0, 0),
        (3, "Three", 1, 1, 3),
    ]
    assert document.metadata["meta.sheets"] == 3


def test_repetition_in_a_sheet_is_bounded() -> None:
    many = "999999999"
    wide = cell("x" * 1000, f'table:number-columns-repeated="{many}"')
    with pytest.raises(UnreadableDocument) as caught:
        list(
            parse_ods(
                Content(ods(table("S", row(wide, extra=f'table:number-rows-repeated="{many}"'))))
            )
        )
    assert caught.value.code == "too_large"


def test_an_encrypted_file_says_so() -> None:
    manifest = xml(
        "manifest:manifest",
        '<manifest:file-entry manifest:full-path="content.xml"><manifest:encryption-data/>'
        "</manifest:file-entry>",
    )
    for parts in ({"META-INF/manifest.xml": manifest}, {"encrypted-package": "x"}):
        for parser in (parse_odt, parse_odp, parse_ods):
            with pytest.raises(UnreadableDocument) as caught:
                list(parser(Content(odt("<text:p>x</text:p>", parts=parts))))
            assert caught.value.code == "encrypted"


@pytest.mark.parametrize("parser", [parse_odt, parse_odp, parse_ods])
def test_what_is_no_document_is_malformed(parser: Parser) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", "x")
    for data in (b"", b"text", file.getvalue()):
        with pytest.raises(UnreadableDocument) as caught:
            list(parser(Content(data)))
        assert caught.value.code == "malformed"


def test_a_damaged_text_is_read_up_to_the_damage() -> None:
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(odt("<text:p>one</text:p><text:p>two</text:p>"))) as old,
        zipfile.ZipFile(file, "w") as new,
    ):
        content = old.read("content.xml")
        new.writestr("content.xml", content[: content.index(b"two") - 8])
    assert blocks(parse_odt, file.getvalue()) == [("paragraph", "one")]


@pytest.mark.data
def test_real_texts(data_folder: Path) -> None:
    files = data_folder / "formats" / "ok"
    found = blocks(parse_odt, (files / "text_document_01.odt").read_bytes())
    assert found[0] == ("heading", "# Title")
    assert [text for kind, text in found if kind == "list"] == [
        "1. numbered list 1\n2. numbered list 2\n  - bullet list 2.1\n  - bullet list 2.2\n"
        "    - bullet list 2.2.1\n  - bullet list 2.3\n- numbered list 3\n  - bullet list 3.0.1"
    ]
    assert "- Parrots\n  - Hockey" in parse(parse_odt, (files / "simple.odt").read_bytes()).text
