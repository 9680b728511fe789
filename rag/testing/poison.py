"""Parsers that die, hang and devour: they show that one bad file costs no other.

Each reads nothing and is set for an ending of names, under `parsing.parsers` of the settings.
"""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PARSERS = {
    f".{name}": f"rag.testing.poison:{name}"
    for name in ("segfault", "endless", "greedy", "exits", "nosy", "chatty", "writes", "buggy")
}


def segfault(content: Any) -> Iterator[Any]:
    """Read from address 0."""
    ctypes.string_at(0)
    yield from ()


def endless(content: Any) -> Iterator[Any]:
    """Never end."""
    while True:
        pass
    yield


def greedy(content: Any) -> Iterator[Any]:
    """Take 10 GB of memory."""
    hoard = [bytearray(2**28) for _ in range(40)]
    yield from hoard


def exits(content: Any) -> Iterator[Any]:
    """Leave without a word."""
    ctypes.CDLL(None)._exit(0)
    yield from ()


def nosy(content: Any) -> Iterator[Any]:
    """Read a file outside."""
    yield Path("/etc/hostname").read_text()


def chatty(content: Any) -> Iterator[Any]:
    """Call a server, whose port on this machine the file's name begins with."""
    with socket.create_connection(("127.0.0.1", int(content.name.partition("-")[0])), 5):
        yield


def writes(content: Any) -> Iterator[Any]:
    """Write a file outside, where the file's content says."""
    Path(content.read().decode()).write_text("here I was")
    yield from ()


def buggy(content: Any) -> Iterator[Any]:
    """Raise what no parser should raise."""
    raise ValueError(f"no such column: {content.size}")
    yield
