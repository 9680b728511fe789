"""Word documents: what a reader sees of them, in the order in which it is read."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import docx
import pytest
from docx.enum.style import WD_STYLE_TYPE
from docx.oxml.ns import qn

from indexers.parsing.composing import documents
from indexers.parsing.content import Content, Member
from indexers.parsing.office.docx import parse_docx
from rag.errors import UnreadableDocument
from rag.types import Document

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
NAMESPACES = (
    f'xmlns:w="{W}" xmlns:r="{R}" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
)


def relation(key: str, kind: str, target: str) -> str:
    return f'<Relationship Id="{key}" Type="{R}/{kind}" Target="{target}"/>'


def package(body: str, parts: Mapping[str, str] | None = None) -> bytes:
    """Build a document of its body, and other parts by their names without the ending."""
    parts = parts or {}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{RELATIONS}">'
            + relation("d", "officeDocument", "/word/document.xml")
            + relation("a", "extended-properties", "docProps/app.xml")
            + "</Relationships>",
        )
        archive.writestr(
            "word/_rels/document.xml.rels",
            f'<Relationships xmlns="{RELATIONS}">'
            + "".join(
                relation(name, re.sub(r"\d", "", name), f"{name}.xml")
                for name in parts
                if name != "app"
            )
            + relation("gone", "styles", "missing.xml")
            + "</Relationships>",
        )
        archive.writestr(
            "word/document.xml",
            f"<w:document {NAMESPACES}><w:body>{body}</w:body></w:document>",
        )
        for name, part in parts.items():
            if name == "app":
                archive.writestr("docProps/app.xml", f"<Properties>{part}</Properties>")
                continue
            archive.writestr(f"word/{name}.xml", f"<w:{name} {NAMESPACES}>{part}</w:{name}>")
    return file.getvalue()


def parse(data: bytes) -> Document:
    (document,) = documents(parse_docx(Content(data, name="file.docx")))
    assert isinstance(document, Document)
    return document


def blocks(data: bytes) -> list[tuple[str, str]]:
    found = documents(parse_docx(Content(data, name="file.docx")))
    return [
        (block.kind, document.text[block.start : block.end])
        for document in found
        if isinstance(document, Document)
        for block in document.blocks
    ]


def saved(document: docx.document.Document) -> bytes:
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def p(*runs: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr>{''.join(runs)}</w:p>"


def r(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def field(code: str, result: str) -> str:
    parts = ("begin", "separate", "end")
    begin, separate, end = (f'<w:r><w:fldChar w:fldCharType="{part}"/></w:r>' for part in parts)
    return f"{begin}<w:r><w:instrText>{code}</w:instrText></w:r>{separate}{r(result)}{end}"


def test_structure_of_a_document_made_by_a_library() -> None:
    made = docx.Document()
    made.core_properties.title = "Annual report"
    made.core_properties.author = "A. Writer"
    made.core_properties.keywords = "steel, ships"
    made.add_heading("Report", 0)
    made.add_heading("Introduction", 1)
    made.add_paragraph("First words.\tAfter a tab")
    made.add_paragraph("one", style="List Bullet")
    made.add_paragraph("inner", style="List Bullet 2")
    made.add_paragraph("two", style="List Bullet")
    made.add_paragraph("steps", style="List Number")
    made.add_paragraph("more steps", style="List Number")
    made.add_heading("Details", 2)
    made.add_paragraph("So it is said.", style="Intense Quote")
    table = made.add_table(rows=3, cols=2)
    for row, texts in zip(table.rows, [("Name", "Sum"), ("a|b", "1"), ("c\nd", "2")], strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    document = parse(saved(made))
    assert [(b.kind, document.text[b.start : b.end]) for b in document.blocks] == [
        ("heading", "# Report"),
        ("heading", "# Introduction"),
        ("paragraph", "First words.\tAfter a tab"),
        ("list", "- one\n  - inner\n- two\n1. steps\n2. more steps"),
        ("heading", "## Details"),
        ("quote", "So it is said."),
        ("table", "| Name | Sum |\n|---|---|\n| a\\|b | 1 |\n| c d | 2 |"),
    ]
    assert document.title == "Report"
    assert document.metadata["meta.author"] == "A. Writer"
    assert document.metadata["meta.keywords"] == "steel, ships"
    assert document.metadata["meta.created"] == 1387840500  # that of the library's template
    assert "meta.pages" not in document.metadata  # the template's number is not the document's
    assert document.places == ()


def test_headings_are_found_by_name_inheritance_and_outline() -> None:
    made = docx.Document()
    styles = made.styles
    greek = styles.add_style("Επικεφαλίδα 2", WD_STYLE_TYPE.PARAGRAPH)
    own = styles.add_style("Our own", WD_STYLE_TYPE.PARAGRAPH)
    own.base_style = styles["Heading 3"]
    contents = styles.add_style("Contents", WD_STYLE_TYPE.PARAGRAPH)
    contents.base_style = styles["Heading 1"]
    level = contents.element.get_or_add_pPr()._add_outlineLvl()
    level.set(qn("w:val"), "9")
    made.add_paragraph("by name", style=greek)
    made.add_paragraph("by base", style=own)
    made.add_paragraph("no heading", style=contents)
    direct = made.add_paragraph("by outline")
    direct.paragraph_format.element.get_or_add_pPr()._add_outlineLvl().set(qn("w:val"), "3")
    made.add_paragraph("long " * 200, style="Heading 1")
    document = parse(saved(made))
    assert [(b.kind, b.level, b.label) for b in document.blocks] == [
        ("heading", 2, "by name"),
        ("heading", 3, "by base"),
        ("paragraph", 0, ""),
        ("heading", 4, "by outline"),
        ("paragraph", 0, ""),
    ]


NUMBERING = """
<w:abstractNum w:abstractNumId="0">
  <w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
  <w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="upperRoman"/>
    <w:lvlText w:val="%1.%2"/></w:lvl>
  <w:lvl w:ilvl="2"><w:start w:val="3"/><w:numFmt w:val="lowerLetter"/>
    <w:lvlText w:val="(%3)"/></w:lvl>
