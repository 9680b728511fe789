"""Which parser reads a blob, and what is said of those that none reads."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from indexers.parsing import EXTENSIONS, media_type, parse
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
        ("a.MARKDOWN", b"", "text/markdown"),
        ("a.htm", b"", "text/html"),
        ("a.rst", b"A\n=", "text/plain"),
        ("README", b"words", "text/plain"),
        ("index", b"\n <HTML><p>", "text/html"),
        ("a.md", codecs.BOM_UTF16_LE + "# A".encode("utf-16-le"), "text/markdown"),
        ("a.md", "# A title".encode("utf-16-le"), "text/markdown"),
        ("a.md", b"a\0\0b", None),
        ("README", b"%PDF-1.4", None),
        ("a.txt", b"PK\x03\x04", None),
        ("a.docx", b"PK\x03\x04", None),
        ("a.xyz", b"words", None),
    ],
)
def test_media_type_by_ending_and_bytes(name: str, head: bytes, expected: str | None) -> None:
    assert media_type(name, head) == expected


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
    ("blob", "named"),
    [
        (Blob("a.docx", "application/msword", content=b"words"), ".docx"),
        (Blob("a.pdf", "application/pdf", content=b"%PDF-1.4"), "PDF"),
        (Blob("a.md", "", content=b"\x89PNG\r\n\x1a\n\0\0"), "PNG"),
        (Blob("a.md", "text/markdown", content=b"a\0\0b"), "NUL"),
    ],
)
def test_unsupported_content_is_named(blob: Blob, named: str) -> None:
    with pytest.raises(UnreadableDocument, match=named):
        list(parse(blob))


def test_the_hint_says_what_is_supported() -> None:
    with pytest.raises(UnreadableDocument) as caught:
        list(parse(Blob("a.docx", "", content=b"words")))
    assert caught.value.hint is not None
    assert all(ending in caught.value.hint for ending in EXTENSIONS)


@pytest.mark.parametrize("media", ["text/plain", "text/markdown", "text/html"])
@pytest.mark.parametrize("content", [b"", b" \n\t\n", codecs.BOM_UTF8])
def test_blank_content_is_a_document_without_text(media: str, content: bytes) -> None:
    assert only(Blob("a", media, content=content)) == Document(text="")
