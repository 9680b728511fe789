"""The tokens of RTF, and which bytes to pass over.

Knows the syntax (Rich Text Format Specification 1.9.1, "RTF syntax") and how characters are
encoded; nothing of what a control word means for a document.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})?[ ]?|\\'([0-9a-fA-F]{2})|\\(.)|([{}])|([^\\{}\r\n]+)",
    re.DOTALL,
)
_BRACE = re.compile(rb"\\bin(\d{1,10})[ ]?|\\[^a-zA-Z]|[{}]", re.DOTALL)
_CHARSETS = {
    0: "cp1252",
    2: "cp1252",
    77: "mac_roman",
    78: "cp932",
    79: "cp950",
    80: "cp949",
    81: "mac_arabic",
    85: "mac_greek",
    86: "mac_turkish",
    88: "mac_latin2",
    89: "mac_cyrillic",
    128: "cp932",
    129: "cp949",
    130: "johab",
    134: "gb18030",
    136: "cp950",
    161: "cp1253",
    162: "cp1254",
    163: "cp1258",
    177: "cp1255",
    178: "cp1256",
    186: "cp1257",
    204: "cp1251",
    222: "cp874",
    238: "cp1250",
    254: "cp437",
    255: "cp850",
}
"""`\\fcharset` to encoding."""
_CODE_PAGES = {65001: "utf-8", 10000: "mac_roman", 936: "gb18030", 1361: "johab"}


class Token(NamedTuple):
    """A piece of RTF; exactly one of the first four is set."""

    word: str = ""
    """A control word, or a control symbol: one character that is no letter."""
    brace: bytes = b""
    byte: int | None = None
    """A character written as `\\'hh`."""
    text: bytes = b""
    number: int | None = None
    """Of a control word."""


class Tokens:
    """Reads RTF from front to back; who reads may take the rest of a group at once."""

    def __init__(self, data: bytes) -> None:
        """Take the whole file."""
        self._data = data
        self._position = 0

    def __iter__(self) -> Iterator[Token]:
        data = self._data
        while (found := _TOKEN.search(data, self._position)) is not None:
            self._position = found.end()
            word, number, byte, symbol, brace, text = found.groups()
            if word == b"bin":
                self._position += max(0, int(number or 0))
            elif word is not None:
                yield Token(word.decode("ascii"), number=int(number) if number else None)
            elif byte is not None:
                yield Token(byte=int(byte, 16))
            elif symbol is not None:
                yield Token("par" if symbol in b"\r\n" else symbol.decode("latin-1"))
            elif brace is not None:
                yield Token(brace=brace)
            else:
                yield Token(text=text)

    def rest_of_group(self) -> bytes:
        """Pass over the rest of the group and its end, and return it without the end."""
        depth, start = 1, self._position
        end = len(self._data)
        while depth and (found := _BRACE.search(self._data, self._position)) is not None:
            self._position, end = found.end(), found.start()
            if found[1] is not None:
                self._position += int(found[1])
            elif found[0] == b"{":
                depth += 1
            elif found[0] == b"}":
                depth -= 1
        if depth:
            self._position = end = len(self._data)
        return self._data[start:end]


def charset_encoding(charset: int) -> str | None:
    """Return the encoding of a font's character set; None where it is the document's."""
    return _CHARSETS.get(charset)


def code_page_encoding(number: int) -> str:
    """Return the encoding of a code page, Western where there is none of that number."""
    name = _CODE_PAGES.get(number, f"cp{number}")
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "cp1252"


def mended(text: str) -> str:
    """Join the halves of surrogate pairs, which RTF writes one after the other."""
    if not any("\ud800" <= c <= "\udfff" for c in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