</w:abstractNum>
<w:abstractNum w:abstractNumId="1">
  <w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="•"/></w:lvl>
</w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>
<w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>
<w:num w:numId="3"><w:abstractNumId w:val="0"/>
  <w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/></w:lvlOverride></w:num>
"""


def item(text: str, number: int, level: int = 0, extra: str = "") -> str:
    numbering = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>'
    return p(r(text), properties=extra + numbering)


def test_items_keep_the_labels_that_readers_see() -> None:
    body = "".join(
        [
            item("a", 1),
            item("b", 1),
            item("b1", 1, 1),
            item("b2", 1, 1),
            item("deep", 1, 2),
            item("c", 1),
            item("c1", 1, 1),
            item("bullet", 2),
            item("anew", 3),
            item("on", 3),
            item("unknown list", 99),
            item("none", 0),
            item("Heading", 1, 0, '<w:outlineLvl w:val="0"/>'),
        ]
    )
    assert blocks(package(body, {"numbering": NUMBERING})) == [
        (
            "list",
            "1. a\n2. b\n  - 2.I b1\n  - 2.II b2\n    - (c) deep\n3. c\n  - 3.I c1\n- bullet\n"
            "7. anew\n8. on",
        ),
        ("paragraph", "unknown list"),
        ("paragraph", "none"),
        ("heading", "# 9. Heading"),
    ]


def test_bullets_that_were_typed_by_hand_make_a_list() -> None:
    body = p(r("• one")) + p(r("•\ttwo")) + p(r("•")) + p(r("•not"))
    assert blocks(package(body)) == [("list", "- one\n- two"), ("paragraph", "•not")]


def test_changes_that_are_tracked_read_as_accepted() -> None:
    body = p(
        r("kept "),
        f"<w:ins>{r('inserted ')}</w:ins>",
        "<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del>",
        f"<w:moveFrom>{r('from here ')}</w:moveFrom>",
        f"<w:moveTo>{r('to here')}</w:moveTo>",
    )
    assert blocks(package(body)) == [("paragraph", "kept inserted to here")]


def test_hidden_text_is_not_read() -> None:
    styles = (
        '<w:style w:type="character" w:styleId="Secret"><w:rPr><w:vanish/></w:rPr></w:style>'
        '<w:style w:type="paragraph" w:styleId="Gone"><w:rPr><w:vanish/></w:rPr></w:style>'
    )
    body = p(
        r("seen "),
        r("hidden", "<w:vanish/>"),
        r("shown ", '<w:vanish w:val="0"/>'),
        r("by style", '<w:rStyle w:val="Secret"/>'),
        r("web", "<w:webHidden/>"),
    ) + p(
        r("hidden "),
        r("again shown", '<w:vanish w:val="false"/>'),
        properties='<w:pStyle w:val="Gone"/>',
    )
    assert blocks(package(body, {"styles": styles})) == [
        ("paragraph", "seen shown web"),
        ("paragraph", "again shown"),
    ]


def test_fields_show_their_results_also_over_paragraphs() -> None:
    begin = '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>TOC</w:instrText></w:r>'
    separate = '<w:r><w:fldChar w:fldCharType="separate"/></w:r>'
    end = '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    body = (
        p(r("see "), field("REF x", "chapter 2"), r(" on page "), field("PAGEREF x", "7"))
        + p(begin, r("code, not text"), separate, r("First\t1"))
        + p(r("Second\t2"), end)
        + p(f'<w:fldSimple w:instr="DATE">{r("today")}</w:fldSimple>')
        + p("<w:r><w:instrText>stray</w:instrText></w:r>", end, r("after"))
    )
    assert [text for _, text in blocks(package(body))] == [
        "see chapter 2 on page 7",
        "First\t1",
        "Second\t2",
        "today",
        "after",
    ]


def test_check_boxes_symbols_breaks_and_rubies() -> None:
    box = (
        '<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:checkBox><w:checked/></w:checkBox>'
        '</w:ffData></w:fldChar></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )
    ruby = (
        "<w:r><w:ruby><w:rt><w:r><w:t>かん</w:t></w:r></w:rt>"
        "<w:rubyBase><w:r><w:t>漢</w:t></w:r></w:rubyBase></w:ruby></w:r>"
    )
    body = p(
        box,
        '<w:r><w:sym w:font="Wingdings" w:char="F0FC"/><w:sym w:font="Symbol" w:char="F061"/>'
        '<w:sym w:font="Private" w:char="F0FF"/><w:noBreakHyphen/><w:softHyphen/><w:br/>'
        '<w:t>line</w:t><w:br w:type="page"/></w:r>',
        ruby,
    )
    assert blocks(package(body)) == [("paragraph", "☒✓α-\nline漢")]


def test_notes_and_comments_follow_the_block_that_refers_to_them() -> None:
    notes = (
        f'<w:footnote w:id="0" w:type="separator">{p(r("---"))}</w:footnote>'
        f'<w:footnote w:id="1">{p("<w:r><w:footnoteRef/></w:r>", r(" Of the text."))}</w:footnote>'
        f'<w:footnote w:id="2">{p(r("Of the list"))}{p(r("in two."))}</w:footnote>'
    )
    ends = f'<w:endnote w:id="1">{p(r("At the end."))}</w:endnote>'
    comments = f'<w:comment w:id="5" w:author="Ann  B.">{p(r("Why?"))}</w:comment>'
    refer = '<w:r><w:{}Reference w:id="{}"/></w:r>'
    body = (
        p(r("Text"), refer.format("footnote", 1), refer.format("endnote", 1))
        + item("a", 2)
        + p(
            r("b"),
            refer.format("footnote", 2),
            refer.format("comment", 5),
            properties='<w:numPr><w:numId w:val="2"/></w:numPr>',
        )
        + item("c", 2)
        + p(r("Again"), refer.format("footnote", 1), refer.format("footnote", 77))
    )
    parts = {"footnotes": notes, "endnotes": ends, "comments": comments, "numbering": NUMBERING}
    assert blocks(package(body, parts)) == [
        ("paragraph", "Text[^1][^2]"),
        ("paragraph", "[^1]: Of the text."),
        ("paragraph", "[^2]: At the end."),
        ("list", "- a\n- b[^3]\n- c"),
        ("paragraph", "[^3]: Of the list\nin two."),
        ("quote", "Comment (Ann B.): Why?"),
        ("paragraph", "Again[^1][^4]"),
    ]


def cell(*paragraphs: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{''.join(paragraphs)}</w:tc>"


def row(*cells: str, properties: str = "") -> str:
    return f"<w:tr><w:trPr>{properties}</w:trPr>{''.join(cells)}</w:tr>"


def texts(*cells: str) -> list[str]:
    return [cell(p(r(text))) for text in cells]


SPAN = '<w:gridSpan w:val="2"/>'


def test_cells_that_span_are_repeated_where_they_are_seen() -> None:
    body = (
        "<w:tbl>"
        + row(cell(p(r("Sales by region")), properties='<w:gridSpan w:val="3"/>'))
        + row(cell(p(r("Region")), properties="<w:vMerge w:val='restart'/>"),
              cell(p(r("2023")), properties=SPAN))
        + row(cell(p(), properties="<w:vMerge/>"), *texts("Net", "Gross"))
        + row(cell(p(r("North")), properties="<w:vMerge w:val='restart'/>"), *texts("1", "2"))
        + row(cell(p(), properties="<w:vMerge/>"), *texts("3", "4"))
        + row(cell(p(r("All")), properties='<w:gridSpan w:val="3"/>'))
        + row(*texts("", "", ""))
        + row(*texts("gone", "5", "6"), properties="<w:del/>")
        + row(*texts("7", "8"), properties='<w:gridBefore w:val="1"/>')
        + "</w:tbl>"
    )  # fmt: skip
    assert blocks(package(body)) == [
        ("paragraph", "Sales by region"),
        (
            "table",
            "| Region | 2023 Net | 2023 Gross |\n|---|---|---|\n| North | 1 | 2 |\n"
            "| North | 3 | 4 |\n| All |  |  |\n|  | 7 | 8 |",
        ),
    ]


def test_header_rows_are_those_that_are_marked() -> None:
    header = "<w:tblHeader/>"
    body = (
        "<w:tbl>"
        + row(*texts("A", "B"), properties=header)
        + row(*texts("a", "b"), properties=header)
        + row(*texts("1", "2"))
        + "</w:tbl>"
    )
    assert blocks(package(body)) == [("table", "| A a | B b |\n|---|---|\n| 1 | 2 |")]


def test_a_long_table_repeats_its_header_in_each_part() -> None:
    rows = "".join(row(*texts(str(n), "x")) for n in range(1001))
    found = blocks(package(f"<w:tbl>{row(*texts('No', 'What'))}{rows}</w:tbl>"))
    assert [text.split("\n")[0] for _, text in found] == ["| No | What |"] * 3
    assert [text.count("\n") - 1 for _, text in found] == [500, 500, 1]
    assert [text.split("\n")[2] for _, text in found] == [
        f"| {n} | x |" for n in ("0", "500", "1000")
    ]


def test_tables_inside_tables() -> None:
    inner = f"<w:tbl>{row(*texts('a', 'b'))}{row(*texts('c', 'd'))}</w:tbl>"
    nested = f"<w:tbl>{row(*texts('H', 'I'))}{row(cell(inner, p()), *texts('x'))}</w:tbl>"
    assert blocks(package(nested)) == [("table", "| H | I |\n|---|---|\n| a, b; c, d | x |")]
    frame = f"<w:tbl>{row(cell(p(r('Intro')), inner))}</w:tbl>"
    assert blocks(package(frame)) == [
        ("paragraph", "Intro"),
        ("table", "| a | b |\n|---|---|\n| c | d |"),
    ]


def test_columns_of_text_are_no_table() -> None:
    column = [p(r(f"line {n}")) for n in range(12)]
    body = f"<w:tbl>{row(cell(*column), *texts('beside'))}</w:tbl>"
    assert [kind for kind, _ in blocks(package(body))] == ["paragraph"] * 13


def test_tables_nested_without_end_are_left_out() -> None:
    deep = "<w:tbl><w:tr><w:tc>" * 60 + p(r("deep")) + "</w:tc></w:tr></w:tbl>" * 60
    assert blocks(package(p(r("top")) + deep)) == [("paragraph", "top")]


def test_text_boxes_are_read_once_and_after_their_paragraph() -> None:
    box = f"<w:txbxContent>{p(r('in the box'))}</w:txbxContent>"
    body = p(
        r("before "),
        "<w:r><mc:AlternateContent>"
        f"<mc:Choice Requires='wps'><w:drawing><wps:txbx>{box}</wps:txbx></w:drawing></mc:Choice>"
        f"<mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback>"
        "</mc:AlternateContent></w:r>",
        r("after"),
    )
    assert blocks(package(body)) == [
        ("paragraph", "before after"),
        ("paragraph", "in the box"),
    ]


def test_content_controls_show_their_content_but_no_invitation() -> None:
    control = "<w:sdt><w:sdtPr>{}</w:sdtPr><w:sdtContent>{}</w:sdtContent></w:sdt>"
    hint = "<w:showingPlcHdr/>"
    body = (
        control.format("", p(r("block")))
        + control.format(hint, p(r("Click here")))
        + p(r("in "), control.format("", r("line")), control.format(hint, r("Choose")))
        + f"<w:tbl>{control.format('', row(*texts('a', 'b')))}{row(*texts('1', '2'))}</w:tbl>"
    )
    assert blocks(package(body)) == [
        ("paragraph", "block"),
        ("paragraph", "in line"),
        ("table", "| a | b |\n|---|---|\n| 1 | 2 |"),
    ]


def test_a_large_first_letter_belongs_to_its_word() -> None:
    body = p(r("O"), properties='<w:framePr w:dropCap="drop"/>') + p(r("nce upon"))
    assert blocks(package(body)) == [("paragraph", "Once upon")]


def test_equations_stand_behind_the_words_of_their_line() -> None:
    equation = "<m:oMath><m:r><m:t>a=b</m:t></m:r></m:oMath>"
    assert blocks(package(p(r("if"), equation, r("then"))))[0][1] == "if then (a=b)"
    assert blocks(package(p(r("if "), equation, r(" so."))))[0][1] == "if so. (a=b)"
    assert blocks(package(p(equation)))[0][1] == "a=b"


def margin(kind: str, key: str, form: str) -> str:
    return f'<w:{kind}Reference w:type="{form}" r:id="{key}"/>'


def test_margins_that_are_shown_come_once_and_last() -> None:
    section = (
        margin("header", "header1", "default")
        + margin("header", "header2", "first")
        + margin("footer", "footer1", "default")
        + margin("footer", "footer2", "even")
    )
    parts = {
        "header1": p(r("Company")),
        "header2": p(r("first page only")),
        "footer1": p(r("Company"))
        + p(r("Page "), field(" PAGE ", "1"), r(" of "), field("NUMPAGES", "9"))
        + p(r("Confidential, do not copy "), field("PAGE", "1")),
        "footer2": p(r("even pages")),
    }
    body = p(r("text"), properties=f"<w:sectPr>{section}</w:sectPr>") + p(r("more"))
    end = f"<w:sectPr>{section}</w:sectPr>"
    assert [text for _, text in blocks(package(body + end, parts))] == [
        "text",
        "more",
        "Company",
        "Confidential, do not copy",
    ]
    titled = f"<w:sectPr>{section}<w:titlePg/></w:sectPr>"
    even = {**parts, "settings": "<w:evenAndOddHeaders/>"}
    assert {text for _, text in blocks(package(body + titled, even))} >= {
        "first page only",
        "even pages",
    }


BREAK = "<w:r><w:lastRenderedPageBreak/></w:r>"


def test_pages_are_told_where_their_number_agrees() -> None:
    body = (
        p(r("one"))
        + p(r("still one "), BREAK, r("two"))
        + p(BREAK, r("three"))
        + f"<w:tbl>{row(*texts('a', 'b'))}{row(cell(p(BREAK, r('c'))), *texts('d'))}</w:tbl>"
        + p(r("four"))
    )
    pages = "<Pages>4</Pages><Words>9</Words>"
    document = parse(package(body, {"app": pages}))
    at = document.text.index
    assert [(place.start, place.number) for place in document.places] == [
        (0, 1),
        (at("two"), 2),
        (at("three"), 3),
        (at("four"), 4),
    ]
    assert {place.kind for place in document.places} == {"page"}
    assert document.metadata["meta.pages"] == 4
    other = parse(package(body, {"app": "<Pages>3</Pages><Words>9</Words>"}))
    assert other.places == ()
    assert parse(package(body, {"app": "<Pages>4</Pages>"})).places == ()


def test_the_title_is_the_documents_own() -> None:
    made = docx.Document()
    made.core_properties.title = "Microsoft Word - draft.doc"
    made.add_heading("Chapter", 1)
    assert parse(saved(made)).title == "Chapter"
    made.add_heading("Late title", 0)
    assert parse(saved(made)).title == "Late title"
    assert parse(package(p(r("text")))).title is None


def test_embedded_files_are_members() -> None:
    data = package(p(r("see the sheet")))
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("word/embeddings/Sheet1.xlsx", b"bytes")
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    relations = entries["word/_rels/document.xml.rels"].decode()
    added = relation("e", "package", "embeddings/Sheet1.xlsx")
    entries["word/_rels/document.xml.rels"] = relations.replace(
        "</Relationships>", f"{added}</Relationships>"
    ).encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    found = list(documents(parse_docx(Content(file.getvalue()))))
    assert [(m.name, m.content) for m in found if isinstance(m, Member)] == [
        ("Sheet1.xlsx", b"bytes")
    ]


def test_the_strict_form_of_the_standard() -> None:
    file = io.BytesIO(package(p(r("strict"))))
    with zipfile.ZipFile(file) as archive:
        body = archive.read("word/document.xml").replace(
            W.encode(), b"http://purl.oclc.org/ooxml/wordprocessingml/main"
        )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("word/document.xml", body)
    assert blocks(file.getvalue()) == [("paragraph", "strict")]


def test_a_damaged_body_is_read_up_to_the_damage() -> None:
    whole = package(p(r("one")) + p(r("two")) + p(r("lost")))
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive, zipfile.ZipFile(file, "w") as cut:
        data = archive.read("word/document.xml")
        cut.writestr("word/document.xml", data[: data.index(b"lost") - 10])
    assert blocks(file.getvalue()) == [("paragraph", "one"), ("paragraph", "two")]


@pytest.mark.parametrize("data", [b"", b"text", b"PK\x03\x04"])
def test_what_is_no_document_is_malformed(data: bytes) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        parse(data)
    assert caught.value.code == "malformed"


def test_an_archive_without_a_document_is_malformed() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(UnreadableDocument) as caught:
        parse(file.getvalue())
    assert caught.value.code == "malformed"


def test_styles_that_are_based_on_each_other_end() -> None:
    styles = (
        '<w:style w:type="paragraph" w:styleId="A"><w:basedOn w:val="B"/></w:style>'
        '<w:style w:type="paragraph" w:styleId="B"><w:basedOn w:val="A"/>'
        '<w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>'
    )
    body = p(r("x"), properties='<w:pStyle w:val="A"/>')
    assert blocks(package(body, {"styles": styles})) == [("heading", "## x")]


def test_a_note_that_refers_to_itself_ends() -> None:
    refer = '<w:r><w:footnoteReference w:id="1"/></w:r>'
    note = f'<w:footnote w:id="1">{p(r("n"), refer)}</w:footnote>'
    assert blocks(package(p(r("x"), refer), {"footnotes": note})) == [
        ("paragraph", "x[^1]"),
        ("paragraph", "[^1]: n[^1]"),
    ]


def test_a_wide_span_costs_no_more_than_a_table_may_have() -> None:
    wide = cell(p(r("x" * 200)), properties='<w:gridSpan w:val="999999999"/>')
    rows = "".join(row(*texts("y"), wide) for _ in range(300))
    data = package(f"<w:tbl>{row(*texts('a', 'b'))}{rows}</w:tbl>")
    assert sum(len(text) for _, text in blocks(data)) < 100_000


def test_a_form_keeps_its_rows_but_pretends_no_columns() -> None:
    def spanned(*cells: tuple[str, int]) -> str:
        return row(
            *(cell(p(r(text)), properties=f'<w:gridSpan w:val="{n}"/>') for text, n in cells)
        )

    body = (
        "<w:tbl>"
        + row(*texts("", "", "", ""))
        + spanned(("Name", 3), ("Photo", 1))
        + spanned(("Place of birth", 2), ("Date of birth", 2))
        + spanned(("Sex", 1), ("Passport number and issuing country", 3))
        + "</w:tbl>"
    )
    assert blocks(package(body)) == [
        (
            "table",
            "| Name | Photo |\n|---|---|\n| Place of birth | Date of birth |\n"
            "| Sex | Passport number and issuing country |",
        )
    ]


@pytest.mark.data
def test_real_documents(data_folder: Path) -> None:
    files = data_folder / "formats"
    document = parse((files / "ok" / "unit_test_headers.docx").read_bytes())
    assert [(b.level, b.label) for b in document.blocks if b.level][:4] == [
        (1, "Test Document"),
        (1, "Section 1"),
        (2, "Section 1.1"),
        (2, "Section 1.2"),
    ]
    assert [(place.kind, place.number) for place in document.places] == [("page", 1), ("page", 2)]
    commented = blocks((files / "ok" / "docx_comments.docx").read_bytes())
    assert commented[2] == (
        "quote",
        "Comment (John Reviewer): This is a sample reviewer comment on the first paragraph.",
    )
    assert "a^2+b^2=c^2" in parse((files / "ok" / "equations.docx").read_bytes()).text


@pytest.mark.data
def test_hostile_documents(data_folder: Path) -> None:
    files = data_folder / "formats" / "hostile"
    with pytest.raises(UnreadableDocument) as caught:
        parse((files / "bomb-100MB.docx").read_bytes())
    assert caught.value.code == "too_large"
    assert parse((files / "xxe.docx").read_bytes()).text == "before  after"
