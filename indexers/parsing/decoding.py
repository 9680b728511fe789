"""From bytes to text: which encoding they are in, and whether they are text at all.

Knows byte order marks, binary formats and encodings; nothing of markup.
"""

from __future__ import annotations

import codecs
import re

from rag.errors import UnreadableDocument

HEAD = 8192
"""Bytes at the beginning that tell text from binary content."""

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
FEW_LETTERS = 6
_CONTROLS = re.compile(r"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
_HIGH = re.compile(rb"[\x80-\xff]")


def decode(data: bytes, *, declared: str | None = None) -> str:
    """Decode a document and normalise it: newlines are `\\n`, NUL and the mark are gone.

    `declared` is what the document says of itself; it is believed where it can be true.
    Raise `UnreadableDocument` when the bytes are binary or in no encoding that can be recognised.
    """
    if (found := binary_format(data[:HEAD])) is not None:
        raise UnreadableDocument(f"the content is binary ({found}), wanted text")
    text = _decode(data, declared)
    return text.removeprefix("\ufeff").replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")


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


def _bare_utf16(head: bytes) -> str | None:
    """Recognise UTF-16 without a mark: of Latin text, every second byte is NUL.

    What would then be full of control characters is binary after all.
    """
    even, odd = head[0::2].count(0), head[1::2].count(0)
    few, many = sorted((even, odd))
    if not many or many < len(head) * 0.15 or few > many * 0.02:
        return None
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    text = head.decode(encoding, errors="replace")
    return encoding if len(_CONTROLS.findall(text)) <= len(text) * MAX_CONTROLS else None


def _decode(data: bytes, declared: str | None) -> str:
    for encoding in _certain(data, declared):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    mended = data.decode("utf-8", errors="replace")
    # One damaged place in a long UTF-8 text must not turn every other letter into noise.
    if mended.count("\ufffd") * 10 < len(data) - len(mended):
        return mended
    return _detect(data)


def _certain(data: bytes, declared: str | None) -> list[str]:
    """List the encodings to try strictly, the most credible first."""
    encodings = ["utf-8"]
    if (claim := _claimed(declared)) == "cp1252":
        # The customary claim of those who do not know; valid UTF-8 is the better evidence.
        encodings.append(claim)
    elif claim is not None:
        encodings.insert(0, claim)
    if (bare := _bare_utf16(data[:HEAD])) is not None:
        encodings.insert(0, bare)
    if (marked := bom_encoding(data)) is not None:
        encodings.insert(0, marked)
    return encodings


def _claimed(name: str | None) -> str | None:
    try:
        codec = codecs.lookup(name or "").name
    except (LookupError, ValueError):
        return None
    codec = _SUPERSETS.get(codec, codec)
    return codec if _DECLARABLE.fullmatch(codec) else None


def _detect(data: bytes) -> str:
    from charset_normalizer import from_bytes

    if len(_HIGH.findall(data)) < FEW_LETTERS:  # too little to tell encodings apart by
        return data.decode("cp1252", errors="replace")
    guesses = from_bytes(data, cp_exclusion=["utf_7"])
    best = guesses.best()
    if best is None:
        raise UnreadableDocument(
            "the content is in no encoding that can be recognised", hint="save it as UTF-8"
        )
    # Western text often reads equally well in cp1250 and cp1252; the latter is far more used.
    western = (
        guess
        for guess in guesses
        if guess.encoding == "cp1252"
        and guess.chaos <= best.chaos
        and guess.coherence >= best.coherence
    )
    return str(next(western, best))
