"""OLE2 compound files ([MS-CFB]): their streams, and what they say of themselves.

Knows the container of the older office formats, which also holds encrypted files of the newer
ones; nothing of the documents in its streams.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import olefile

from indexers.parsing.content import Content, Properties
from indexers.parsing.metadata import metadata
from indexers.parsing.office.titles import usable_title
from rag.errors import UnreadableDocument

MAX_STREAM_BYTES = 128 << 20
MAX_PROPERTY_BYTES = 1 << 16
_SUMMARY = "\x05SummaryInformation"
_CODE_PAGE, _TITLE, _PAGES = 1, 2, 14
_TEXTS = {3: "subject", 4: "author", 5: "keywords"}
_TIMES = {12: "created", 13: "modified"}
_CODE_PAGES = {65001: "utf-8", 1200: "utf-16-le", 10000: "mac-roman"}
_FILE_TIME = datetime(1601, 1, 1, tzinfo=UTC)
_YEAR_ONE = 1900
"""Earlier times mean that there is none."""
_SECTOR_SHIFTS = (9, 12)
_BROKEN = (
    OSError,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    struct.error,
    RecursionError,
)


def is_ole(content: Content) -> bool:
    """Whether the file is a compound file."""
    return bool(content.head(8) == olefile.MAGIC)


@contextmanager
def open_ole(content: Content) -> Iterator[Any]:
    """Open the container; what goes wrong inside it is an `UnreadableDocument`."""
    _check_header(content)
    try:
        container: Any = olefile.OleFileIO()
        # It compares all streams with each other, which takes time in the square of their number.
        container._check_duplicate_stream = lambda *_, **__: None
        with container:
            container.open(content.open())
            yield container
    except _BROKEN as exc:
        raise UnreadableDocument("the compound file is damaged") from exc


def read_stream(container: Any, *names: str) -> bytes:
    """Return the first of these streams that is there, or else nothing."""
    for name in names:
        if container.exists(name) and container.get_type(name) == olefile.STGTY_STREAM:
            if container.get_size(name) > MAX_STREAM_BYTES:
                raise UnreadableDocument(f"the stream {name!r} is too large", code="too_large")
            return bytes(container.openstream(name).read())
    return b""


def refuse_encrypted_package(content: Content) -> None:
    """Raise `encrypted` where the container holds an encrypted file ([MS-OFFCRYPTO] 2.3.4)."""
    with open_ole(content) as container:
        if container.exists("EncryptedPackage"):
            raise UnreadableDocument(
                "the file is encrypted", code="encrypted", hint="save it without a password"
            )


def ole_properties(container: Any) -> Properties:
    """Return title and metadata ([MS-OLEPS] 2.25.1); none where they are missing or damaged."""
    try:
        values = _property_set(read_stream(container, _SUMMARY))
    except (*_BROKEN, UnreadableDocument):
        return Properties()
    page = values.get(_CODE_PAGE)
    encoding = _encoding(page) if isinstance(page, int) else "cp1252"
    found: dict[object, object] = {}
    for number, name in _TEXTS.items():
        if text := _text(values.get(number), encoding):
            found[name] = text
    for number, name in _TIMES.items():
        if isinstance(when := values.get(number), datetime) and when.year > _YEAR_ONE:
            found[name] = when
    if isinstance(pages := values.get(_PAGES), int) and 0 < pages < 1_000_000:
        found["pages"] = pages
    return Properties(usable_title(_text(values.get(_TITLE), encoding)), metadata(found))


def _property_set(data: bytes) -> dict[int, object]:
    """Read the simple values of the first set of properties ([MS-OLEPS] 2.20 and 2.15)."""
    if len(data) < 48:
        return {}
    section = data[int.from_bytes(data[44:48], "little") :]
    count = int.from_bytes(section[4:8], "little")
    found: dict[int, object] = {}
    for n in range(min(count, len(section) // 8)):
        number, offset = struct.unpack_from("<LL", section, 8 + 8 * n)
        kind, value = section[offset : offset + 2], section[offset + 4 :][:MAX_PROPERTY_BYTES]
        size = 4 + int.from_bytes(value[:4], "little")
        match int.from_bytes(kind, "little"):
            case 2:
                found[number] = int.from_bytes(value[:2], "little")
            case 3:
                found[number] = int.from_bytes(value[:4], "little")
            case 30:
                found[number] = value[4:size]
            case 31:
                found[number] = value[4 : 2 * size - 4].decode("utf-16-le", "replace")
            case 64:
                microseconds = int.from_bytes(value[:8], "little") // 10
                found[number] = _FILE_TIME + timedelta(microseconds=microseconds)
    return found


def _encoding(code_page: int) -> str:
    try:
        return codecs.lookup(_CODE_PAGES.get(code_page, f"cp{code_page}")).name
    except LookupError:
        return "cp1252"


def _text(value: object, encoding: str) -> str:
    if isinstance(value, bytes):
        value = value.decode(encoding, errors="replace")
    return value.replace("\0", "").strip() if isinstance(value, str) else ""


def _check_header(content: Content) -> None:
    """Refuse tables that are declared larger than the file ([MS-CFB] 2.2)."""
    header = content.head(76)
    if len(header) < 76 or header[:8] != olefile.MAGIC:
        raise UnreadableDocument("it is no compound file")
    (shift,) = struct.unpack_from("<H", header, 30)
    if shift not in _SECTOR_SHIFTS:
        raise UnreadableDocument("the compound file is damaged: strange size of sectors")
    sectors = (content.size >> shift) + 1
    (fat,) = struct.unpack_from("<L", header, 44)
    mini, _, difat = struct.unpack_from("<L L L", header, 64)
    if max(fat, mini, difat) > sectors:
        raise UnreadableDocument("the compound file is damaged: its tables exceed it")
