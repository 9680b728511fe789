"""Making a damaged index whole again, without what cannot be read any more.

Knows how rows are found in a file whose structure is broken; knows nothing of mirrors.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from indexers.sqlite_lane import connect, transaction
from indexers.stores.faiss_file import (
    check_dim,
    initialise,
    log_paths,
    maintained,
    snapshot_path,
    temporary_path,
)
from indexers.stores.faiss_rows import PAGE, SELECT, put, remove
from indexers.stores.row_codec import F4, Row, sound
from rag.durable import sync_folder
from rag.errors import NotFound, Rejected, Unavailable
from rag.sqlite import empty_log

BROKEN: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
UNREADABLE: Final = (sqlite3.Error, MemoryError, OverflowError)
TREES: Final = (
    ("NOT INDEXED", "seq"),
    ("INDEXED BY sqlite_autoindex_rows_1", "id"),
    ("INDEXED BY rows_document", "document"),
    ("INDEXED BY rows_attempt", "attempt"),
)
"""Every tree of the file that names each row, and its order."""


def repair(path: Path, dim: int) -> int:
    """Remove the rows that are not what was written; return how many are known to be lost."""
    with maintained(path):
        if not path.exists():
            raise NotFound(f"there is no index {path.stem!r}")
        with closing(_opened(path)) as connection:
            if _whole(connection, path, dim):
                return _remove_damaged(connection)
        return _replace(path, dim)


def _opened(path: Path) -> sqlite3.Connection:
    """Open a file, or an empty one in its place when it cannot even be opened."""
    try:
        return connect(path)
    except sqlite3.DatabaseError as exc:
        _check_broken(exc)
        return sqlite3.connect(":memory:", isolation_level=None)


def _whole(connection: sqlite3.Connection, path: Path, dim: int) -> bool:
    """Tell whether the structure of the file is sound."""
    try:
        check_dim(connection, path, dim)
        return bool(connection.execute("PRAGMA integrity_check(1)").fetchall() == [("ok",)])
    except (NotFound, Rejected):
        return False
    except sqlite3.DatabaseError as exc:
        _check_broken(exc)
        return False


def _check_broken(exc: sqlite3.DatabaseError) -> None:
    """Raise what speaks of the disk or of other processes instead of the file."""
    if getattr(exc, "sqlite_errorcode", 0) & 0xFF not in BROKEN:
        raise exc


def _remove_damaged(connection: sqlite3.Connection) -> int:
    with transaction(connection):
        damaged = [values[0] for values in connection.execute(SELECT) if sound(values[1:]) is None]
        remove(connection, damaged)
    return len(damaged)


def _replace(path: Path, dim: int) -> int:
    """Put a new file with all rows that can still be read in the place of a broken one."""
    made = temporary_path(path, secrets.token_hex(16))
    initialise(made, dim)
    with closing(_opened(path)) as old:
        with suppress(sqlite3.DatabaseError, Unavailable):
            empty_log(old, path.name)
        _keep_writers_out(old)
        with closing(connect(made)) as new:
            lost = _salvage(old, new, dim)
            empty_log(new, made.name)
        # The log goes before its file: SQLite would take it for the log of the new one.
        for part in (snapshot_path(path), *log_paths(path)):
            part.unlink(missing_ok=True)
        made.replace(path)
        sync_folder(path.parent)
    return lost


def _keep_writers_out(connection: sqlite3.Connection) -> None:
    """Wait for writers and hold the next ones until the connection ends."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.DatabaseError as exc:
        _check_broken(exc)  # one that is too damaged to be locked cannot be written either


def _salvage(old: sqlite3.Connection, new: sqlite3.Connection, dim: int) -> int:
    known, kept = sorted(_known(old)), 0
    for start in range(0, len(known), PAGE):
        rows = [
            row
            for row in (_row(old, seq) for seq in known[start : start + PAGE])
            if row is not None and len(row.dense) == F4.itemsize * dim
        ]
        with transaction(new):
            put(new, rows)
        kept += len(rows)
    return len(known) - kept


def _known(connection: sqlite3.Connection) -> set[int]:
    """Collect the numbers of rows from every tree that has them, from both ends up to a damage."""
    known: set[int] = set()
    for tree, order in TREES:
        for direction in ("ASC", "DESC"):
            statement = f"SELECT seq FROM rows {tree} ORDER BY {order} {direction}"  # noqa: S608
            with suppress(*UNREADABLE):
                for (seq,) in connection.execute(statement):
                    known.add(seq)
    return known


def _row(connection: sqlite3.Connection, seq: int) -> Row | None:
    try:
        found: Sequence[object] | None = connection.execute(
            f"{SELECT} WHERE seq = ?", (seq,)
        ).fetchone()
    except UNREADABLE:
        return None
    return None if found is None else sound(found[1:])
