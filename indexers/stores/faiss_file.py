"""The SQLite file of one index and the files beside it: made, checked, named and removed.

Knows the tables; the statements on rows stand in `faiss_rows`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock

from indexers.sqlite_lane import connect, damaged, transaction
from indexers.stores.row_codec import F4
from rag.errors import DataFolderError, IndexMismatch, NotFound
from rag.sqlite import log_ahead

FORMAT: Final = 1

# A changed row moves to a new `seq`, so what is newer than a mirror is one range, and what the
# mirror must forget is the tail of `removed`.
SCHEMA: Final = (
    "CREATE TABLE meta (format INTEGER NOT NULL, dim INTEGER NOT NULL)",
    """
    CREATE TABLE rows (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        document TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        ordinal INTEGER NOT NULL,
        start INTEGER NOT NULL,
        stop INTEGER NOT NULL,
        text TEXT NOT NULL,
        heading TEXT NOT NULL,
        fields TEXT NOT NULL,
        dense BLOB NOT NULL,
        terms BLOB NOT NULL,
        weights BLOB NOT NULL,
        plain INTEGER NOT NULL,
        digest BLOB NOT NULL
    )
    """,
    "CREATE INDEX rows_document ON rows (document)",
    "CREATE INDEX rows_attempt ON rows (attempt)",
    "CREATE INDEX rows_odd ON rows (plain) WHERE plain = 0",
    "CREATE TABLE removed (n INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER NOT NULL)",
    """
    CREATE TRIGGER rows_removed AFTER DELETE ON rows
    BEGIN INSERT INTO removed (seq) VALUES (old.seq); END
    """,
)


def initialise(path: Path, dim: int) -> None:
    """Create the file with its tables unless it has them; raise `IndexMismatch` on another dim."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(connect(path, create=True)) as connection:
        connection.execute("PRAGMA page_size=16384")  # a row takes 3 to 4 kB: less is left empty
        log_ahead(connection)
        with transaction(connection):
            if not has_table(connection, "meta"):
                for statement in SCHEMA:
                    connection.execute(statement)
                connection.execute("INSERT INTO meta VALUES (?, ?)", (FORMAT, dim))
        check_dim(connection, path, dim)


def check_dim(connection: sqlite3.Connection, path: Path, dim: int) -> None:
    """Raise `IndexMismatch` unless the index has this dimension, else as `read_dim` does."""
    if (found := _dim(connection, path)) != dim:
        raise IndexMismatch(
            f"the index {path.stem!r} has dimension {found}, asked for {dim}",
            hint="choose another name, or drop it first",
        )


def read_dim(path: Path) -> int:
    """Return the dimension; raise `NotFound` without an index, `DataFolderError` on a newer one."""
    if not path.exists():
        raise NotFound(f"there is no index {path.stem!r}")
    with closing(connect(path)) as connection:
        return _dim(connection, path)


def _dim(connection: sqlite3.Connection, path: Path) -> int:
    if not has_table(connection, "meta"):
        raise NotFound(f"there is no index {path.stem!r}: its creation was interrupted")
    match connection.execute("SELECT format, dim FROM meta").fetchall():
        case [(int(version), int(dim))] if version > 0 and _plausible(connection, dim):
            pass
        case _:
            raise damaged(path, "its format and dimension cannot be read")
    if version > FORMAT:
        raise DataFolderError(
            f"{path} has format {version}, this program reads up to {FORMAT}",
            hint="use the newer program that wrote it",
        )
    return dim


def _plausible(connection: sqlite3.Connection, dim: int) -> bool:
    """Tell whether rows have this dimension: some, because a damaged one must not decide."""
    found = connection.execute("SELECT length(dense) FROM rows LIMIT 3").fetchall()
    return not found or (F4.itemsize * dim,) in found


def has_table(connection: sqlite3.Connection, name: str) -> bool:
    """Tell whether there is a table of that name."""
    statement = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
    return connection.execute(statement, (name,)).fetchone() is not None


# --- beside it -----------------------------------------------------------------------------------


def snapshot_path(path: Path) -> Path:
    """Name the snapshot of the mirror."""
    return path.with_suffix(".snapshot")


def temporary_path(path: Path, token: str) -> Path:
    """Name a file that is being made; a crash leaves it, and `maintained` removes it."""
    return path.with_suffix(f".{token}.tmp")


@contextmanager
def maintained(path: Path) -> Iterator[None]:
    """Hold the lock of the index's files; wait for whoever has it.

    The lock ends with its process, however that ends.
    """
    with FileLock(_lock_path(path)):
        for left in path.parent.glob(f"{path.stem}.*.tmp*"):
            left.unlink(missing_ok=True)
        yield


def remove(path: Path) -> None:
    """Remove all files of an index."""
    # A snapshot without its file would be a copy of deleted rows: it goes first, and once more,
    # because another process may be about to put one in place.
    snapshot = snapshot_path(path)
    # The rows before their log: a log without its file is ignored, a file without its log lost
    # its end.
    for part in (snapshot, path, *log_paths(path), snapshot, _lock_path(path)):
        part.unlink(missing_ok=True)
    for left in path.parent.glob(f"{path.stem}.*.tmp*"):
        left.unlink(missing_ok=True)


def log_paths(path: Path) -> tuple[Path, Path]:
    """Name the log that SQLite keeps beside the file, and the index of the log."""
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def _lock_path(path: Path) -> Path:
    return path.with_suffix(".lock")
