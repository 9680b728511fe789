"""A file of named arrays, of which every byte stands under a digest.

Knows how it is written all or nothing, and that nothing of it is used before its digest matched;
knows nothing of what the arrays mean. Nothing is unpickled.

Layout: `MAGIC`, SHA-256 of what follows up to the arrays, length of the JSON header (4 bytes,
little-endian), the header (facts; name, dtype, shape and SHA-256 of each array), the arrays.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from rag.durable import sync_folder

Array: TypeAlias = npt.NDArray[Any]
MAGIC: Final = b"CUMULOS1"
PREFIX: Final = len(MAGIC) + 32 + 4
LONGEST_HEADER: Final = 2**20


class UnusableSnapshot(Exception):
    """A snapshot cannot be used, for the reason given; what it holds can be made again."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a file says: facts, and arrays by name."""

    facts: Mapping[str, Any]
    arrays: Mapping[str, Array]


def write_snapshot(path: Path, snapshot: Snapshot, *, temporary: Path) -> None:
    """Put the file in place at once: a crash leaves the old one or the new."""
    table = [
        {
            "name": name,
            "dtype": array.dtype.str,
            "shape": array.shape,
            "digest": sha256(_bytes(array)).hexdigest(),
        }
        for name, array in snapshot.arrays.items()
    ]
    header = json.dumps({"facts": dict(snapshot.facts), "arrays": table}).encode()
    covered = len(header).to_bytes(4, "little") + header
    with temporary.open("wb") as file:
        file.write(MAGIC + sha256(covered).digest() + covered)
        for array in snapshot.arrays.values():
            file.write(_bytes(array))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def read_snapshot(path: Path) -> Snapshot:
    """Read all of it; raise `UnusableSnapshot` unless every byte is what was written."""
    try:
        with path.open("rb") as file:
            left = os.fstat(file.fileno()).st_size - PREFIX
            header = _header(file, left)
            left -= len(header)
            decoded = json.loads(header)
            arrays = {}
            for entry in decoded["arrays"]:
                dtype, shape = np.dtype(entry["dtype"]), tuple(entry["shape"])
                left -= math.prod(shape) * dtype.itemsize
                if left < 0:
                    raise UnusableSnapshot("it is too short")
                arrays[entry["name"]] = _array(file, np.empty(shape, dtype), entry["digest"])
            if left:
                raise UnusableSnapshot("it is too long")
    except OSError as exc:
        raise UnusableSnapshot(f"it cannot be read: {exc.strerror}") from exc
    return Snapshot(decoded["facts"], arrays)


def _header(file: BinaryIO, left: int) -> bytes:
    prefix = file.read(PREFIX)
    length = int.from_bytes(prefix[-4:], "little")
    if len(prefix) < PREFIX or length > min(left, LONGEST_HEADER):
        raise UnusableSnapshot("it is too short")
    if not prefix.startswith(MAGIC):
        raise UnusableSnapshot("it has another format")
    header = file.read(length)
    if sha256(prefix[-4:] + header).digest() != prefix[len(MAGIC) : -4]:
        raise UnusableSnapshot("its header is damaged")
    return header


def _array(file: BinaryIO, array: Array, digest: str) -> Array:
    view = _bytes(array)
    if file.readinto(view) != len(view) or sha256(view).hexdigest() != digest:  # type: ignore[attr-defined]
        raise UnusableSnapshot("its content is damaged")
    return array


def _bytes(array: Array) -> memoryview:
    """Look at the bytes of an array."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
