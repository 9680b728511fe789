"""The catalog in a SQLite file of the data folder.

Knows SQLite's rules: WAL, `BEGIN IMMEDIATE` for writes, the disk before every commit; deleted
content is overwritten. Knows no table.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from rag.errors import DataFolderError, RagError, Rejected, Unavailable
from rag.sqlite import BUSY_TIMEOUT_S, empty_log, log_ahead


class SqliteDatabase:
    """A file; readers see a snapshot, a writer has the file's write lock from its first look."""

    def __init__(self, path: Path, *, readers: int) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise DataFolderError(
                f"the data folder {path.parent} cannot be made: {exc.strerror}",
                hint="choose another with --data-dir",
            ) from exc
        self.place = f"the data folder {path.parent}"
        self.reader = _engine(path, "BEGIN", connections=readers)
        self.writer = _engine(path, "BEGIN IMMEDIATE", connections=1)

    def purge(self) -> None:
        """Empty the log, which holds what was deleted until it is folded into the file."""
        with closing(self.writer.raw_connection()) as connection:
            try:
                empty_log(cast("sqlite3.Connection", connection.driver_connection), "the catalog")
            except sqlite3.Error as exc:
                raise self.translate(sa.exc.OperationalError(None, None, exc)) from exc

    def translate(self, exc: sa.exc.DBAPIError) -> RagError:
        """Name a failure of SQLite by what to do."""
        cause = str(exc.orig)
        code = getattr(exc.orig, "sqlite_errorcode", 0) & 0xFF
        # The revision was checked on opening: a table or column that is missing now is damage.
        told = ("no such table", "no such column", "decode to UTF-8")
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or any(t in cause for t in told):
            return Rejected(f"the catalog is damaged: {cause}", hint="run: rag doctor")
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            return DataFolderError(
                f"the catalog cannot be opened: {cause}",
                hint="check who may write the data folder, or choose another with --data-dir",
            )
        if isinstance(exc, sa.exc.OperationalError) and code != sqlite3.SQLITE_ERROR:
            hint = "is the disk full, or another writer stuck?"
            return Unavailable(f"the catalog cannot be used now: {cause}", hint=hint)
        return Rejected(f"the catalog refused the work: {cause}", hint="run: rag doctor")


def _engine(path: Path, begin: str, *, connections: int) -> Engine:
    """Make an engine whose transactions start with this statement."""
    engine = sa.create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        poolclass=sa.pool.QueuePool,
        pool_size=connections,
    )

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # we begin transactions, not the driver
        log_ahead(connection)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA secure_delete=ON")

    @sa.event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
