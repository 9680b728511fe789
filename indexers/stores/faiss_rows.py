"""The rows of one index in its SQLite file: the truth that searches are a mirror of.

Knows the statements on rows; knows nothing of threads, scores or vectors' meaning. A row that is
not what was written is never returned and never written again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, Final

from indexers.sqlite_lane import transaction
from indexers.stores.checking import clean_fields
from indexers.stores.narrowing import narrow
from indexers.stores.row_codec import (
    Row,
    chunk_of,
    fields_of,
    readable,
    rows_of,
    sound,
    with_fields,
)
from rag.filters import EVERYTHING, Filter, matches
from rag.types import Chunk, Metadata
from rag.vectors import Batch

REMOVALS_KEPT: Final = 100_000
PAGE: Final = 1000
COLUMNS: Final = ", ".join(Row._fields)
SELECT: Final = f"SELECT seq, {COLUMNS} FROM rows"  # noqa: S608 - constants
INSERT: Final = f"INSERT INTO rows ({COLUMNS}) VALUES ({', '.join('?' * len(Row._fields))})"  # noqa: S608


# --- writing -------------------------------------------------------------------------------------


def upsert(connection: sqlite3.Connection, batch: Batch) -> None:
    """Insert or replace rows by chunk id, all or none; the last of equal ids stays."""
    with transaction(connection):
        put(connection, rows_of(batch))
        _trim(connection)


def put(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Insert or replace rows by their id; the last of equal ids stays."""
    by_id = {row.id: row for row in rows}
    connection.executemany("DELETE FROM rows WHERE id = ?", [(row_id,) for row_id in by_id])
    connection.executemany(INSERT, by_id.values())


def delete(connection: sqlite3.Connection, where: Filter) -> int:
    """Remove the rows that match; return how many."""
    with transaction(connection):
        gone = list(_matching(connection, where))
        remove(connection, gone)
        _trim(connection)
    return len(gone)


def patch(connection: sqlite3.Connection, where: Filter, fields: Metadata) -> int:
    """Set these fields on the rows that match, keep the others; return how many."""
    changes, changed = clean_fields(fields), 0
    with transaction(connection):
        found = list(_matching(connection, where))
        for start in range(0, len(found), PAGE):
            seqs = json.dumps(found[start : start + PAGE])
            rows = {
                seq: with_fields(row, fields_of(row) | changes)
                for seq, row in _read(connection, "seq IN (SELECT value FROM json_each(?))", seqs)
            }
            remove(connection, rows)
            connection.executemany(INSERT, rows.values())
            changed += len(rows)
        _trim(connection)
    return changed


def remove(connection: sqlite3.Connection, seqs: Iterable[int]) -> None:
    """Remove rows by their number."""
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
    found = {row.id: chunk_of(row) for _, row in rows}
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
        rows = _ascending(_sound(cursor), after)
        return list(islice((row for row in rows if matches(where, fields_of(row))), size))


def _ascending(rows: Iterable[tuple[int, Row]], after: str) -> Iterator[Row]:
    """Keep each row once: a damaged index can lead to a row more than once."""
    for _, row in rows:
        if row.id > after:
            after = row.id
            yield row


def _matching(connection: sqlite3.Connection, where: Filter) -> Iterator[int]:
    """Find rows by their fields alone, or by their columns where the fields cannot be read."""
    narrowed = narrow(where)
    statement = f"SELECT seq, plain, fields FROM rows WHERE {narrowed.sql}"  # noqa: S608 - constants
    for seq, plain, text in connection.execute(statement, narrowed.parameters):
        fields = readable(text)
        if narrowed.exact and plain if fields is None else matches(where, fields):
            yield seq


def _read(
    connection: sqlite3.Connection, condition: str, parameter: str
) -> Iterator[tuple[int, Row]]:
    return _sound(connection.execute(f"{SELECT} WHERE {condition}", (parameter,)))


def _sound(found: Iterable[Sequence[Any]]) -> Iterator[tuple[int, Row]]:
    """Leave out the rows that are not what was written."""
    return ((values[0], row) for values in found if (row := sound(values[1:])) is not None)
