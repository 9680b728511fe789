"""The entries of tar archives, one after the other, compressed or not.

Knows the container and what in it is a file; nothing of what files mean.
"""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from indexers.parsing.archives.unpacking import Unpacked, is_compressed
from indexers.parsing.content import Content
from rag.errors import UnreadableDocument

MAX_HEADER_BYTES = 1 << 20
"""Of a header that extends an entry (long names, pax)."""
MAX_TOTAL_BYTES = 512 << 20
"""Of all entries that are read."""

_HEADER = 512
_LONG_NUMBER = re.compile(rb"\d{30}")
_EXTENSIONS = frozenset({b"x", b"g", b"X", b"L", b"K"})
_DAMAGE = (tarfile.TarError, OSError, EOFError, ValueError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in an archive."""

    name: str
    size: int
    content: bytes | None
    """None where it was not read."""
    problem: str = ""
    """Why not, in a few words."""
    is_large: bool = False
    is_special: bool = False
    """A link or a device: nothing is lost with it."""


class _Again:
    """Gives what was already read once more, and makes room for the stream that it came from."""

    def __init__(self, archive: Any, data: bytes) -> None:
        self._archive, self._stream, self._data = archive, archive.fileobj, data

    def read(self, _size: int) -> bytes:
        self._archive.fileobj = self._stream
        return self._data


class _Info(tarfile.TarInfo):
    def _proc_member(self, archive: Any) -> tarfile.TarInfo:
        if self.type in _EXTENSIONS and self.size > MAX_HEADER_BYTES:
            raise tarfile.ReadError("a header is too long")
        return cast(tarfile.TarInfo, super()._proc_member(archive))  # type: ignore[misc]

    def _proc_pax(self, archive: Any) -> tarfile.TarInfo:
        """Refuse numbers with many digits: looking for them takes time in their square."""
        data = archive.fileobj.read(self._block(self.size))  # type: ignore[attr-defined]
        if _LONG_NUMBER.search(data):
            raise tarfile.ReadError("a header is malformed")
        archive.fileobj = _Again(archive, data)
        return cast(tarfile.TarInfo, super()._proc_pax(archive))  # type: ignore[misc]


def is_tar(head: bytes | bytearray) -> bool:
    """Whether an archive begins like this: with a header whose checksum is right."""
    if len(head) < _HEADER:
        return False
    try:
        tarfile.TarInfo.frombuf(bytes(head[:_HEADER]), "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def entries_of_tar(content: Content, limit: int) -> Iterator[Entry]:
    """Yield the files; those that are too large, and links, without their content.

    `limit`: bytes of one file. Raise `UnreadableDocument`: malformed (no entry at all), too_large.
    """
    source: BinaryIO = content.open()
    unpacked = Unpacked(source) if is_compressed(content.head(6)) else None
    stream = cast(BinaryIO, unpacked) if unpacked is not None else source
    archive: Any = None
    count = 0
    try:
        archive = tarfile.TarFile.open(
            fileobj=stream, mode="r|", tarinfo=_Info, errors="surrogateescape"
        )
        end = MAX_TOTAL_BYTES if unpacked is not None else content.size
        for entry in _entries(archive, limit, end):
            count += 1
            yield entry
    except (*_DAMAGE, zlib.error) as exc:
        if not count:
            raise UnreadableDocument("it is no tar archive, or damaged") from exc
        yield Entry("…", 0, None, "damaged from here on")
    except UnreadableDocument as exc:
        if not count:
            raise
        yield Entry("…", 0, None, f"not read from here on: {exc.message}", is_large=True)


def _entries(archive: Any, limit: int, end: int) -> Iterator[Entry]:
    """Yield the entries; `end`: bytes that the archive can have at most."""
    total = 0
    while (info := archive.next()) is not None:
        archive.members.clear()  # they would all be kept
        if not info.isdir():
            total += info.size
            yield _entry(archive, info, limit if total <= MAX_TOTAL_BYTES else 0)
        if archive.offset > end:
            raise tarfile.ReadError("an entry is longer than the archive")


def _entry(archive: tarfile.TarFile, info: tarfile.TarInfo, limit: int) -> Entry:
    name = _name(info.name)
    if not info.isreg():
        kind = "a link" if info.issym() or info.islnk() else "no file"
        return Entry(name, info.size, None, kind, is_special=True)
    if info.size > limit:
        return Entry(name, info.size, None, "too large", is_large=True)
    file = archive.extractfile(info)
    try:
        return Entry(name, info.size, file.read() if file is not None else b"")
    except tarfile.ReadError:
        return Entry(name, info.size, None, "cut off")


def _name(name: str) -> str:
    """Return a name whose encoding is not UTF-8 as Western text."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
