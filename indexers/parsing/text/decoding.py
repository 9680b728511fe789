"""From bytes to text: which encoding they are in, and whether they are text at all.

Knows byte order marks, binary formats and which evidence of an encoding is believed; nothing of
markup. How encodings are guessed that nothing names is the business of `encodings`.
"""

from __future__ import annotations

import codecs
import io
import re
import unicodedata
from typing import TextIO

from indexers.parsing.content import Content
from indexers.parsing.text.encodings import escaped_encoding, guessed_encoding
from rag.errors import UnreadableDocument

HEAD = 8192
"""Bytes at the beginning that tell text from binary content."""
SAMPLE = 1 << 16
"""Bytes that decide on the encoding of a text that is read piece by piece."""

_BOMS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BINARY_HEADS = {
    b"%PDF-": "PDF",
    b"PK\x03\x04": "ZIP",
    b"PK\x05\x06": "ZIP",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"\xff\xd8\xff": "JPEG",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7z",
    b"Rar!\x1a": "RAR",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x7fELF": "ELF",
    b"\xd0\xcf\x11\xe0": "OLE2",
    b"{\\rtf": "RTF",
}
# Encodings that a document may declare. Others that Python knows (escapes, punycode) are no
# encodings of documents, and some decode to code points that cannot be stored.
_DECLARABLE = re.compile(
    r"utf-8|iso8859-\d+|cp\d+|koi8-[rtu]|gb2312|gbk|gb18030|big5|big5hkscs|euc_(jp|kr)"
    r"|shift_jis|iso2022_(jp|kr)|hz|tis-620|mac-\w+"
)
# Declared names stand for their supersets, as in https://encoding.spec.whatwg.org/#names-and-labels
_SUPERSETS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}

