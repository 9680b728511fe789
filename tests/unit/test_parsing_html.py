"""HTML: what is shown becomes headings, paragraphs, lists, tables, quotes and code."""

from __future__ import annotations

import codecs
import time
from pathlib import Path

import pytest

from indexers.parsing.content import Content, Part, Properties
from indexers.parsing.markup.html import MAX_DEPTH, parse_html, parse_page, read_page
from rag.types import Document


def parse(page: str) -> Document:
    return parse_html(page.encode())


def blocks(document: Document) -> list[tuple[str, str]]:
    return [(b.kind, document.text[b.start : b.end]) for b in document.blocks]


def test_every_kind_of_block_has_its_place() -> None:
    document = parse(
        "<body>bare <b>bold</b>\n text<h2>A <i>head</i>ing</h2>"
        "<div>in div<br>next line<p>para&nbsp;graph</div>"
        "<ul><li>a<li><p>b</p><p>b2</p><ol><li>c<li>d</ol><li>e</ul>"
        "<pre>\n x\n   y</pre>"
        "<table><tr><th>A<th>B|C<tr><td>1<br>2<td> </table>"
        "<blockquote><p>q1<p>q2<br>q3</blockquote>"
        "<dl><dt>term<dd>meaning</dl>tail"
    )
    assert blocks(document) == [
        ("paragraph", "bare bold text"),
        ("heading", "## A heading"),
        ("paragraph", "in div\nnext line"),
        ("paragraph", "para\xa0graph"),
        ("list", "- a\n- b\n  b2\n  1. c\n  2. d\n- e"),
        ("code", " x\n   y"),
        ("table", "| A | B\\|C |\n|---|---|\n| 1 2 |  |"),
        ("quote", "> q1"),
        ("quote", "> q2\n> q3"),
        ("paragraph", "term"),
        ("paragraph", "meaning"),
        ("paragraph", "tail"),
    ]
    assert document.text == "\n\n".join(text for _, text in blocks(document))
    assert [(b.level, b.label) for b in document.blocks if b.level] == [(2, "A heading")]


@pytest.mark.parametrize(
    "hidden",
    [
        "<script>var hidden</script>",
        "<style>hidden {}</style>",
        "<nav><ul><li>hidden</ul></nav>",
        "<template>hidden</template>",
        "<noscript>hidden</noscript>",
        "<svg><title>hidden</title><text>hidden</text></svg>",
        "<!-- hidden -->",
        "<p hidden>hidden</p>",
        "<p style='color: red; DISPLAY : none'>hidden</p>",
        "<span aria-hidden=true>hidden</span>",
        "<div role=navigation>hidden</div>",
        "<footer>hidden</footer>",
        "<button>hidden</button>",
    ],
)
def test_what_is_not_shown_is_left_out(hidden: str) -> None:
    assert parse(f"<body><p>before</p>{hidden}<p>after</p>").text == "before\n\nafter"
    assert parse(f"<table><tr><td>before{hidden}").text.startswith("| before |")


def test_title_language_and_description() -> None:
    document = parse(
        "<html lang=en><head><title>\n The  title </title>"
        "<meta name=Description content='About\n it'></head><h1>Head</h1>"
    )
    assert document.title == "The title"
    assert document.metadata == {"meta.lang": "en", "meta.description": "About it"}


@pytest.mark.parametrize("page", ["<h1>Head</h1>", "<title> </title><h2>x</h2><h1>Head</h1>"])
def test_the_title_may_be_the_first_heading(page: str) -> None:
    assert parse(page + "<h1>Other</h1><svg><title>drawing</title></svg>").title == "Head"


def test_a_page_with_one_main_part_is_that_part() -> None:
    assert parse("<div>frame</div><main><h1>Head</h1></main>").text == "# Head"
    assert parse("<div>frame</div><main> </main>").text == "frame"
    assert parse("<main>a</main><main>b</main>").text == "a\n\nb"


def test_tables_of_layout_are_read_through() -> None:
    document = parse("<table><tr><td><h2>Head</h2>text<td><table><tr><td>data</table></table>")
    assert blocks(document) == [
        ("heading", "## Head"),
        ("paragraph", "text"),
        ("table", "| data |\n|---|"),
    ]


def test_lines_of_code_may_be_elements() -> None:
    document = parse("<pre><div>a</div><div>  b</div></pre>")
    assert blocks(document) == [("code", "a\n  b")]


