"""The rows of one index in its SQLite file: the truth that searches are a mirror of.

Knows the tables and their statements; knows nothing of threads, scores or vectors' meaning.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Final

from indexers.sqlite_lane import connect, log_ahead, transaction
from indexers.stores.checking import clean_fields
from indexers.stores.narrowing import narrow
from indexers.stores.row_codec import Row, chunk_of, fields_of, rows_of, verified, with_fields
from rag.errors import DataFolderError, IndexMismatch, NotFound
from rag.filters import EVERYTHING, Filter, matches
from rag.types import Batch, Chunk, Metadata

FORMAT: Final = 1
REMOVALS_KEPT: Final = 100_000
PAGE: Final = 1000

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
COLUMNS: Final = ", ".join(Row._fields)
SELECT: Final = f"SELECT {COLUMNS} FROM rows"  # noqa: S608 - constants
NEWER: Final = f"SELECT seq, {COLUMNS} FROM rows WHERE seq > ? ORDER BY seq"  # noqa: S608
INSERT: Final = f"INSERT INTO rows ({COLUMNS}) VALUES ({', '.join('?' * len(Row._fields))})"  # noqa: S608


def initialise(path: Path, dim: int) -> None:
    """Create the file with its tables unless it has them; raise `IndexMismatch` on another dim."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(connect(path, create=True)) as connection:
        connection.execute("PRAGMA page_size=16384")  # a row takes 3 to 4 kB: less is left empty
        log_ahead(connection)
        with transaction(connection):
            if not _has_tables(connection):
                for statement in SCHEMA:
                    connection.execute(statement)
                connection.execute("INSERT INTO meta VALUES (?, ?)", (FORMAT, dim))
    if (found := read_dim(path)) != dim:
        raise IndexMismatch(
            f"the index {path.stem!r} has dimension {found}, asked for {dim}",
            hint="choose another name, or drop it first",
        )


def read_dim(path: Path) -> int:
    """Return the dimension; raise `NotFound` without an index, `DataFolderError` on a newer one."""
    if not path.exists():
        raise NotFound(f"there is no index {path.stem!r}")
    with closing(connect(path)) as connection:
        if not _has_tables(connection):
            raise NotFound(f"there is no index {path.stem!r}: its creation was interrupted")
        version, dim = connection.execute("SELECT format, dim FROM meta").fetchone()
    if version > FORMAT:
        raise DataFolderError(
            f"{path} has format {version}, this program reads up to {FORMAT}",
            hint="use the newer program that wrote it",
        )
    return int(dim)


def _has_tables(connection: sqlite3.Connection) -> bool:
    found = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetchone()
    return found is not None


# --- writing -------------------------------------------------------------------------------------


def upsert(connection: sqlite3.Connection, batch: Batch) -> None:
    """Insert or replace rows by chunk id, all or none; the last of equal ids stays."""
    rows = {row.id: row for row in rows_of(batch)}
    with transaction(connection):
        connection.executemany("DELETE FROM rows WHERE id = ?", [(row_id,) for row_id in rows])
        connection.executemany(INSERT, rows.values())
        _trim(connection)


def delete(connection: sqlite3.Connection, where: Filter) -> int:
    """Remove the rows that match; return how many."""
    with transaction(connection):
        gone = list(_matching(connection, where))
        _remove(connection, gone)
        _trim(connection)
    return len(gone)


def patch(connection: sqlite3.Connection, where: Filter, fields: Metadata) -> int:
    """Set these fields on the rows that match, keep the others; return how many."""
    changes = clean_fields(fields)
    with transaction(connection):
        found = list(_matching(connection, where))
        for start in range(0, len(found), PAGE):
            seqs = found[start : start + PAGE]
            rows = _read(connection, "seq IN (SELECT value FROM json_each(?))", json.dumps(seqs))
            changed = [with_fields(row, fields_of(row.id, row.fields) | changes) for row in rows]
            _remove(connection, seqs)
            connection.executemany(INSERT, changed)
        _trim(connection)
    return len(found)


def _remove(connection: sqlite3.Connection, seqs: Iterable[int]) -> None:
    connection.executemany("DELETE FROM rows WHERE seq = ?", [(seq,) for seq in seqs])


def _trim(connection: sqlite3.Connection) -> None:
    """Keep the log of removals short; a mirror that misses some of them starts anew."""
    connection.execute(
        "DELETE FROM removed WHERE n <= (SELECT max(n) FROM removed) - ?", (REMOVALS_KEPT,)
    )


# --- reading -------------------------------------------------------------------------------------


def fetch(connection: sqlite3.Connection, chunk_ids: Sequence[str]) -> dict[str, Chunk]:
    """Return the chunks that exist among these ids."""
    wanted = json.dumps(list(chunk_ids))
    rows = _read(connection, "id IN (SELECT value FROM json_each(?))", wanted)
    found = {row.id: chunk_of(row) for row in rows}
    return {id_: found[id_] for id_ in chunk_ids if id_ in found}


def count(connection: sqlite3.Connection, where: Filter) -> int:
    """Count the rows that match."""
    if where == EVERYTHING:
        return int(connection.execute("SELECT count(*) FROM rows").fetchone()[0])
    return sum(1 for _ in _matching(connection, where))


def page(connection: sqlite3.Connection, where: Filter, *, after: str, size: int) -> list[Row]:
    """Read up to `size` matching rows in the order of their ids, from the first above `after`."""
    narrowed = narrow(where)
    statement = f"{SELECT} WHERE id > ? AND {narrowed.sql} ORDER BY id"
    with closing(connection.execute(statement, (after, *narrowed.parameters))) as cursor:
        rows = map(verified, cursor)
        return list(islice((r for r in rows if matches(where, fields_of(r.id, r.fields))), size))


def _matching(connection: sqlite3.Connection, where: Filter) -> Iterator[int]:
    narrowed = narrow(where)
    statement = f"SELECT seq, id, plain, fields FROM rows WHERE {narrowed.sql}"  # noqa: S608 - constants
    for seq, row_id, plain, fields in connection.execute(statement, narrowed.parameters):
        if (narrowed.exact and plain) or matches(where, fields_of(row_id, fields)):
            yield seq


def _read(connection: sqlite3.Connection, condition: str, parameter: str) -> list[Row]:
    return [
        verified(row) for row in connection.execute(f"{SELECT} WHERE {condition}", (parameter,))
    ]


# --- following -----------------------------------------------------------------------------------


def newer(connection: sqlite3.Connection, seq: int) -> Iterator[tuple[list[int], list[Row]]]:
    """Yield the rows above `seq` in order, in pages of their numbers and contents."""
    with closing(connection.execute(NEWER, (seq,))) as cursor:
        while values := cursor.fetchmany(PAGE):
            yield [row[0] for row in values], [verified(row[1:]) for row in values]


def last_removal(connection: sqlite3.Connection) -> int:
    """Return the number of the newest removal, 0 when there was none."""
    return int(connection.execute("SELECT coalesce(max(n), 0) FROM removed").fetchone()[0])


def removals(connection: sqlite3.Connection, after: int) -> list[tuple[int, int]] | None:
    """Return (n, seq) of the removals after that one; None when some of them are forgotten."""
    oldest = connection.execute("SELECT min(n) FROM removed").fetchone()[0]
    if oldest is not None and oldest > after + 1:
        return None
    return connection.execute(
        "SELECT n, seq FROM removed WHERE n > ? ORDER BY n", (after,)
    ).fetchall()
