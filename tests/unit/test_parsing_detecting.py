"""Types by content first, then by the ending; and what each piece of evidence is worth."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import random
import tarfile
import zipfile
from pathlib import Path

import olefile
import pytest

from indexers.parsing import mediatypes as types
from indexers.parsing.content import Content
from indexers.parsing.detecting import detect

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
WORDS = b"just some words"


def zipped(*names: str, **contents: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, contents.get(name, "x"))
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("a.txt")
        info.size = 5
        archive.addfile(info, io.BytesIO(b"words"))
    return buffer.getvalue()


def kind(name: str, data: bytes) -> str | None:
    return detect(name, Content(data, name=name))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"%PDF-1.7\n", types.PDF),
        (b"\r\n\0junk" * 100 + b"%PDF-1.4", types.PDF),
        (PNG, types.PNG),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", types.JPEG),
        (b"II*\0\x08\0\0\0", types.TIFF),
        (b"MM\0*\0\0\0\x08", types.TIFF),
        (b"GIF89a\x01\0", types.GIF),
        (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", types.BMP),
        (b"RIFF\x24\0\0\0WEBPVP8 ", types.WEBP),
        (b"{\\rtf1\\ansi words}", types.RTF),
        (gzip.compress(WORDS), types.GZIP),
        (bz2.compress(WORDS), types.BZIP2),
        (lzma.compress(WORDS), types.XZ),
        (b"\x28\xb5\x2f\xfd\0\0", types.ZSTD),
        (b"7z\xbc\xaf\x27\x1c\0\x04", types.SEVEN_ZIP),
        (b"Rar!\x1a\x07\x01\0", types.RAR),
        (tarred(), types.TAR),
        (gzip.compress(tarred()), types.TAR),
        (bz2.compress(tarred()), types.TAR),
        (lzma.compress(tarred()), types.TAR),
        (gzip.compress(tarred())[:40], types.GZIP),
        (b"\x7fELF\x02\x01\x01\0\0\0", None),
        (b"\0\x01\x02\x03" * 20, None),
        (b"RIFF\x24\0\0\0WAVEfmt ", None),
    ],
)
def test_binary_content_says_what_it_is(data: bytes, expected: str | None) -> None:
    for name in ("noname", "a.pdf", "a.txt", "a.docx", "a.unknown"):
        assert kind(name, data) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (zipped("[Content_Types].xml", "word/document.xml"), types.DOCX),
        (zipped("[Content_Types].xml", "word/document2.xml"), types.DOCX),
        (zipped("word\\document.xml"), types.DOCX),
        (zipped("[content_types].xml", "xl/workbook.xml"), types.XLSX),
        (zipped("[Content_Types].xml", "xl/workbook.bin"), types.XLSB),
        (zipped("[Content_Types].xml", "ppt/presentation.xml"), types.PPTX),
        (zipped("[Content_Types].xml", "visio/document.xml"), types.ZIP),
        (zipped("mimetype", "content.xml", mimetype=types.ODT), types.ODT),
        (zipped("mimetype", "content.xml", mimetype=f"{types.ODS}-template\n"), types.ODS),
        (zipped("mimetype", "content.xml", mimetype=types.ODP), types.ODP),
        (zipped("mimetype", "META-INF/container.xml", mimetype=types.EPUB), types.EPUB),
        (zipped("mimetype", mimetype="x" * 1000), types.ZIP),
        (zipped("word/notes.txt", "a.md"), types.ZIP),
    ],
)
def test_archives_are_told_apart_by_what_is_inside(data: bytes, expected: str) -> None:
    for name in ("noname", "a.zip", "a.docx", "a.txt"):
        assert kind(name, data) == expected


def test_of_a_damaged_archive_the_ending_tells() -> None:
    data = zipped("[Content_Types].xml", "word/document.xml")[:60]
    assert kind("a.docx", data) == types.DOCX
    assert kind("a.xlsm", data) == types.XLSX
    assert kind("a.zip", data) == types.ZIP
    assert kind("noname", data) == types.ZIP


def test_a_damaged_compound_file_is_told_by_its_ending() -> None:
    data = olefile.MAGIC + bytes(600)
    assert kind("a.doc", data) == types.DOC
    assert kind("a.xls", data) == types.XLS
    assert kind("a.msg", data) == types.MSG
    assert kind("noname", data) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.md", types.MARKDOWN),
        ("docs/a.MARKDOWN", types.MARKDOWN),
        ("a.htm", types.HTML),
        ("a.rst", types.RST),
        ("a.org", types.ORG),
        ("a.csv", types.CSV),
        ("a.tsv", types.TSV),
        ("a.json", types.JSON),
        ("a.ndjson", types.JSON_LINES),
        ("a.jsonl", types.JSON_LINES),
        ("a.ipynb", types.NOTEBOOK),
        ("a.xml", types.XML),
        ("a.svg", types.SVG),
        ("a.eml", types.MAIL),
        ("a.mbox", types.MBOX),
        ("a.txt", types.TEXT),
        ("a.log", types.TEXT),
        ("a.adoc", types.TEXT),
        ("a.py", types.SOURCE_CODE),
        ("a.tar.yaml", types.SOURCE_CODE),
        ("README", types.TEXT),
        ("app.log.1", types.TEXT),
        ("Notes of Dr. Smith", types.TEXT),
        (".gitignore", None),
        ("a.xyz", None),
        ("a.docx", None),
        ("a.pdf", None),
        ("a.png", None),
    ],
)
def test_of_text_the_ending_decides(name: str, expected: str | None) -> None:
    assert kind(name, WORDS) == expected


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252", "shift_jis"])
def test_text_in_any_encoding_is_text(encoding: str) -> None:
    source = "# A title and some words\n" * 3
    assert kind("a.md", source.encode(encoding)) == types.MARKDOWN
    assert kind("noname", source.encode(encoding)) == types.TEXT


MAIL = b"Received: from a\r\n\tby b\r\nFrom: a@b.c\r\nSubject: x\r\n\r\nwords"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\n <HTML><p>", types.HTML),
        (b"<!-- x --><!DOCTYPE html>", types.HTML),
        (b"<?xml version='1.0'?><!-- a > b --><html>", types.HTML),
        ("<!doctype html><p>".encode("utf-16"), types.HTML),
        (b"<?xml version='1.0'?><svg>", types.SVG),
        (b'<svg xmlns="http://www.w3.org/2000/svg">', types.SVG),
        (b"<?xml version='1.0'?><a:b xmlns:a='c'/>", types.XML),
        (b'<?xml version="1.0"?>', types.XML),
        (b"<!DOCTYPE book PUBLIC 'x'><book>", types.XML),
        (b"<doc xmlns='u'>", types.XML),
        (codecs.BOM_UTF8 + b"<?xml version='1.0'?><a/>", types.XML),
        (MAIL, types.MAIL),
        (b"MIME-Version: 1.0\nContent-Type: text/plain\nFrom: a\n\nx", types.MAIL),
        (b"From a@b.c Mon Jan  1 00:00:00 2024\nFrom: a\n\nwords", types.MBOX),
    ],
)
def test_markup_and_mail_show_without_an_ending(data: bytes, expected: str) -> None:
    assert kind("noname", data) == expected
    assert kind("a.unknown", data) == expected
    assert kind("a.txt", data) == types.TEXT


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a": 1}', types.JSON),
        (b'\xef\xbb\xbf [1, {"a": 2}]\n', types.JSON),
        (b'{"a": 1}\n{"a": 2}\n', types.JSON_LINES),
        (b'{\n  "a": "' + b"x" * 9000 + b'"}', types.JSON),
        (b"[" * 20_000, types.JSON),
        (b"{words} in braces", types.TEXT),
        (b"[a link](b)", types.TEXT),
        (b"[1] A footnote", types.TEXT),
        (b"<foo> is a tag", types.TEXT),
        (b"<p>html without a head", types.TEXT),
        (b"From: a\n\nwords", types.TEXT),
        (b"From here on: words\nSubject matter", types.TEXT),
        (b"Subject: a\nDate: b\nwords that are no header", types.TEXT),
        (b"From now on at 10:00\nwords", types.TEXT),
        (b"%PDF- is how a PDF begins, in words: %PDF-1.7", types.PDF),
        (b"In words: %PDF-1.7", types.TEXT),
    ],
)
def test_json_shows_where_the_name_says_nothing(data: bytes, expected: str) -> None:
    assert kind("noname", data) == expected


def test_a_file_without_content_is_an_empty_text() -> None:
    for name in ("a.pdf", "a.docx", "a.md", "noname", "a.xyz"):
        assert kind(name, b"") == types.TEXT


def test_any_beginning_is_survived() -> None:
    rng = random.Random(3)
    known = {value for value in vars(types).values() if isinstance(value, str)} | {None}
    heads = [b"PK\x03\x04", olefile.MAGIC, b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b"<?xml", b"{"]
    for i in range(300):
        data = heads[i % len(heads)] + rng.randbytes(rng.randrange(300))
        assert kind("noname", data) in known


def test_every_ending_has_one_type() -> None:
    assert not set(types.TEXT_ENDINGS) & set(types.BINARY_ENDINGS)


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("ok/greek_heading_styles.doc", types.DOC),
        ("ok/fake-email.msg", types.MSG),
        ("hostile/password_protected.xlsx", types.OLE_ENCRYPTED),
        ("hostile/png-named.pdf", types.PNG),
        ("hostile/fake-power-point-malformed.pptx", types.PPTX),
        ("hostile/xxe.docx", types.DOCX),
        ("hostile/nested-31.zip", types.ZIP),
        ("hostile/header-only.pdf", types.PDF),
        ("hostile/deep-array.json", types.JSON),
        ("ok/simple.odt", types.ODT),
        ("ok/eng_spa_mult.rtf", types.RTF),
        ("ok/mime-word-encoded-subject.eml", types.MAIL),
        ("ok/factbook-utf-16.xml", types.XML),
        ("ok/simple.ndjson", types.JSON_LINES),
        ("ok/wiki_duck.html", types.HTML),
    ],
)
def test_the_corpus_is_told_by_content_alone(data_folder: Path, file: str, expected: str) -> None:
    data = (data_folder / "formats" / file).read_bytes()
    assert kind(Path(file).name, data) == expected
    assert kind("noname", data) == expected
