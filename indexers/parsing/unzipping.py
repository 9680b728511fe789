"""Safe reading of ZIP archives, for every format that is one.

Knows how an archive can be made to hurt: too many entries, entries that unpack to far more than
they take, entries that share their bytes (https://www.bamsoftware.com/hacks/zipbomb/). Knows
nothing of what the entries mean, and never writes a file.
"""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO, cast

from indexers.parsing.content import Content
from rag.errors import UnreadableDocument

MAX_ENTRIES = 10_000
MAX_DIRECTORY_BYTES = 8 << 20
"""Of the list of entries, which is read as a whole."""
MAX_TOTAL_BYTES = 512 << 20
"""Of all entries that are opened, unpacked."""
MAX_XML_BYTES = 64 << 20
"""Of one entry that is held as a whole, unless the caller says otherwise."""
MAX_RATIO = 100
MIN_SUSPICIOUS_BYTES = 8 << 20
"""Entries up to this size may have any ratio."""

_HEADER_BYTES = 30
_ENCRYPTED = 0x1
_PIECE = 4096
"""Bytes unpacked at a time: bzip2 and LZMA may make thousands of times as many of them."""
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    struct.error,
)


class SafeZip:
    """An archive whose entries are checked when they are opened, and counted together."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        """Take an archive that is open; `open_zip` is the way to make one."""
        self._archive = archive
        self._total = 0
        self._lenient = {_plain(info.filename): info for info in archive.infolist()}

    def entries(self) -> list[zipfile.ZipInfo]:
        """Return what the archive lists, folders too, in its order."""
        return self._archive.infolist()

    def names(self) -> list[str]:
        """Return the names of the files in the archive."""
        return [info.filename for info in self.entries() if not info.is_dir()]

    def find(self, name: str) -> zipfile.ZipInfo | None:
        """Return the entry of that name; else one that differs in case or slashes only."""
        return self._archive.NameToInfo.get(name) or self._lenient.get(_plain(name))

    def check(self, info: zipfile.ZipInfo, limit: int = MAX_TOTAL_BYTES) -> None:
        """Raise `UnreadableDocument` when the entry should not be unpacked.

        What it declares can be relied on: no more is ever unpacked than the declared size, and
        the packed size is limited by the next entry.
        """
        if info.flag_bits & _ENCRYPTED:
            raise UnreadableDocument(
                f"the archive's entry {info.filename!r} is encrypted", code="encrypted"
            )
        if info.file_size > limit:
            raise UnreadableDocument(
                f"the archive's entry {info.filename!r} unpacks to {info.file_size:,} bytes, "
                f"allowed are {limit:,}",
                code="too_large",
            )
        suspicious = info.file_size > MIN_SUSPICIOUS_BYTES
        if suspicious and info.file_size > MAX_RATIO * max(1, info.compress_size):
            raise UnreadableDocument(
                f"the archive's entry {info.filename!r} unpacks to more than {MAX_RATIO} times "
                "its size",
                code="too_large",
            )

    @contextmanager
    def open(
        self,
        entry: str | zipfile.ZipInfo,
        limit: int = MAX_TOTAL_BYTES,
        *,
        partial: bool = False,
        password: str = "",
    ) -> Iterator[IO[bytes]]:
        """Open an entry to be read in pieces; what goes wrong meanwhile is a typed error.

        `partial`: a damaged entry ends where the damage begins. A `password` opens entries in the
        old ZipCrypto format; a wrong one is an error with the code `encrypted`.
        """
        info = self.find(entry) if isinstance(entry, str) else entry
        if info is None:
            raise UnreadableDocument(f"the archive has no entry {entry!r}")
        if not (password and info.flag_bits & _ENCRYPTED):
            self.check(info, limit)
        self._count(info)
        try:
            stream = self._archive.open(info, pwd=password.encode() or None)
        except RuntimeError as exc:  # NotImplementedError is one
            if isinstance(exc, NotImplementedError):
                raise UnreadableDocument(
                    f"the archive's entry {info.filename!r} is packed in an unknown way",
                    code="unsupported",
                ) from exc
            raise UnreadableDocument("the password is wrong", code="encrypted") from exc
        except _DAMAGE as exc:
            raise UnreadableDocument(_damaged(info)) from exc
        with stream:
            if partial:  # else a wrong checksum costs the last piece, or all of a short entry
                stream._expected_crc = None  # type: ignore[attr-defined]
            yield cast(IO[bytes], _Entry(stream, _damaged(info), is_partial=partial))

    def _count(self, info: zipfile.ZipInfo) -> None:
        self._total += info.file_size
        if self._total > MAX_TOTAL_BYTES:
            raise UnreadableDocument(
                f"the archive unpacks to more than {MAX_TOTAL_BYTES:,} bytes", code="too_large"
            )

    def close(self) -> None:
        """Let go of the file."""
        self._archive.close()


def open_zip(content: Content, *, whole: bool = False) -> SafeZip:
    """Open an archive after checking its list of entries.

    `whole`: all of it will be read, so refuse at once where any entry is a bomb, or all together
    are too large. Raise `UnreadableDocument`: malformed, too_large, encrypted.
    """
    file = content.open()
    _check_directory(file, content.size)
    try:
        archive = zipfile.ZipFile(file)
    except (*_DAMAGE, NotImplementedError, IndexError) as exc:
        raise UnreadableDocument("it is no ZIP archive, or its end is missing") from exc
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise UnreadableDocument(
            f"the archive has {len(entries):,} entries, allowed are {MAX_ENTRIES:,}",
            code="too_large",
        )
    _check_overlap(archive)
    opened = SafeZip(archive)
    if whole:
        for info in entries:
            if not info.flag_bits & _ENCRYPTED:
                opened.check(info)
        if sum(info.file_size for info in entries) > MAX_TOTAL_BYTES:
            raise UnreadableDocument(
                f"the archive unpacks to more than {MAX_TOTAL_BYTES:,} bytes", code="too_large"
            )
    return opened


def read_entry(
    archive: SafeZip,
    entry: str | zipfile.ZipInfo,
    limit: int = MAX_XML_BYTES,
    *,
    partial: bool = False,
    password: str = "",
) -> bytes:
    """Unpack one entry of at most `limit` bytes.

    `partial`: of a damaged entry, return what comes before the damage. Raise `UnreadableDocument`:
    malformed (missing or damaged), too_large, encrypted, unsupported (the way it is packed).
    """
    pieces: list[bytes] = []
    with archive.open(entry, limit, partial=partial, password=password) as stream:
        while piece := stream.read(_PIECE):
            pieces.append(piece)
    return b"".join(pieces)


class _Entry:
    """A stream whose damage is a typed error, or its end."""

    def __init__(self, stream: IO[bytes], message: str, *, is_partial: bool) -> None:
        self._stream, self._message, self._is_partial = stream, message, is_partial

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size if size < 0 else min(size, _PIECE))
        except _DAMAGE as exc:
            if self._is_partial:
                return b""
            raise UnreadableDocument(self._message) from exc


def _plain(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


def _damaged(info: zipfile.ZipInfo) -> str:
    return f"the archive's entry {info.filename!r} is damaged"


def _check_overlap(archive: zipfile.ZipFile) -> None:
    """Refuse entries that share bytes: so a small file could unpack to any size."""
    spans = sorted((i.header_offset, i.header_offset + i.compress_size) for i in archive.infolist())
    done = 0
    for start, end in [*spans, (archive.start_dir, archive.start_dir)]:
        if start < done:
            raise UnreadableDocument("entries of the archive overlap")
        done = end + _HEADER_BYTES


def _check_directory(file: BinaryIO, size: int) -> None:
    """Refuse a list of entries that is too long, before it is read (APPNOTE 4.3.14 to 4.3.16)."""
    start = max(0, size - 66_000)
    file.seek(start)
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise UnreadableDocument("it is no ZIP archive, or its end is missing")
    count, length = struct.unpack_from("<H I", tail, end + 10)
    record = tail[max(0, end - 76) : max(0, end - 20)]
    if record.startswith(b"PK\x06\x06") and len(record) == 56:
        count, length = struct.unpack_from("<Q Q", record, 32)
    if length > MAX_DIRECTORY_BYTES or count > MAX_ENTRIES:
        raise UnreadableDocument("the archive's list of entries is too long", code="too_large")
    file.seek(0)
