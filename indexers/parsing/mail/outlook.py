"""The properties of a mail, a person or an attachment in an Outlook file ([MS-OXMSG]).

Knows how properties are stored in a compound file, and their types; nothing of what each means.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from olefile.olefile import STGTY_STORAGE, STGTY_STREAM

from indexers.parsing.mail.headers import decoded
from indexers.parsing.office.ole import MAX_STREAM_BYTES
from rag.errors import UnreadableDocument

MAX_STORAGES = 10_000
"""People and attachments of one mail."""

_PROPERTIES = "__properties_version1.0"
_TEXT, _TEXT_8BIT, _BINARY, _TIME = 0x1F, 0x1E, 0x102, 0x40
_CODE_PAGES = (0x3FDE, 0x3FFD)
"""PidTagInternetCodepage, PidTagMessageCodepage."""
_HEADS = (32, 24, 8)
"""Bytes before the list of properties: of a file, of a mail in a mail, of all else (2.4.1)."""
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_NAMES = {65001: "utf-8", 20127: "cp1252", 28591: "cp1252", 20866: "koi8-r", 50220: "iso2022_jp"}


class Storage:
    """One object with properties, somewhere inside the file."""

    def __init__(self, container: Any, entry: Any = None, charset: str | None = None) -> None:
        """`entry`: of the folder in the container; the whole is one, too.

        `charset`: of 8-bit texts, where the object says nothing of it itself.
        """
        self._container = container
        self._entry = container.root if entry is None else entry
        self._fixed = self._read_fixed(is_file=entry is None)
        page = next(filter(None, map(self.number, _CODE_PAGES)), 0)
        self.charset = _encoding(page) if page else charset
        """Of 8-bit texts and of pages."""

    def number(self, tag: int) -> int | None:
        """Return an integer property."""
        value = self._fixed.get(tag)
        return int.from_bytes(value[:4], "little", signed=True) if value is not None else None

    def moment(self, tag: int) -> datetime | None:
        """Return a time property, to the second."""
        value = self._fixed.get(tag)
        if value is None:
            return None
        try:
            return _EPOCH + timedelta(seconds=int.from_bytes(value, "little") // 10**7)
        except OverflowError:
            return None

    def text(self, tag: int) -> str:
        """Return a text property; empty where there is none."""
        if data := self._stream(tag, _TEXT):
            text = data.decode("utf-16-le", errors="replace")
        else:
            text = decoded(self._stream(tag, _TEXT_8BIT), self.charset)
        return text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")

    def binary(self, tag: int) -> bytes:
        """Return a binary property; empty where there is none."""
        return self._stream(tag, _BINARY)

    def inside(self, name: str) -> Iterator[Storage]:
        """Yield the objects inside whose names begin so, in the order of their numbers."""
        found = [
            entry
            for entry in self._entry.kids
            if entry.entry_type == STGTY_STORAGE and entry.name.startswith(name)
        ]
        found.sort(key=lambda entry: str(entry.name))
        for entry in found[:MAX_STORAGES]:
            yield Storage(self._container, entry, self.charset)

    def _stream(self, tag: int, kind: int) -> bytes:
        return self._named(f"__substg1.0_{tag:04X}{kind:04X}")

    def _named(self, name: str) -> bytes:
        """Return a stream; without the search from the root, which takes time in large mails."""
        entry = self._entry.kids_dict.get(name.lower())
        if entry is None or entry.entry_type != STGTY_STREAM:
            return b""
        if entry.size > MAX_STREAM_BYTES:
            raise UnreadableDocument("the mail holds a file that is too large", code="too_large")
        return bytes(self._container._open(entry.isectStart, entry.size).read())

    def _read_fixed(self, *, is_file: bool) -> dict[int, bytes]:
        data = self._named(_PROPERTIES)
        is_mail = self._entry.name.startswith("__substg1.0_3701")
        head = _HEADS[0] if is_file else _HEADS[1] if is_mail else _HEADS[2]
        entries = struct.iter_unpack("<HHI8s", data[head : head + (len(data) - head) // 16 * 16])
        return {tag: value for _, tag, _, value in entries}


def _encoding(code_page: int) -> str | None:
    name = _NAMES.get(code_page, f"cp{code_page}")
    try:
        return codecs.lookup(name).name
    except LookupError:
        return None
