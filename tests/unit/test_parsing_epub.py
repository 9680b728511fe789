"""EPUB: chapters in the order of the book, with the names of its table of contents."""

from __future__ import annotations

import io
import zipfile

import pytest

from indexers.parsing.composing import documents
from indexers.parsing.content import Content, Part, Properties
from indexers.parsing.markup.epub import parse_epub
from rag.errors import UnreadableDocument
from rag.types import Document

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/>'
    "</rootfiles></container>"
)
SAID = (
    "<dc:title>The Book</dc:title><dc:title>Other</dc:title><dc:creator>Ann Lee</dc:creator>"
    "<dc:creator>Bo Ek</dc:creator><dc:language>de</dc:language><dc:date>2019-05-06</dc:date>"
    "<dc:publisher>House</dc:publisher><dc:subject>Birds</dc:subject>"
    '<meta property="dcterms:modified">2020-01-02T03:04:05Z</meta>'
)
NAV = (
    '<html xmlns="http://www.w3.org/1999/xhtml"><body><nav><ol>'
    '<li><a href="text/one.xhtml">Chapter <b>One</b></a></li>'
    '<li><a href="text/t%20wo.xhtml#start">Chapter Two</a></li></ol></nav></body></html>'
)
NCX = (
    '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel>'
    '<text>By NCX</text></navLabel><content src="text/one.xhtml#x"/></navPoint></navMap></ncx>'
)
MANIFEST = (
    '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
    '<item id="two" href="text/t%20wo.xhtml" media-type="application/xhtml+xml"/>'
    '<item id="one" href="text/one.xhtml" media-type="application/xhtml+xml"/>'
    '<item id="art" href="art.svg" media-type="image/svg+xml"/>'
)
SPINE = "".join(
    f'<itemref idref="{name}"/>' for name in ("nav", "art", "one", "two", "one", "none")
)


def page(body: str) -> str:
    return (
        '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head>'
        f"<body>{body}</body></html>"
    )


def package(manifest: str = MANIFEST, spine: str = SPINE, said: str = SAID) -> str:
    return (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
        f'<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">{said}</metadata>'
        f"<manifest>{manifest}</manifest><spine>{spine}</spine></package>"
    )


BOOK = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": CONTAINER,
    "OEBPS/book.opf": package(),
    "OEBPS/nav.xhtml": NAV,
    "OEBPS/text/t wo.xhtml": page("<h2>Own head</h2><p>Second <a id='p'/>text.</p>"),
    "OEBPS/text/one.xhtml": page(
        "<header>Part</header><p>First text.<span epub:type='pagebreak'>12</span></p>"
        "<aside epub:type='footnote'><p>A note.</p></aside>"
    ),
}


def content(**changed: str | None) -> Content:
    """Pack the book, with files changed, or left out where they are None."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in {**BOOK, **changed}.items():
            if text is not None:
                archive.writestr(name, text)
    return Content(buffer.getvalue())


def texts(book: Content) -> list[str]:
    return [item.text for item in parse_epub(book) if isinstance(item, Part)]


ONE = ["# Chapter One", "Part", "First text.", "A note."]
TWO = ["## Own head", "Second text."]


def test_chapters_come_in_the_order_of_the_spine() -> None:
    assert texts(content()) == ONE + TWO


def test_what_the_book_says_of_itself() -> None:
    (document,) = documents(parse_epub(content()))
    assert isinstance(document, Document)
    assert document.title == "The Book"
    assert document.metadata == {
        "meta.author": ["Ann Lee", "Bo Ek"],
        "meta.lang": "de",
        "meta.date": 1557100800,
        "meta.modified": 1577934245,
        "meta.publisher": "House",
        "meta.subject": "Birds",
    }


def test_the_older_table_of_contents_is_read_too() -> None:
    manifest = MANIFEST.replace(' properties="nav"', "") + (
        '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
    )
    spine = SPINE.replace('<itemref idref="nav"/>', "")
    book = content(**{"OEBPS/book.opf": package(manifest, spine), "OEBPS/toc.ncx": NCX})
    assert texts(book)[0] == "# By NCX"


@pytest.mark.parametrize(
    "changed",
    [
        {"META-INF/container.xml": None},
        {"META-INF/container.xml": "<container"},
        {"OEBPS/nav.xhtml": None},
        {"OEBPS/nav.xhtml": "<html"},
    ],
)
def test_what_is_missing_is_found_or_done_without(changed: dict[str, str | None]) -> None:
    found = texts(content(**changed))
    assert found[-2:] == TWO
    assert "First text." in found


def test_without_a_package_pages_come_by_name() -> None:
    found = texts(content(**{"OEBPS/book.opf": "nonsense"}))
    assert found == [*ONE[1:], *TWO]


def test_a_chapter_that_is_missing_does_not_cost_the_book() -> None:
    assert texts(content(**{"OEBPS/text/one.xhtml": None})) == TWO


def test_a_book_without_pages_is_malformed() -> None:
    names = ("OEBPS/nav.xhtml", "OEBPS/text/one.xhtml", "OEBPS/text/t wo.xhtml")
    with pytest.raises(UnreadableDocument) as caught:
        list(parse_epub(content(**dict.fromkeys(names))))
    assert caught.value.code == "malformed"


def encryption(algorithm: str, uri: str) -> str:
    return (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
        'xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData>'
        f'<enc:EncryptionMethod Algorithm="{algorithm}"/><enc:CipherData>'
        f'<enc:CipherReference URI="{uri}"/></enc:CipherData></enc:EncryptedData></encryption>'
    )


AES = "http://www.w3.org/2001/04/xmlenc#aes128-cbc"
FONTS = "http://www.idpf.org/2008/embedding"


def test_a_protected_book_is_encrypted() -> None:
    with pytest.raises(UnreadableDocument) as caught:
        texts(content(**{"META-INF/encryption.xml": encryption(AES, "OEBPS/text/t%20wo.xhtml")}))
    assert caught.value.code == "encrypted"


@pytest.mark.parametrize(
    ("algorithm", "uri"), [(FONTS, "OEBPS/text/one.xhtml"), (AES, "OEBPS/font.otf")]
)
def test_hidden_fonts_do_not_protect_the_text(algorithm: str, uri: str) -> None:
    assert texts(content(**{"META-INF/encryption.xml": encryption(algorithm, uri)})) == ONE + TWO


def test_entities_are_not_expanded_and_no_file_is_left() -> None:
    evil = '<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    said = SAID.replace("The Book", "A &x; B")
    book = content(
        **{
            "OEBPS/book.opf": package(said=said).replace("<package", f"{evil}<package", 1),
            "OEBPS/text/one.xhtml": page("<p>&x;</p>").replace("<html", f"{evil}<html", 1),
        }
    )
    properties, *parts = parse_epub(book)
    assert isinstance(properties, Properties)
    assert "root:" not in f"{properties}{parts}"


def test_paths_stay_inside_the_book() -> None:
    manifest = '<item id="one" href="../../../etc/passwd" media-type="application/xhtml+xml"/>'
    with pytest.raises(UnreadableDocument, match="no entry"):
        texts(content(**{"OEBPS/book.opf": package(manifest)}))
