"""The whole catalog as plain values, and back into an empty one: units of work on a connection.

What is under way is not part of it: open attempts and the outbox stay behind, numbers that were
ever given to attempts are never given again. Knows no file.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables as t
from rag.catalog.checksums import computed, intact
from rag.catalog.receipts import close_receipts
from rag.errors import Rejected, UserError

Plain: TypeAlias = Mapping[str, Any]
"""A row as JSON can hold it: values by column, bytes in base64."""

SLICE = 1000
COUNTED = [table for table in t.metadata.sorted_tables if table.autoincrement_column is not None]
"""Tables that number their rows and never give a number twice."""


@dataclass(frozen=True, slots=True)
class VisibleVersion:
    """A version with all that must be found of it outside the catalog."""

    generation: str
    document: str
    attempt: int
    chunks: int
    text_digest: str
    original_digest: str | None
    access: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one state of the catalog says of itself, beside the rows that were given away."""

    tables: Mapping[str, int]
    """Rows by table."""
    counters: Mapping[str, int]
    """The highest number ever given, by table."""
    collections: tuple[tuple[str, str, int], ...]
    """Tenant, name and documents."""
    generations: tuple[tuple[str, str, int], ...]
    """Id, store and dimension."""
    versions: frozenset[VisibleVersion]


def dump(connection: Connection, keep: Callable[[str, Iterator[Plain]], int]) -> Snapshot:
    """Give away the rows of every table; raise `Rejected` when a version is damaged.

    `keep` takes a table's name and its rows, and returns how many there were.
    """
    return Snapshot(
        tables={table.name: keep(table.name, _rows(connection, table)) for table in _TABLES},
        counters={table.name: _last_number(connection, table) for table in COUNTED},
        collections=tuple((*row,) for row in connection.execute(_COLLECTIONS)),
        generations=tuple((*row,) for row in connection.execute(_GENERATIONS)),
        versions=frozenset(_visible_versions(connection)),
    )


def load(
    connection: Connection, rows: Callable[[str], Iterable[Plain]], counters: Mapping[str, int]
) -> dict[str, int]:
    """Fill an empty catalog; return how many rows each table has then.

    Columns that an older dump does not have stay empty. A run that was not at its end is
    interrupted here, and of a deletion that was under way nothing has come along.
    """
    check_empty(connection)
    for table in _TABLES:
        _fill(connection, table, rows(table.name))
    for table in COUNTED:
        _count_from(connection, table, counters.get(table.name, 0))
    unended = t.runs.c.state.in_(("queued", "running"))  # what they were to read is not here
    connection.execute(t.runs.update().where(unended).values(state="interrupted"))
    unfinished = sa.select(t.receipts.c.id).where(t.receipts.c.gone.is_(None))
    close_receipts(connection, connection.execute(unfinished).scalars().all())
    return {table.name: _count(connection, table) for table in _TABLES}


def check_empty(connection: Connection) -> None:
    """Raise `UserError` unless the catalog has never held anything."""
    for table in _TABLES:
        if _count(connection, table):
            raise UserError(
                f"this installation is not empty: it has {table.name}",
                hint="restore into an empty one: choose a new folder with --data-dir",
            )


# --- out -----------------------------------------------------------------------------------------

_TABLES = t.metadata.sorted_tables
_VISIBLE = (
    sa.select(sa.literal(1))
    .where(
        t.versions.c.generation == t.attempts.c.generation,
        t.versions.c.document == t.attempts.c.document,
        t.versions.c.attempt == t.attempts.c.id,
    )
    .exists()
)
_KEPT = {t.attempts.name: _VISIBLE, t.deletions.name: sa.false()}
"""Which rows of a table are part of it, where not all are."""
_COLLECTIONS = (
    sa.select(t.collections.c.tenant, t.collections.c.name, sa.func.count(t.documents.c.id))
    .outerjoin(t.documents, t.documents.c.collection == t.collections.c.id)
    .group_by(t.collections.c.tenant, t.collections.c.name)
    .order_by(t.collections.c.tenant, t.collections.c.name)
)
_GENERATIONS = sa.select(t.generations.c.id, t.generations.c.store, t.generations.c.dim).order_by(
    t.generations.c.id
)
_VERSIONS = sa.select(
    t.versions.c.generation,
    t.versions.c.document,
    t.versions.c.attempt,
    t.versions.c.chunks,
    t.versions.c.text_digest,
    t.versions.c.original_digest,
)


def _rows(connection: Connection, table: sa.Table) -> Iterator[Plain]:
    statement = sa.select(table).where(_KEPT.get(table.name, sa.true()))
    ordered = statement.order_by(*table.primary_key.columns)
    with connection.execute(ordered, execution_options={"yield_per": SLICE}) as found:
        for row in found:
            yield {c.name: _plain(c, v) for c, v in zip(table.columns, row, strict=True)}


def _plain(column: sa.Column[Any], value: Any) -> Any:
    if isinstance(column.type, sa.LargeBinary) and value is not None:
        return base64.b64encode(value).decode()
    return value


def _visible_versions(connection: Connection) -> Iterator[VisibleVersion]:
    access: dict[str, list[str]] = {}
    for document, subject in connection.execute(sa.select(t.document_access)):
        access.setdefault(document, []).append(subject)
    documents = connection.execute(sa.select(t.documents.c.id)).scalars().all()
    for row, due in computed(connection, documents):
        if not intact(row, due):
            raise Rejected(
                f"what the catalog says of {row.uri} is damaged", hint="run: rag doctor --fix"
            )
    for row in connection.execute(_VERSIONS):
        yield VisibleVersion(*row, access=tuple(sorted(access.get(row.document, ()))))


# --- in ------------------------------------------------------------------------------------------


def _count(connection: Connection, table: sa.Table) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def _fill(connection: Connection, table: sa.Table, rows: Iterable[Plain]) -> None:
    names, rest = {column.name for column in table.columns}, iter(rows)
    while part := list(islice(rest, SLICE)):
        if strange := {name for row in part for name in row} - names:
            raise Rejected(f"the table {table.name} has no column {min(strange)!r}")
        values = [{c.name: _stored(c, row.get(c.name)) for c in table.columns} for row in part]
        connection.execute(table.insert(), values)


def _stored(column: sa.Column[Any], value: Any) -> Any:
    if isinstance(column.type, sa.LargeBinary) and value is not None:
        return base64.b64decode(value)
    return value


# --- counters ------------------------------------------------------------------------------------


def _last_number(connection: Connection, table: sa.Table) -> int:
    """Return the highest number that the table ever gave; 0 when it gave none."""
    if connection.dialect.name == "postgresql":
        statement = sa.text(f"SELECT pg_sequence_last_value({_SEQUENCE})")
    else:
        statement = sa.text("SELECT seq FROM sqlite_sequence WHERE name = :table")
    return connection.execute(statement, {"table": table.name}).scalar() or 0


def _count_from(connection: Connection, table: sa.Table, number: int) -> None:
    """Let the table's next number be higher than this one."""
    given = {"table": table.name, "number": number}
    if connection.dialect.name == "postgresql":
        if number:
            connection.execute(sa.text(f"SELECT setval({_SEQUENCE}, :number)"), given)
        return
    connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :table"), given)
    connection.execute(sa.text("INSERT INTO sqlite_sequence VALUES (:table, :number)"), given)


_SEQUENCE = "CAST(pg_get_serial_sequence(:table, 'id') AS regclass)"
