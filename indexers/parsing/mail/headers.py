"""The head of a mail or of one of its parts, however badly it was written.

Knows folded lines, encoded words (RFC 2047), parameters (RFC 2231) and addresses (RFC 5322);
nothing of what a mail contains. Nothing here raises: what cannot be read is left as it is.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from datetime import datetime
from email.utils import getaddresses
from urllib.parse import unquote_to_bytes

from indexers.parsing.moments import moment
from indexers.parsing.text.decoding import decode
from rag.errors import UnreadableDocument

MAX_HEAD = 1 << 20
"""Bytes of a head that are read."""
MAX_VALUE = 32_768
"""Bytes of one field that are read."""
MAX_ADDRESSES = 200

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_FIELD = re.compile(rb"([!-9;-~]{1,100})[ \t]*:(.*)", re.DOTALL)
_END = re.compile(rb"\r?\n\r?\n|\r\r")
_CHARSET = re.compile(rb"""charset\s*=\s*["']?([A-Za-z0-9._-]+)""", re.IGNORECASE)
_WORD = re.compile(r"=\?([\w.:-]{1,40})(?:\*[\w-]{0,20})?\?([bBqQ])\?([^?]*)\?=")
_PARAMETER = re.compile(r';\s*([\w*.-]{1,80})\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^;]*))')
_CONTINUED = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?")
_NO_BASE64 = bytes(set(range(256)) - set(_BASE64))


class Headers:
    """The fields of one head, by name without regard to case; of several the first counts."""

    def __init__(self, head: bytes) -> None:
        """Take the lines of a head, without the blank line after it."""
        self._fields: dict[str, bytes] = {}
        for line in _unfolded(head[:MAX_HEAD]):
            field = _FIELD.fullmatch(line)
            if field is not None:
                self._fields.setdefault(field[1].decode("ascii").lower(), field[2][:MAX_VALUE])

    def __bool__(self) -> bool:
        return bool(self._fields)

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def raw(self, name: str) -> str:
        """Return a field as it stands; empty where there is none."""
        data = self._fields.get(name, b"")
        try:
            data.decode()
        except UnicodeDecodeError:  # against the rules, and mostly in the encoding of the text
            said = _CHARSET.search(self._fields.get("content-type", b""))
            return decoded(data, said[1].decode() if said is not None else None).strip()
        return decoded(data, None).strip()

    def text(self, name: str) -> str:
        """Return a field as a reader sees it, on one line."""
        return " ".join(decoded_words(self.raw(name)).split())

    def value(self, name: str) -> str:
        """Return a field of keywords before its parameters, in small letters."""
        return self.raw(name).partition(";")[0].strip().lower()

    def parameter(self, field: str, name: str) -> str:
        """Return a parameter of a field (`charset`, `filename`); empty where there is none."""
        return dict(_parameters(self.raw(field))).get(name, "")

    def addresses(self, name: str) -> list[str]:
        """Return the people in a field, each as `Name <address>`."""
        try:
            pairs = getaddresses([self.raw(name)])
        except RecursionError:  # comments in comments in comments
            return [self.text(name)]
        found = (written_address(decoded_words(words), address) for words, address in pairs)
        return list(filter(None, found))[:MAX_ADDRESSES]

    def moment(self, name: str) -> datetime | None:
        """Return the date in a field."""
        return moment(self.text(name))


def split_head(data: bytes) -> tuple[bytes, bytes]:
    """Part the head of a mail or part from its body."""
    for newline in (b"\n", b"\r\n"):
        if data.startswith(newline):
            return b"", data[len(newline) :]
    end = _END.search(data, 0, MAX_HEAD)
    return (data[: end.start()], data[end.end() :]) if end is not None else (data, b"")


def written_address(name: str, address: str) -> str:
    """Write one person; empty where nothing is known."""
    name, address = " ".join(name.split()).strip("'\""), " ".join(address.split())
    if not name or name == address:
        return address
    return f"{name} <{address}>" if address else name


def decoded(data: bytes, charset: str | None) -> str:
    """Decode by what the mail claims, else by what it looks like; never fail."""
    if not data:
        return ""
    if charset and charset.lower() in ("utf-7", "unicode-1-1-utf-7"):
        return data.decode("utf-7", errors="replace")
    try:
        return decode(data, declared=charset)
    except UnreadableDocument:
        return data.decode("latin-1").replace("\0", "")


def decoded_words(text: str) -> str:
    """Decode the encoded words in a text (`=?utf-8?q?caf=C3=A9?=`)."""
    pieces: list[str] = []
    words: list[tuple[str, str]] = []
    charset, position = "", 0
    for found in _WORD.finditer(text):
        gap = text[position : found.start()]
        # A letter may be cut in two between words; blanks between them only part them.
        if (gap and not gap.isspace()) or found[1].lower() != charset:
            pieces.append(decoded(_joined_words(words), charset))
            pieces.append("" if words and gap.isspace() else gap)
            words = []
        charset = found[1].lower()
        words.append((found[2].lower(), found[3]))
        position = found.end()
    pieces.append(decoded(_joined_words(words), charset))
    return "".join(pieces) + text[position:]


def _joined_words(words: list[tuple[str, str]]) -> bytes:
    """Decode words that follow each other; base64 may be cut anywhere, too."""
    data, open_text = b"", ""
    for kind, text in words:
        if kind == "q":
            data += from_base64(open_text.encode()) + _from_q(text)
            open_text = ""
            continue
        open_text += text
        if len(open_text) % 4 == 0 or text.endswith("="):
            data += from_base64(open_text.encode())
            open_text = ""
    return data + from_base64(open_text.encode())


def from_base64(data: bytes) -> bytes:
    """Decode base64 as far as it goes, whatever stands between the letters."""
    letters = data.translate(None, _NO_BASE64)
    letters = letters.partition(b"=")[0] if letters.rstrip(b"=").find(b"=") >= 0 else letters
    letters = letters.rstrip(b"=")
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def _from_q(text: str) -> bytes:
    return binascii.a2b_qp(text.encode(), header=True)


def _unfolded(head: bytes) -> Iterator[bytes]:
    """Yield the fields of a head, each on one line."""
    field: list[bytes] = []
    for line in head.splitlines():
        if line[:1] in (b" ", b"\t") and field:
            field.append(line.strip())
            continue
        yield b" ".join(field)
        field = [line]
    yield b" ".join(field)


def _parameters(text: str) -> Iterator[tuple[str, str]]:
    """Yield the parameters of a field, those put together that come in pieces."""
    pieces: dict[str, list[tuple[int, bool, str]]] = {}
    for found in _PARAMETER.finditer(text):
        quoted, bare = found[2], found[3]
        value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare.strip()
        named = _CONTINUED.fullmatch(found[1].lower())
        if named is not None:
            piece = (int(named[2] or 0), named[3] is not None, value)
            pieces.setdefault(named[1], []).append(piece)
    for name, found_pieces in pieces.items():
        yield name, _joined(sorted(found_pieces))


def _joined(pieces: list[tuple[int, bool, str]]) -> str:
    if not any(is_encoded for _, is_encoded, _ in pieces):
        return decoded_words("".join(value for _, _, value in pieces))
    charset, _, rest = pieces[0][2].partition("'")
    values = [rest.partition("'")[2] if "'" in rest else pieces[0][2]]
    values.extend(value for _, _, value in pieces[1:])
    data = b"".join(
        unquote_to_bytes(value) if is_encoded else value.encode(errors="replace")
        for (_, is_encoded, _), value in zip(pieces, values, strict=True)
    )
    return decoded(data, charset)
