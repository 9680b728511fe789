"""Compressed files (gzip, bzip2, xz) read as streams that cannot hurt.

Knows the three formats, and how much may come out of a file; nothing of what comes out.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from typing import BinaryIO, Protocol

from indexers.parsing.unzipping import MAX_RATIO, MAX_TOTAL_BYTES
from rag.errors import UnreadableDocument

MAX_DICTIONARY = 256 << 20
"""Bytes of memory that unpacking xz may take."""
MIN_SUSPICIOUS_BYTES = 16 << 20
"""Up to this size, any ratio is allowed."""

_PIECE = 1 << 16
_GZIP, _BZIP2, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
_DAMAGE = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def unpack(self, data: bytes, size: int) -> bytes: ...


class _Gzip:
    def __init__(self) -> None:
        self._object = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    def unpack(self, data: bytes, size: int) -> bytes:
        return self._object.decompress(self._object.unconsumed_tail + data, size)


class _Other:
    """bzip2 and xz keep what they have not unpacked yet themselves."""

    def __init__(self, unpacker: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> None:
        self._object = unpacker

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    def unpack(self, data: bytes, size: int) -> bytes:
        return self._object.decompress(data, size)


class Unpacked(io.RawIOBase):
    """What comes out of a compressed file, from front to back.

    Reading raises `UnreadableDocument` (too_large) at a bomb. Where the file is damaged or cut
    off, the stream ends, and `is_damaged` says so.
    """

    def __init__(self, source: BinaryIO) -> None:
        """Take the compressed file, at its beginning; raise `unsupported` for other formats."""
        self._source = source
        self._rest = source.read(6)
        self._unpacker = _unpacker(self._rest)
        if self._unpacker is None:
            raise UnreadableDocument(
                "it is compressed in a way that cannot be read", code="unsupported"
            )
        self._taken, self._given = len(self._rest), 0
        self.is_damaged = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._next(len(buffer))
        buffer[: len(piece)] = piece
        self._given += len(piece)
        if self._given > MAX_TOTAL_BYTES:
            raise UnreadableDocument(
                f"it unpacks to more than {MAX_TOTAL_BYTES:,} bytes", code="too_large"
            )
        if self._given > max(MIN_SUSPICIOUS_BYTES, MAX_RATIO * self._taken):
            raise UnreadableDocument(
                f"it unpacks to more than {MAX_RATIO} times its size", code="too_large"
            )
        return len(piece)

    def _next(self, size: int) -> bytes:
        """Return some of the following bytes; nothing at the end."""
        while self._unpacker is not None:
            try:
                piece = self._unpacker.unpack(self._rest, size)
            except _DAMAGE:
                self.is_damaged, self._unpacker = True, None
                return b""
            self._rest = b""
            if self._unpacker.eof:  # another file may follow in the same one
                self._rest = self._unpacker.unused_data.lstrip(b"\0") or self._source.read(_PIECE)
                self._unpacker = _unpacker(self._rest)
            elif not piece:
                self._rest = self._source.read(_PIECE)
                self._taken += len(self._rest)
                if not self._rest:
                    self.is_damaged, self._unpacker = True, None
            if piece:
                return piece
        return b""


def is_compressed(head: bytes) -> bool:
    """Whether a file that begins like this can be unpacked here."""
    return head.startswith((_GZIP, _BZIP2, _XZ))


def _unpacker(head: bytes) -> _Unpacker | None:
    if head.startswith(_GZIP):
        return _Gzip()
    if head.startswith(_BZIP2):
        return _Other(bz2.BZ2Decompressor())
    if head.startswith(_XZ):
        return _Other(lzma.LZMADecompressor(memlimit=MAX_DICTIONARY))
    return None
