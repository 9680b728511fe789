"""A blob opened once: its digest, and a descriptor from which the very same bytes are read again.

Content in memory and small files are copied into memory of the kernel's, so nobody can change them
between digest and parsing; a large file is read where it lies, and looked at again afterwards.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from rag.errors import Unavailable
from rag.types import Blob

COPIED = 16 * 2**20
"""Bytes up to which a file is copied before it is read."""
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Opened:
    """The bytes of a blob, ready to be parsed, until it is closed."""

    blob: Blob
    descriptor: int
    size: int
    digest: str
    """SHA-256, hexadecimal."""
    state: tuple[int, int] | None
    """Size and time of change of a file that is read where it lies."""

    def read(self) -> bytes:
        """Return all bytes."""
        return b"".join(_blocks(self.descriptor))

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.descriptor)

    def check(self) -> None:
        """Raise `Unavailable` when the file has changed since it was digested."""
        if self.state is not None and self.state != _state(self.descriptor):
            raise Unavailable(
                "the file changed while it was read", hint="ingest again when it is at rest"
            )


def open_blob(blob: Blob) -> Opened:
    """Open a blob and digest it; raise `OSError` when it cannot be read."""
    descriptor, state = _open(blob)
    try:
        digest = hashlib.sha256()
        size = 0
        for block in _blocks(descriptor):
            digest.update(block)
            size += len(block)
    except BaseException:
        os.close(descriptor)
        raise
    return Opened(blob, descriptor, size, digest.hexdigest(), state)


def _open(blob: Blob) -> tuple[int, tuple[int, int] | None]:
    if blob.path is None:
        return _memory([blob.content or b""]), None
    descriptor = os.open(blob.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_size > COPIED:
            return descriptor, _state(descriptor)
        copy = _memory(_blocks(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return copy, None


def _memory(blocks: Iterator[bytes] | list[bytes]) -> int:
    """Return a descriptor of memory with these bytes."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("blob", os.MFD_CLOEXEC)
    else:
        descriptor, path = tempfile.mkstemp()
        os.unlink(path)  # noqa: PTH108 - it only ever was a name
    try:
        for block in blocks:
            view = memoryview(block)
            while view:
                view = view[os.write(descriptor, view) :]
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _blocks(descriptor: int) -> Iterator[bytes]:
    position = 0
    while block := os.pread(descriptor, BLOCK, position):
        position += len(block)
        yield block


def _state(descriptor: int) -> tuple[int, int]:
    found = os.fstat(descriptor)
    return found.st_size, found.st_mtime_ns