def test_headings_in_lists_and_quotes_are_not_in_the_outline() -> None:
    document = parse("<ul><li><h2>a</h2></ul><blockquote><h2>b</h2></blockquote>")
    assert blocks(document) == [("list", "- a"), ("quote", "> b")]


@pytest.mark.parametrize(
    "data",
    [
        b"<meta charset=big5><p>" + "中文的文件".encode("big5"),
        b"<meta http-equiv=Content-Type content='text/html; charset=gb2312'><p>"
        + "中文的文件".encode("gbk"),
        b"<?xml version='1.0' encoding='shift_jis'?><p>" + "中文的文件".encode("shift_jis"),
        b"<meta charset=iso-8859-1><p>" + "中文的文件".encode(),
        codecs.BOM_UTF16_LE + "<meta charset=utf-8><p>中文的文件".encode("utf-16-le"),
    ],
)
def test_the_encoding_is_found(data: bytes) -> None:
    assert parse_html(data).text == "中文的文件"


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 100_000 + "bottom",
        "<div>" * 50_000 + "bottom" + "</div>" * 50_000,
        "<b>" * 20_000 + "bottom",
        "<ul><li>" * 10_000 + "bottom",
        "<table><tr><td>" * 3_000 + "bottom",
        "<blockquote>" * 20_000 + "bottom",
    ],
)
def test_depth_is_no_matter(page: str) -> None:
    assert parse(page).text.endswith(("bottom", "bottom |\n|---|"))


def test_ordinary_depth_is_kept() -> None:
    page = "<blockquote>" * (MAX_DEPTH - 10) + "<ul><li>bottom"
    assert parse(page).text == "> - bottom"


@pytest.mark.parametrize(
    "page", ["", "<", "<html>", "<frameset><frame src=a></frameset>", "<!-- x"]
)
def test_pages_without_words_are_blank(page: str) -> None:
    assert parse(page).text in ("", "<")


# --- what is no content --------------------------------------------------------------------------

PROSE = "The heron stands in shallow water and waits until a fish comes near enough. " * 5
LINKS = "".join(f"<li><a href=/{n}>Page {n}</a>" for n in range(9))


@pytest.mark.parametrize(
    "frame",
    [
        "<header><a href=/>Site</a><p>Best site</p></header>",
        "<header><h2>Site</h2></header>",
        "<div role=banner>Site</div>",
        "<footer><p>All rights reserved</p></footer>",
        "<aside><p>About the author</p></aside>",
        f"<div class=sidebar><ul>{LINKS}</ul></div>",
        f"<ul>{LINKS}</ul>",
        "<div class='cookie-banner'>We use cookies. <a href=/p>More</a></div>",
        "<div id=onetrust-consent-sdk><p>We value your privacy</p></div>",
        "<ol class=breadcrumb><li><a href=/>Home</a><li>Birds</ol>",
        "<div aria-label=Breadcrumbs><a href=/>Home</a> / Birds</div>",
        "<a href=#content>Skip to content</a>",
        "<dialog>Subscribe!</dialog>",
    ],
)
def test_what_frames_the_content_is_left_out(frame: str) -> None:
    content = f"<div id=content><h1>Herons</h1><p>{PROSE}</p><p>{PROSE}</p></div>"
    expected = f"# Herons\n\n{PROSE.strip()}\n\n{PROSE.strip()}"
    assert parse(f"<body>{frame}{content}").text == expected
    assert parse(f"<body>{content}{frame}").text == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f"<h2>See also</h2><ul>{LINKS}</ul>", "## See also\n\n- Page 0"),
        ("<aside class=note><p>Beware of herons.</p></aside>", "Beware of herons."),
        ("<aside><p>An aside in the text.</p></aside>", "An aside in the text."),
        ("<div class=cookie-recipe><p>Take flour.</p></div>", "Take flour."),
        ("<section><header><h2>Head</h2></header><footer>Foot</footer></section>", "Head\n\nFoot"),
        ("<blockquote><p>Words</p><footer>A poet</footer></blockquote>", "> Words\n\n> A poet"),
        ("<ol><li id=n1>A note that tells <a href=#r1>back</a></ol>", "1. A note that tells back"),
        ("<p><a href=/one>One link alone</a></p>", "One link alone"),
    ],
)
def test_content_is_not_taken_for_the_frame(content: str, expected: str) -> None:
    text = parse(f"<body><h1>Herons</h1><p>{PROSE}</p>{content}<p>{PROSE}</p>").text
    assert f"{PROSE.strip()}\n\n" in text
    assert expected in text


