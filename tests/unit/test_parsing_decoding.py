"""Bytes become text in any encoding, and binary content is refused."""

from __future__ import annotations

import codecs
import random

import pytest

from indexers.parsing.decoding import binary_format, decode
from rag.errors import UnreadableDocument

ENGLISH = "The catalog is the truth; a vector store holds projections. "
WESTERN = "L'été était très chaud: Größe, señora, “quoted” and – dashed. "
CHINESE = "繁體中文的文件應該可以正確地讀取，否則搜尋不到任何內容。"
SIMPLIFIED = "简体中文文档应当能够正确读取，否则什么也搜索不到。"
JAPANESE = "日本語の文書は正しく読み取られなければなりません。"
RUSSIAN = "Русский документ должен быть прочитан правильно, иначе ничего не найти. "
KOREAN = "한국어 문서는 올바르게 읽어야 합니다. 그렇지 않으면 찾을 수 없습니다. "


@pytest.mark.parametrize(
    ("bom", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_a_byte_order_mark_decides_and_vanishes(bom: bytes, encoding: str) -> None:
    assert decode(bom + CHINESE.encode(encoding)) == CHINESE


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_recognised(encoding: str) -> None:
    data = (ENGLISH * 3).encode(encoding)
    assert binary_format(data) is None
    assert decode(data) == ENGLISH * 3


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", WESTERN),
        ("cp1252", WESTERN),
        ("big5", CHINESE),
        ("gb18030", SIMPLIFIED),
        ("shift_jis", JAPANESE),
        ("koi8-r", RUSSIAN),
        ("cp1251", RUSSIAN),
        ("euc_kr", KOREAN),
    ],
)
def test_encodings_without_a_mark_are_detected(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_one_damaged_place_does_not_spoil_a_utf8_text() -> None:
    good = CHINESE.encode()
    assert decode(good + b"\xff" + good) == f"{CHINESE}\ufffd{CHINESE}"


def test_a_declared_encoding_is_believed_where_it_can_be_true() -> None:
    # Two characters that are also valid UTF-8: only the declaration can tell.
    assert decode("联通".encode("gbk"), declared="gb2312") == "联通"
    assert decode("€".encode("cp1252"), declared="ISO-8859-1") == "€"


def test_valid_utf8_is_better_evidence_than_the_customary_claim() -> None:
    assert decode(WESTERN.encode(), declared="iso-8859-1") == WESTERN


@pytest.mark.parametrize("declared", ["unicode_escape", "punycode", "rot13", "no-such", "", "a\0b"])
def test_declared_names_that_are_no_encodings_of_documents_are_ignored(declared: str) -> None:
    assert decode(rb"a \ud800 b", declared=declared) == r"a \ud800 b"


def test_a_declared_encoding_that_does_not_fit_is_dropped() -> None:
    assert decode(CHINESE.encode("big5"), declared="utf-8") == CHINESE


def test_newlines_are_normalised_and_nul_is_dropped() -> None:
    data = codecs.BOM_UTF16_LE + "a\r\nb\rc\0d\n".encode("utf-16-le")
    assert decode(data) == "a\nb\ncd\n"


def test_nul_after_the_head_is_dropped() -> None:
    assert decode(b"a" * 9000 + b"\0b") == "a" * 9000 + "b"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"%PDF-1.7 ...", "PDF"),
        (b"PK\x03\x04....", "ZIP"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"{\\rtf1 text}", "RTF"),
        (b"text \0 with NUL and more", "NUL bytes"),
    ],
)
def test_binary_content_is_refused_by_name(data: bytes, name: str) -> None:
    assert binary_format(data) == name
    with pytest.raises(UnreadableDocument, match=name):
        decode(data)


def test_noise_without_nul_is_in_no_encoding() -> None:
    rng = random.Random(1)
    data = bytes(rng.randrange(1, 256) for _ in range(2000))
    with pytest.raises(UnreadableDocument, match="encoding"):
        decode(data)


def test_no_bytes_are_no_text() -> None:
    assert decode(b"") == ""
