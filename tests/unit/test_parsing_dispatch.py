"""Which parser reads a blob, and what is said of those that none reads."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from indexers.parsing import media_type, parse
from indexers.parsing.content import Content, ParseOptions
from rag.errors import UnreadableDocument
from rag.types import Blob, Document

PAGE = b"<!DOCTYPE html><title>Page</title><h1>Head</h1><p>words"


def only(blob: Blob) -> Document:
    (document,) = parse(blob)
    assert isinstance(document, Document)
    return document


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("docs/a.md", b"# A", "text/markdown"),
        ("a.MARKDOWN", b"# A", "text/markdown"),
        ("a.htm", b"<p>", "text/html"),
        ("a.rst", b"A\n=", "text/x-rst"),
        ("README", b"words", "text/plain"),
        ("index", b"\n <HTML><p>", "text/html"),
        ("a.md", codecs.BOM_UTF16_LE + "# A".encode("utf-16-le"), "text/markdown"),
        ("a.md", "# A title".encode("utf-16-le"), "text/markdown"),
        ("a.md", b"a\0\0b", None),
        ("README", b"%PDF-1.4", "application/pdf"),
        ("a.md", b"\x89PNG\r\n\x1a\n", "image/png"),
        ("a.xyz", b"words", None),
    ],
)
def test_media_type_by_ending_and_bytes(name: str, head: bytes, expected: str | None) -> None:
    assert media_type(Content(head, name=name)) == expected


def test_the_given_media_type_chooses_the_parser() -> None:
    document = only(Blob("https://example.com/page", "text/html; charset=utf-8", content=PAGE))
    assert document.title == "Page"
    assert document.text == "# Head\n\nwords"


@pytest.mark.parametrize("given", ["", "application/octet-stream", "text/x-unknown"])
def test_the_name_decides_where_the_media_type_says_nothing(given: str) -> None:
    assert only(Blob("file:///a.md", given, content=b"# A")).title == "A"


def test_the_title_of_the_source_wins() -> None:
    content = b"---\ntitle: Front\n---\n# Heading"
    assert only(Blob("a.md", "text/markdown", content=content)).title == "Front"
    given = only(Blob("a.md", "text/markdown", content=content, title="Given"))
    assert given.title == "Given"
    assert given.text == "# Heading"
    assert only(Blob("a.txt", "text/plain", content=b"words", title="Given")).title == "Given"


def test_a_path_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"words")
    assert only(Blob("a.txt", "text/plain", path=path)).text == "words"
    with pytest.raises(FileNotFoundError):
        list(parse(Blob("b.txt", "text/plain", path=tmp_path / "b.txt")))


@pytest.mark.parametrize(
    ("blob", "code", "named"),
    [
        (Blob("a.xyz", "", content=b"words"), "unsupported", ".xyz"),
        (Blob("a.7z", "", content=b"7z\xbc\xaf\x27\x1c" + bytes(40)), "unsupported", "7z"),
        (Blob("a.md", "text/markdown", content=b"a\0\0b"), "malformed", "NUL"),
        (Blob("a.pdf", "application/pdf", content=b"%PDF-1.4"), "malformed", "PDF"),
    ],
)
def test_what_cannot_be_read_is_named(blob: Blob, code: str, named: str) -> None:
    with pytest.raises(UnreadableDocument, match=named) as caught:
        list(parse(blob))
    assert caught.value.code == code


def test_a_declared_type_decides_only_where_content_and_name_do_not() -> None:
    page = Content(PAGE, name="page")
    assert media_type(page, "text/plain") == "text/html"
    assert media_type(Content(b"# A", name="a.xyz"), "text/markdown") == "text/markdown"
    assert media_type(Content(b"words", name="a"), "application/octet-stream") == "text/plain"


def test_parsers_of_ones_own_are_chosen_by_the_ending() -> None:
    options = ParseOptions(parsers={".xyz": "indexers.parsing.text.text:parse_plain"})
    (document,) = parse(Blob("a.XYZ", "", content=b"words"), options)
    assert isinstance(document, Document)
    assert document.text == "words"


@pytest.mark.parametrize("media", ["text/plain", "text/markdown", "text/html"])
@pytest.mark.parametrize("content", [b"", b" \n\t\n", codecs.BOM_UTF8])
def test_blank_content_is_a_document_without_text(media: str, content: bytes) -> None:
    assert only(Blob("a", media, content=content)) == Document(text="")
