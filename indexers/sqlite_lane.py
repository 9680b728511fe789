"""SQLite files and the threads that may touch them.

Knows connections, transactions and what SQLite's errors ask of the caller; knows no table.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from rag.errors import DataFolderError, NotFound, RagError, Rejected, Unavailable

T = TypeVar("T")
BUSY_TIMEOUT_S: Final = 30.0


def connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open the file for this thread alone; transactions are begun by hand."""
    mode = "rwc" if create else "rw"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
    )
    # A damaged text must reach the check of its row, which can name the chunk.
    connection.text_factory = functools.partial(str, encoding="utf-8", errors="replace")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def log_ahead(connection: sqlite3.Connection) -> None:
    """Let readers and a writer work at the same time: the file stays in WAL mode.

    Of two that switch a new file at once, SQLite refuses one at once instead of letting it wait.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all or nothing; the lock is taken at the start, so nothing read here can be stale."""
    with _between(connection, "BEGIN IMMEDIATE", "COMMIT"):
        yield


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Read one state of the file through several statements."""
    with _between(connection, "BEGIN", "ROLLBACK"):
        yield


@contextmanager
def _between(connection: sqlite3.Connection, begin: str, end: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute(end)
    finally:
        if connection.in_transaction:
            connection.rollback()


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite and of the file system into what the caller should do."""
    try:
        yield
    except sqlite3.Error as exc:
        raise _translate(exc, path) from exc
    except (OverflowError, UnicodeEncodeError) as exc:
        raise Rejected(f"a value cannot be stored in {path.name}: {exc}") from exc
    except OSError as exc:
        raise DataFolderError(
            f"cannot use {path}: {exc.strerror}", hint="check that the folder exists and is yours"
        ) from exc


def _translate(exc: sqlite3.Error, path: Path) -> RagError:
    match getattr(exc, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Unavailable(f"{path} is locked by another writer", hint="try again")
        case sqlite3.SQLITE_FULL:
            return Unavailable(f"no space left for {path}", hint="free some disk space")
        case sqlite3.SQLITE_IOERR:
            return Unavailable(f"reading or writing {path} failed: {exc}", hint="check the disk")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return Rejected(
                f"{path} is damaged: {exc}", hint="drop the index and ingest the collection again"
            )
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return DataFolderError(
                f"cannot open {path} for writing: {exc}",
                hint="check that the folder exists, is yours and has room",
            )
        case _:
            return Rejected(f"{path}: {exc}")


class Lane:
    """One thread with one connection; what is asked of it runs in order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _identity(path)
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"sqlite-{path.stem}")
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work on the lane's thread; raise the errors of `translated`."""
        if self._closed:
            raise Rejected(f"the index {self._path.stem!r} is closed", hint="open it again")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._do, work)

    async def close(self) -> None:
        """Finish what was asked, then release thread and connection; idempotent."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
            self._thread.shutdown(wait=False)

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with translated(self._path):
            # An unlinked file still takes rows that nobody will ever read.
            if _identity(self._path) != self._file:
                raise NotFound(f"the index {self._path.stem!r} was dropped meanwhile")
            if self._connection is None:
                self._connection = connect(self._path)
            return work(self._connection)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _identity(path: Path) -> tuple[int, int] | None:
    """Name the file itself, whatever path leads to it; None when there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - asked before every search: half the cost of Path
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