def test_the_head_of_a_page_stays_where_it_has_the_title() -> None:
    page = f"<body><header><h1>Herons</h1><ul>{LINKS}</ul></header><div><p>{PROSE}</p></div>"
    assert parse(page).text == f"# Herons\n\n{PROSE.strip()}"


def test_a_page_of_links_stays() -> None:
    document = parse(f"<body><h1>Links</h1><ul>{LINKS}</ul><ul>{LINKS}</ul>")
    assert document.text.count("- Page") == 18


def test_one_article_with_most_of_the_text_is_the_page() -> None:
    article = f"<article><p>{PROSE}</p></article>"
    assert parse(f"<body><p>Before</p>{article}<p>After</p>").text == PROSE.strip()
    page = f"<body><p>Before</p><h1>Title</h1><p>Lead</p>{article}<p>After</p>"
    assert parse(page).text == f"# Title\n\nLead\n\n{PROSE.strip()}"
    teaser = f"<body><p>{PROSE}</p><article><p>A short teaser of something else</p></article>"
    assert parse(teaser).text.startswith(PROSE.strip())


def test_a_table_of_contents_repeats_the_headings() -> None:
    contents = (
        "<ul><li><a href=#a>First</a><li><a href=#b>Second</a><li><a href='#c%20d'>Last</a></ul>"
    )
    heads = "<h2 id=a>First</h2><p>x</p><h2 id=b>Second</h2><p>y</p><h2 id='c d'>Last</h2><p>z</p>"
    assert "-" not in parse(f"<body><p>{PROSE}</p>{contents}{heads}").text
    elsewhere = contents.replace("#", "#not-here-")
    assert "- First" in parse(f"<body><p>{PROSE}</p>{elsewhere}{heads}").text


def test_headings_lose_the_signs_beside_them() -> None:
    page = (
        "<h2>Name<a class=headerlink href=#name>¶</a></h2>"
        "<h2>Other<span class=mw-editsection>[<a href=/edit>edit</a>]</span></h2>"
        "<h2><a href=#third>Third</a></h2>"
    )
    assert parse(page).text == "## Name\n\n## Other\n\n## Third"


def test_all_of_a_mail_or_a_book_is_content() -> None:
    page = f"<header>Head</header><p>{PROSE}</p><footer>Foot</footer><aside>Aside</aside>".encode()
    parts = read_page(page, whole=True).parts
    assert [part.text for part in parts] == ["Head", PROSE.strip(), "Foot", "Aside"]


# --- tables --------------------------------------------------------------------------------------


def test_merged_cells_are_written_in_every_row_and_column() -> None:
    document = parse(
        "<table><caption>Sales</caption>"
        "<tr><th rowspan=2>Region<th colspan=2>2023<tr><th>Q1<th>Q2"
        "<tr><td rowspan=2>North<td>1<td>2<tr><td>3<td>4"
        "<tr><td colspan=3>All in millions<tr><td>South<td colspan=2>5</table>"
    )
    assert blocks(document) == [
        ("paragraph", "Sales"),
        (
            "table",
            "| Region | 2023 Q1 | 2023 Q2 |\n|---|---|---|\n"
            "| North | 1 | 2 |\n| North | 3 | 4 |\n| All in millions |  |  |\n| South | 5 | 5 |",
        ),
    ]


def test_header_rows_are_those_of_the_head_or_of_header_cells() -> None:
    head = "<thead><tr><td>A<tr><td>B</thead><tr><td>1"
    assert parse(f"<table>{head}</table>").text == "| A B |\n|---|\n| 1 |"
    rows = "<tr><th>Name<td>Ann<tr><th>Age<td>9"
    assert parse(f"<table>{rows}</table>").text == (
        "|  |  |\n|---|---|\n| Name | Ann |\n| Age | 9 |"
    )


@pytest.mark.parametrize(
    "table",
    [
        "<table role=presentation><tr><td>one<td>two</table>",
        "<table><tr><td><p>one<p>two</table>",
        "<table><tr><td><ul><li>x</ul>one<td></td><td>two</table><table><tr><td>",
    ],
)
def test_tables_that_lay_out_are_prose(table: str) -> None:
    document = parse(table)
    if "role" in table or "<p>" in table:
        assert blocks(document) == [("paragraph", "one"), ("paragraph", "two")]
    else:
        assert [kind for kind, _ in blocks(document)] == ["table"]


def test_a_cell_with_a_long_text_is_no_data() -> None:
    page = f"<table><tr><td><a href=/>Home</a><td>{PROSE * 4}<br><br>More</table>"
    assert blocks(parse(page))[-1] == ("paragraph", "More")


