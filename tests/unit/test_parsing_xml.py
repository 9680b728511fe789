"""XML of any kind becomes readable, and hostile XML is refused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from indexers.parsing.composing import documents
from indexers.parsing.content import Content, Part
from indexers.parsing.data import xml
from indexers.parsing.data.xml import parse_xml
from rag.errors import UnreadableDocument
from rag.types import Document


def read(source: str | bytes) -> list[tuple[str, str]]:
    data = source.encode() if isinstance(source, str) else source
    found = (item for item in parse_xml(Content(data)) if isinstance(item, Part))
    return [(part.kind, part.text) for part in found if part.text]


def document(source: str) -> Document:
    (found,) = documents(parse_xml(Content(source.encode())))
    assert isinstance(found, Document)
    return found


RECORDS = """<?xml version="1.0"?>
<!-- made by hand --><stock xml:lang="en"><name>Spring</name>
 <item id="1"><title>Chair &amp; table</title><price currency="EUR">5</price></item>
 <item id="2"><title><![CDATA[<Lamp>]]></title><price/></item>
 <note>late</note>
</stock>"""


def test_records_are_tables_under_the_names_of_their_elements() -> None:
    assert read(RECORDS) == [
        ("heading", "# stock"),
        ("list", "- lang: en\n- name: Spring"),
        ("heading", "## item"),
        (
            "table",
            "| id | title | price |\n|---|---|---|\n"
            "| 1 | Chair & table | 5 (currency: EUR) |\n| 2 | <Lamp> |  |",
        ),
        ("list", "- note: late"),
    ]
    assert document(RECORDS).title == "Spring"
    assert document(RECORDS).metadata == {"meta.lang": "en"}


def test_records_with_records_inside_are_lists() -> None:
    source = (
        '<r xmlns="u" xmlns:x="http://www.w3.org/2001/XMLSchema-instance" x:schemaLocation="u v">'
        "<a><b><c>1</c><c>2</c></b></a><a><b><c>3</c><d><e>4</e></d></b></a></r>"
    )
    assert read(source) == [
        ("heading", "# r"),
        ("heading", "## a"),
        ("list", "- b:\n  - c: 1, 2"),
        ("list", "- b:\n  - c: 3\n  - d:\n    - e: 4"),
    ]


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("<a>text</a>", [("list", "- text")]),
        ('<a x="1">text</a>', [("list", "- x: 1\n- text")]),
        ('<a x="1"/>', [("list", "- x: 1")]),
        ("<a/>", []),
        ("<a><b>1</b></a>", [("list", "- b: 1")]),
        ("\ufeff<a><b>ä</b></a>", [("list", "- b: ä")]),
    ],
)
def test_small_trees(source: str, wanted: list[tuple[str, str]]) -> None:
    assert read(source) == [("heading", "# a"), *wanted]


BOOK = """<!DOCTYPE book PUBLIC "-//OASIS//DTD DocBook XML V4.5//EN" "http://x.invalid/d.dtd">
<book xml:lang="de"><title>The Book</title><indexterm>hidden</indexterm>
<chapter><title>One</title><para>Some <emphasis>bold</emphasis> w&ouml;rds&nbsp;&lt;here>.</para>
<itemizedlist><listitem><para>first</para></listitem><listitem>second</listitem></itemizedlist>
<programlisting>a
  b</programlisting><blockquote><para>quoted</para></blockquote>