MAX_CONTROLS = 0.1
MIN_BARE_UTF16 = 32
_CONTROLS = re.compile(r"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
_DROPPED = re.compile(r"\x1b\[[0-9;?]{0,32}[@-~]|[\0-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
"""Control characters, and the sequences by which terminals change colour."""
_USUAL_UTF16 = frozenset("\n\r\t ,.\u3001\u3002\uff0c")


def decode(data: bytes, *, declared: str | None = None) -> str:
    """Decode a document and clean it: newlines are `\\n`, control characters and the mark are gone.

    `declared` is what the document says of itself; it is believed where it can be true.
    Raise `UnreadableDocument` when the bytes are binary or in no encoding that can be recognised.
    """
    encoding = _encoding(data, data, declared, is_whole=True)
    text = data.decode(encoding, errors="replace").removeprefix("\ufeff")
    return cleaned(text.replace("\r\n", "\n").replace("\r", "\n"))


def open_text(content: Content, *, declared: str | None = None) -> TextIO:
    """Open a file to be read as text piece by piece; newlines are `\\n`, see also `cleaned`.

    The first 64 KiB decide on the encoding or, where they are plain ASCII, the first 64 KiB with
    another character; what does not fit it later is replaced. Raise as `decode` does.
    """
    encoding = _encoding(
        content.head(HEAD), _telling(content), declared, is_whole=content.size <= SAMPLE
    )
    text = io.TextIOWrapper(content.open(), encoding=encoding, errors="replace", newline=None)
    if text.read(1) != "\ufeff":
        text.seek(0)
    return text


def head_text(head: bytes) -> str:
    """Decode the beginning of a text far enough to see its ASCII characters, whatever it is in."""
    return head.decode(bom_encoding(head) or _bare_utf16(head) or "latin-1", errors="replace")


def cleaned(text: str) -> str:
    """Drop control characters but white space; those that part lines become newlines or blanks."""
    return _DROPPED.sub("", text.replace("\x85", "\n").replace("\v", " "))


def binary_format(head: bytes) -> str | None:
    """Name the binary format that the first bytes of a file betray; None when they are text."""
    if bom_encoding(head) is not None:
        return None
    for magic, name in _BINARY_HEADS.items():
        if head.startswith(magic):
            return name
    return "NUL bytes" if b"\0" in head and _bare_utf16(head) is None else None


def bom_encoding(head: bytes) -> str | None:
    """Return the encoding that the byte order mark names, if there is a mark."""
    return next((encoding for bom, encoding in _BOMS if head.startswith(bom)), None)


def _telling(content: Content) -> bytes:
    """Return the first 64 KiB that are not plain ASCII; the first of all where there are none."""
    with content.open() as file:
        head = sample = file.read(SAMPLE)
        while sample.isascii() and sample:
            sample = file.read(SAMPLE)
    return sample or head


def _bare_utf16(head: bytes) -> str | None:
    """Recognise UTF-16 without a mark: of Latin text, every second byte is NUL.

    What would then be full of control characters is binary after all.
    """
    even, odd = head[0::2].count(0), head[1::2].count(0)
    few, many = sorted((even, odd))
    if not many or many < len(head) * 0.15 or few > many * 0.02:
        return _bare_utf16_of_other_scripts(head)
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    text = head.decode(encoding, errors="replace")
    return encoding if len(_CONTROLS.findall(text)) <= len(text) * MAX_CONTROLS else None


def _bare_utf16_of_other_scripts(head: bytes) -> str | None:
    """Recognise UTF-16 by its newlines, blanks, commas, and by having only characters that exist.

    Most bytes of a binary file that is mainly ASCII would be printable, too.
    """
    if len(head) < MIN_BARE_UTF16 or sum(0x20 <= b < 0x7F for b in head) > len(head) * 0.8:
        return None
    for encoding in ("utf-16-le", "utf-16-be"):
        text = head[: len(head) & ~1].decode(encoding, errors="replace")
        usual = sum(char in _USUAL_UTF16 for char in text)
        strange = sum(unicodedata.category(c)[0] == "C" and c not in "\n\r\t" for c in text)
        if usual > len(text) * 0.02 and strange + text.count("\ufffd") <= len(text) * 0.01:
            return encoding
    return None


def _encoding(head: bytes, data: bytes, declared: str | None, *, is_whole: bool) -> str:
    """Decide on the encoding of data; a last character may be cut off unless it is the whole."""
    if (found := binary_format(head[:HEAD])) is not None:
        raise UnreadableDocument(f"the content is binary ({found}), wanted text")
    for encoding in _certain(head, data, declared):
        try:
            codecs.getincrementaldecoder(encoding)("strict").decode(data, final=is_whole)
        except UnicodeDecodeError:
            continue
        return encoding
    mended = data.decode("utf-8", errors="replace")
    # One damaged place in a long UTF-8 text must not turn every other letter into noise.
    if mended.count("\ufffd") * 10 < len(data) - len(mended):
        return "utf-8"
    guess = guessed_encoding(data, is_whole=is_whole)
    if guess is None:
        raise UnreadableDocument(
            "the content is in no encoding that can be recognised", hint="save it as UTF-8"
        )
    return guess


def _certain(head: bytes, data: bytes, declared: str | None) -> list[str]:
    """List the encodings to try strictly, the most credible first."""
    encodings = ["utf-8"]
    if (claim := _claimed(declared)) == "cp1252":
        # The customary claim of those who do not know; valid UTF-8 is the better evidence.
        encodings.append(claim)
    elif claim is not None:
        encodings.insert(0, claim)
    if data.isascii() and (escaped := escaped_encoding(data)) is not None:
        encodings.insert(0, escaped)
    if (bare := _bare_utf16(head[:HEAD])) is not None:
        encodings.insert(0, bare)
    if (marked := bom_encoding(head)) is not None:
        encodings.insert(0, marked)
    return encodings


def _claimed(name: str | None) -> str | None:
    try:
        codec = codecs.lookup(name or "").name
    except (LookupError, ValueError):
        return None
    codec = _SUPERSETS.get(codec, codec)
    return codec if _DECLARABLE.fullmatch(codec) else None