def test_long_tables_are_several_with_one_header() -> None:
    rows = "".join(f"<tr><td>{n}" for n in range(1200))
    tables = [text for _, text in blocks(parse(f"<table><tr><th>No{rows}</table>"))]
    assert [text.count("\n") - 1 for text in tables] == [500, 500, 200]
    assert all(text.startswith("| No |\n|---|\n") for text in tables)


@pytest.mark.parametrize(
    "table",
    [
        "<tr>" + "<td rowspan=65534 colspan=1000>x" * 500 + "<tr><td>y" * 2000,
        "<tr><td colspan=999999999999>x<td rowspan=-1 colspan=a>y",
    ],
)
def test_spans_do_not_explode(table: str) -> None:
    began = time.process_time()
    assert "x" in parse(f"<table>{table}</table>").text
    assert time.process_time() - began < 2


# --- details -------------------------------------------------------------------------------------


def test_two_breaks_part_paragraphs() -> None:
    assert parse("one<br>two<br><br>three").text == "one\ntwo\n\nthree"


def test_captions_formulas_and_definitions_are_kept() -> None:
    document = parse(
        "<figure><img src=a alt=Map><figcaption>Fig. 1</figcaption></figure>"
        "<dl><dt>heron<dd>a bird</dl>"
        "<p>So <math alttext='x^2'><mi>x</mi></math> and <math><mi>y</mi></math>.</p>"
    )
    assert document.text == "Map\n\nFig. 1\n\nheron\n\na bird\n\nSo x^2 and y."


def test_author_and_dates_are_found() -> None:
    document = parse(
        "<html xml:lang=fr><head><meta property=og:title content='The title'>"
        "<meta name=DC.creator content='Ann Lee'><meta name=keywords content='a, b'>"
        "<meta property=article:published_time content='2021-02-03T04:05:06Z'>"
        "<meta itemprop=dateModified content=2022-03-04></head><p>x"
    )
    assert document.title == "The title"
    assert document.metadata == {
        "meta.lang": "fr",
        "meta.author": "Ann Lee",
        "meta.created": 1612325106,
        "meta.modified": 1646352000,
        "meta.keywords": "a, b",
    }


def test_empty_elements_of_xhtml_hold_nothing() -> None:
    page = "<?xml version='1.0'?><html><head><title/></head><body><a id='x'/><p>a<br/>b</p>"
    assert parse(page).text == "a\nb"


def test_a_charset_from_outside_stands_above_the_claim() -> None:
    page = "<meta charset=big5><p>中文的文件".encode("gb18030")
    assert read_page(page, charset="gb18030").parts == [Part("paragraph", "中文的文件")]


def test_a_file_is_read_in_parts() -> None:
    properties, *parts = parse_page(Content(b"<title>T</title><h1>H</h1><p>x", name="a.html"))
    assert properties == Properties("T", {})
    assert parts == [Part("heading", "# H", 1, "H"), Part("paragraph", "x")]


@pytest.mark.parametrize(
    "page",
    [
        "<header><h2>a</h2>" * 20_000 + "<h1>x</h1>",
        f"<ul><li><a href=#a>a</a><ul>{LINKS}</ul></ul>" * 3000,
        "<table><tr><td>" * 200 + "<p>x" * 2000,
        "<?xml ?>" + "<a " * 100_000,
    ],
)
def test_hostile_pages_take_no_time(page: str) -> None:
    began = time.process_time()
    parse(page)
    assert time.process_time() - began < 4


@pytest.mark.data
def test_an_article_of_wikipedia_is_left_with_its_text(data_folder: Path) -> None:
    page = parse_html((data_folder / "formats/ok/wiki_duck.html").read_bytes())
    assert page.title == "Duck - Wikipedia"
    assert page.text.startswith("# Duck\n\nFrom Wikipedia")
    frame = ("Bikol Central", "Edit links", "Hidden categories", "[edit]", "Jump to content")
    assert not [words for words in frame if words in page.text]
    content = ("| Kingdom: | Animalia |", "### Domestication", "- Rubber duck", '55. ^ "The Duck"')
    assert all(words in page.text for words in content)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "words"),
    [("ok/fake-html-cp1252.html", "köstlich"), ("hostile/deep-div.html", "bottom text")],
)
def test_pages_of_the_corpus(data_folder: Path, name: str, words: str) -> None:
    assert words in parse_html((data_folder / "formats" / name).read_bytes()).text