<table><title>Figures</title><tgroup cols="2"><thead><row><entry>H1</entry><entry>H2</entry></row>
</thead><tbody><row><entry>1</entry><entry>2</entry></row></tbody></tgroup></table>
<section><title>Inner</title><para>deep</para></section></chapter>
<chapter><title>Two</title><para>end</para></chapter></book>"""


def test_prose_is_a_document_with_an_outline() -> None:
    assert read(BOOK) == [
        ("heading", "# The Book"),
        ("heading", "## One"),
        ("paragraph", "Some bold wörds\xa0<here>."),
        ("list", "- first\n- second"),
        ("code", "a\n  b"),
        ("quote", "> quoted"),
        ("paragraph", "Figures"),
        ("table", "| H1 | H2 |\n|---|---|\n| 1 | 2 |"),
        ("heading", "### Inner"),
        ("paragraph", "deep"),
        ("heading", "## Two"),
        ("paragraph", "end"),
    ]
    assert document(BOOK).title == "The Book"
    assert document(BOOK).metadata["meta.lang"] == "de"


def test_markup_in_text_is_text() -> None:
    source = "<doc><p>a <b>b</b> &lt;script>alert(1)&lt;/script> c</p></doc>"
    assert read(source) == [("paragraph", "a b <script>alert(1)</script> c")]


RSS = """<rss version="2.0" xmlns:dc="d" xmlns:c="c"><channel><title>News &amp; more</title>
<description>About us</description><item><title>First</title><link>http://a/1</link>
<pubDate>Mon, 01 Jan 2024</pubDate><dc:creator>Ann</dc:creator><category>x</category>
<category>y</category><description>short</description>
<c:encoded>&lt;h2&gt;Head&lt;/h2&gt;&lt;p&gt;Hello &lt;b&gt;you&lt;/b&gt;&lt;/p&gt;</c:encoded>
</item><item><description>second</description></item></channel></rss>"""


def test_a_feed_is_its_entries() -> None:
    assert read(RSS) == [
        ("paragraph", "About us"),
        ("heading", "# First"),
        (
            "list",
            "- link: http://a/1\n- published: Mon, 01 Jan 2024\n- author: Ann\n- category: x, y",
        ),
        ("heading", "### Head"),
        ("paragraph", "Hello you"),
        ("heading", "# Entry"),
        ("paragraph", "second"),
    ]
    assert document(RSS).title == "News & more"


ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>Feed</title><author><name>Ann</name>
</author><entry><title type="html">A &amp;amp; B</title><link href="http://x"/>
<link rel="edit" href="http://y"/><updated>2020-01-01</updated>
<summary>not this</summary><content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">
<p>one</p><p>two</p></div></content></entry>
<entry><title>C</title><content type="text">1 &lt; 2</content></entry></feed>"""


def test_an_atom_feed() -> None:
    assert read(ATOM) == [
        ("heading", "# A & B"),
        ("list", "- link: http://x\n- updated: 2020-01-01"),
        ("paragraph", "one"),
        ("paragraph", "two"),
        ("heading", "# C"),
        ("paragraph", "1 < 2"),
    ]
    found = document(ATOM)
    assert (found.title, found.metadata) == ("Feed", {"meta.author": "Ann"})


def test_a_drawing_is_its_words() -> None:
    source = (
        '<!DOCTYPE svg [<!ENTITY ns "http://www.w3.org/2000/svg">]><svg xmlns="&ns;">'
        "<title>Plan</title><style>text {}</style><g><path d='M0'/>"
        "<text><tspan>Hello</tspan> <tspan>world</tspan></text></g></svg>"
    )
    assert read(source) == [("paragraph", "Plan"), ("paragraph", "Hello world")]
    assert document(source).title == "Plan"


