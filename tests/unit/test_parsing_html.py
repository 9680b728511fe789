"""HTML: what is shown becomes headings, paragraphs, lists, tables, quotes and code."""

from __future__ import annotations

import codecs

import pytest

from indexers.parsing.html import MAX_DEPTH, parse_html
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
