"""A little disk space kept aside, so that searches go on when ingestion has filled the disk.

SQLite needs some tens of kilobytes for the shared memory file of each database that it opens.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from rag.errors import Unavailable

NAME: Final = "reserve"
BYTES: Final = 512 * 1024


def keep_reserve(folder: Path) -> None:
    """Set the space aside, unless it is; raise `Unavailable` when there is none."""
    path = folder / NAME
    if path.exists() and path.stat().st_size == BYTES:
        return
    try:
        with path.open("wb") as file:
            file.write(bytes(BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise Unavailable(
            f"there is no room in {folder}: {exc.strerror}", hint="free some disk space"
        ) from exc


@contextmanager
def reserve_lent(folder: Path) -> Iterator[None]:
    """Lend the space while the disk is full; it is set aside again afterwards, if it can be."""
    lent = False
    with suppress(OSError):
        status = os.statvfs(folder)
        if status.f_bavail * status.f_frsize < BYTES:
            (folder / NAME).unlink()
            lent = True
    try:
        yield
    finally:
        if lent:
            with suppress(Unavailable):
                keep_reserve(folder)