def test_a_page_is_read_as_a_page() -> None:
    source = (
        '<?xml version="1.0"?><html xmlns="x"><body><h1>Head</h1><p>text<br/>more</p></body></html>'
    )
    assert read(source) == [("heading", "# Head"), ("paragraph", "text\nmore")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252", "shift_jis"])
@pytest.mark.parametrize("claim", ["UTF-8", "the right one"])
def test_the_encoding_is_found_whatever_is_claimed(encoding: str, claim: str) -> None:
    text = (
        "日本語の文書は正しく読み取られなければなりません。"
        if encoding == "shift_jis"
        else "Größe – “ß”"
    )
    claim = encoding if claim == "the right one" else claim
    source = f'<?xml version="1.0" encoding="{claim}"?><a><b>{text}</b></a>'.encode(encoding)
    assert read(source)[-1] == ("list", f"- b: {text}")


def test_a_damaged_tree_is_read_as_far_as_possible() -> None:
    assert read("<a><b>x</b><c>y</c") == [("heading", "# a"), ("list", "- b: x\n- c: y")]


ENTITIES = "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9))


@pytest.mark.parametrize(
    "source",
    [
        f'<!DOCTYPE l [<!ENTITY a "ha">{ENTITIES}]><l>&j;</l>',
        f'<!DOCTYPE l [<!ENTITY a "ha">{ENTITIES}]><l x="&j;"/>',
        '<!DOCTYPE l [<!ENTITY e "text">]><l>a&e;b</l>',
        '<!DOCTYPE l [<!ENTITY e SYSTEM "file:///etc/hostname">]><l>a&e;b</l>',
        '<!DOCTYPE l [<!ENTITY % p SYSTEM "http://x.invalid/a"> %p;]><l>a&e;b</l',
        '<!DOCTYPE l [<!ENTITY e "text">]><l>a<b></l>',
        "plain words",
        "",
        "<",
    ],
)
def test_hostile_and_foreign_content_is_refused(source: str) -> None:
    started = time.monotonic()
    with pytest.raises(UnreadableDocument) as caught:
        read(source)
    assert caught.value.code == "malformed"
    assert time.monotonic() - started < 1


def test_entities_that_are_declared_and_not_used_do_no_harm() -> None:
    assert read('<!DOCTYPE l [<!ENTITY e "x">]><l><a>b</a></l>')[-1] == ("list", "- a: b")


def test_entities_of_html_are_known_where_no_one_declares_them() -> None:
    source = '<!DOCTYPE l SYSTEM "http://x.invalid/l.dtd"><l><a>&auml;&unknown;&amp;nbsp;</a></l>'
    assert read(source)[-1] == ("list", "- a: ä&unknown;&nbsp;")


def test_deep_and_large_trees_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        read("<a>" * 100_000)
    assert caught.value.code == "too_deep"
    monkeypatch.setattr(xml, "MAX_BYTES", 10)
    with pytest.raises(UnreadableDocument) as caught:
        read("<abcdef>words</abcdef>")
    assert caught.value.code == "too_large"


@pytest.mark.parametrize(
    "source",
    [
        "<r>" + "<t>x</t><b/>" * 30_000 + "</r>",
        "<r>a" + "<b/>" * 60_000 + "</r>",
        "<r><p>x</p>" + "<title/>" * 60_000 + "</r>",
        "<r>" + "&nbsp;" * 100_000 + "</r>",
    ],
)
def test_many_elements_take_linear_time(source: str) -> None:
    started = time.monotonic()
    read(source)
    assert time.monotonic() - started < 10


@pytest.mark.data
def test_the_corpus(data_folder: Path) -> None:
    folder = data_folder / "formats"
    found = read((folder / "ok/factbook-utf-16.xml").read_bytes())
    assert found[:2] == [("heading", "# factbook"), ("heading", "## country")]
    assert "| Canada | Ottawa | Justin Trudeau | Hockey |" in found[2][1]
    assert "| Trinidad & Tobado | Port of Spain |" in found[2][1]
    with pytest.raises(UnreadableDocument, match="entities"):
        read((folder / "hostile/billion-laughs.xml").read_bytes())


def test_a_feed_with_unknown_entities_is_read() -> None:
    source = (
        '<!DOCTYPE rss SYSTEM "http://x.invalid/r.dtd"><rss><channel>&one;<title>T</title>'
        "<item>&two;<title>a &three; b</title></item></channel></rss>"
    )
    assert read(source) == [("heading", "# a &three; b")]
