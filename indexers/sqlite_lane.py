"""SQLite files and the threads that may touch them.

Knows connections, transactions and what SQLite's errors ask of the caller; knows no table.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from rag.errors import DataFolderError, NotFound, RagError, Rejected, Unavailable
from rag.sqlite import BUSY_TIMEOUT_S

T = TypeVar("T")
SETTINGS: Final = (
    "synchronous=FULL",
    "secure_delete=ON",  # what is deleted is overwritten
    "cell_size_check=ON",  # a damaged page is found when it is read
)
DOCTOR: Final = "run: rag doctor --fix"


def connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open the file for this thread alone; transactions are begun by hand."""
    mode = "rwc" if create else "rw"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
    )
    # A damaged text must reach the check of its row, which can tell that it is.
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    try:
        for setting in SETTINGS:
            connection.execute(f"PRAGMA {setting}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


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
    except MemoryError as exc:
        raise Rejected(f"{path} asks for more memory than there is", hint=DOCTOR) from exc
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
            return damaged(path, exc)
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return DataFolderError(
                f"cannot open {path} for writing: {exc}",
                hint="check that the folder exists, is yours and has room",
            )
        case _:
            return Rejected(f"{path}: {exc}", hint=DOCTOR)


def damaged(path: Path, what: object) -> Rejected:
    """Say that a file is not what was written, and what to do about it."""
    return Rejected(f"{path} is damaged: {what}", hint=DOCTOR)


class Lane:
    """One thread with one connection; what is asked of it runs in order.

    A connection belongs to one file: when another file stands at the path, `work` is done there,
    on a new connection, which `prepare` has seen first. So work must bear to be done twice.
    """

    def __init__(self, path: Path, prepare: Callable[[sqlite3.Connection], None]) -> None:
        self._path = path
        self._prepare = prepare
        self._file: tuple[int, int] | None = None
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"sqlite-{path.stem}")
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work on the lane's thread; raise the errors of `translated`."""
        return await self._on_thread(partial(self._do, work))

    async def run_alone(self, work: Callable[[], T]) -> T:
        """Do work that opens the file itself, after what was asked before, likewise."""

        def alone() -> T:
            with translated(self._path):
                self._disconnect()
                return work()

        return await self._on_thread(alone)

    async def _on_thread(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise Rejected(f"the index {self._path.stem!r} is closed", hint="open it again")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def close(self) -> None:
        """Finish what was asked, then release thread and connection; idempotent."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
            self._thread.shutdown(wait=False)

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with translated(self._path):
            while True:
                connection = self._connected()
                try:
                    result = work(connection)
                except sqlite3.Error:
                    if identity(self._path) == self._file:
                        raise
                else:
                    # What was written to a file that was replaced meanwhile would be lost.
                    if identity(self._path) == self._file:
                        return result

    def _connected(self) -> sqlite3.Connection:
        found = identity(self._path)
        if found is None:
            raise NotFound(f"the index {self._path.stem!r} was dropped meanwhile")
        if self._connection is None or found != self._file:
            self._disconnect()
            connection = connect(self._path)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._file = connection, found
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def identity(path: Path) -> tuple[int, int] | None:
    """Name the file itself, whatever path leads to it; None when there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - asked before every search: half the cost of Path
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
