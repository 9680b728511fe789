"""What the catalog says of itself, page by page, and the units of work that set it right.

Knows tables and what belongs together in them; of rows in stores and of files it only says which
ones are needed. Every unit that changes something looks again in its own transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables as t
from rag.catalog.checksums import SLICE, computed, intact, seal
from rag.catalog.collections import list_collections
from rag.catalog.outbox import Drop
from rag.types import Collection, Metadata, Source

Digest: TypeAlias = Literal["text_digest", "original_digest"]
File: TypeAlias = tuple[str, str]
"""A kept file: document id and digest."""


@dataclass(frozen=True, slots=True)
class Version:
    """The visible version of a document, with all that the catalog says of it."""

    document_id: str
    source: Source
    external_id: str
    uri: str
    title: str
    metadata: Metadata
    """Of the content and its source."""
    given: Metadata
    """By a person; stands above the rest."""
    access: tuple[str, ...]
    attempt: int
    chunks: int
    terms: bytes
    fingerprint: str
    digest: str
    text_digest: str
    original_digest: str | None
    intact: bool
    """Whether the checksum is that of these values."""


@dataclass(frozen=True, slots=True)
class Headless:
    """A collection whose live generation does not exist."""

    collection_id: str
    name: str
    generation_id: str | None
    """The one of its generations that says of itself that it is live."""


# --- the whole -----------------------------------------------------------------------------------


def broken(connection: Connection) -> list[str]:
    """Say what SQLite finds wrong with its own file; other databases answer for themselves."""
    if connection.dialect.name != "sqlite":
        return []
    checked = connection.exec_driver_sql("PRAGMA integrity_check").scalars()
    found = [line for line in checked if line != "ok"]
    for table, row, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        found.append(f"row {row} of {table} refers to a row of {parent} that is not there")
    return found


def all_collections(connection: Connection) -> list[Collection]:
    """List the collections of all tenants that have a live generation."""
    tenants = connection.execute(sa.select(t.tenants.c.id).order_by(t.tenants.c.id)).scalars().all()
    return [found for tenant in tenants for found in list_collections(connection, tenant)]


def headless(connection: Connection) -> list[Headless]:
    """List the collections of all tenants whose live generation is missing."""
    mine = sa.and_(
        t.generations.c.collection == t.collections.c.id, t.generations.c.state == "live"
    )
    there = sa.select(t.generations.alias().c.id)
    rows = connection.execute(
        sa.select(t.collections.c.id, t.collections.c.name, t.generations.c.id)
        .outerjoin(t.generations, mine)
        .where(sa.or_(t.collections.c.live.is_(None), t.collections.c.live.not_in(there)))
        .order_by(t.collections.c.name)
    )
    return [Headless(*row) for row in rows]


def give_head(connection: Connection, found: Headless) -> None:
    """Let the collection answer from its generation that is live."""
    connection.execute(
        t.collections.update()
        .where(t.collections.c.id == found.collection_id)
        .values(live=found.generation_id)
    )


def generation_ids(connection: Connection) -> set[str]:
    """Return the ids of all generations."""
    return set(connection.execute(sa.select(t.generations.c.id)).scalars())


def open_receipts(connection: Connection) -> list[str]:
    """Return the receipts that say "not yet gone" although no outbox has anything of them."""
    waiting = sa.select(sa.literal(1)).where(t.deletions.c.receipt == t.receipts.c.id).exists()
    return list(
        connection.execute(
            sa.select(t.receipts.c.id).where(t.receipts.c.gone.is_(None), ~waiting)
        ).scalars()
    )


def has_unfinished_runs(connection: Connection) -> bool:
    """Tell whether a collection's newest run is under way, or did not come to its end."""
    newest = sa.select(t.runs.c.collection, sa.func.max(t.runs.c.started).label("started"))
    last = newest.group_by(t.runs.c.collection).subquery()
    statement = (
        sa.select(sa.func.count())
        .select_from(t.runs)
        .join(
            last,
            sa.and_(last.c.collection == t.runs.c.collection, last.c.started == t.runs.c.started),
        )
        .where(t.runs.c.state != "done")
    )
    return bool(connection.execute(statement).scalar_one())


# --- versions ------------------------------------------------------------------------------------


def document_ids(connection: Connection, generation_id: str, after: str, limit: int) -> list[str]:
    """Return a page of the ids of a generation's documents, those above `after`."""
    rows = connection.execute(
        sa.select(t.versions.c.document)
        .where(t.versions.c.generation == generation_id, t.versions.c.document > after)
        .order_by(t.versions.c.document)
        .limit(limit)
    )
    return list(rows.scalars())


def versions(
    connection: Connection, generation_id: str, document_ids: Sequence[str]
) -> list[Version]:
    """Return the visible versions of at most 500 documents."""
    given = {"documents": list(document_ids)[:SLICE], "generation": generation_id}
    access: dict[str, list[str]] = {}
    for document, subject in connection.execute(_READERS, given):
        access.setdefault(document, []).append(subject)
    rest = {row.document: row for row in connection.execute(_REST, given)}
    return [
        Version(
            document_id=row.document,
            source=Source(*rest[row.document][1:5]),
            external_id=row.external_id,
            uri=row.uri,
            title=row.title,
            metadata=row.metadata,
            given=row.given or {},
            access=tuple(sorted(access.get(row.document, ()))),
            attempt=row.attempt,
            chunks=row.chunks,
            terms=rest[row.document].terms,
            fingerprint=rest[row.document].fingerprint,
            digest=row.digest,
            text_digest=row.text_digest,
            original_digest=row.original_digest,
            intact=intact(row, due),
        )
        for row, due in computed(connection, given["documents"], generation_id)
    ]


def distrust(connection: Connection, generation_id: str, document_id: str) -> None:
    """Hide a version whose checksum is wrong, until the next ingest of its source reads it anew."""
    doubtful: dict[str, Any] = {"fingerprint": "", "digest": "", "checksum": b""}
    try:
        if all(version.intact for version in versions(connection, generation_id, [document_id])):
            return
    except (ValueError, TypeError, sa.exc.DBAPIError):  # it cannot even be read
        doubtful |= {"title": "", "metadata": {}}
    connection.execute(
        t.versions.update().where(*_one(generation_id, document_id)).values(doubtful)
    )


def invalidate(connection: Connection, generation_id: str, version: Version) -> None:
    """Make the next ingest of its source read the document anew; its hits stay until then."""
    _change(connection, generation_id, version, {"fingerprint": "", "digest": ""})


def give_up_original(connection: Connection, generation_id: str, version: Version) -> None:
    """State no longer that the version's original is kept."""
    _change(connection, generation_id, version, {"original_digest": None})


def clear_terms(connection: Connection, generation_id: str, version: Version) -> None:
    """Take term counts that are none out of the version, so that it can be replaced."""
    _change(connection, generation_id, version, {"terms": b""})


def _change(
    connection: Connection, generation_id: str, version: Version, values: Mapping[str, Any]
) -> None:
    connection.execute(
        t.versions.update()
        .where(*_one(generation_id, version.document_id), t.versions.c.attempt == version.attempt)
        .values(values)
    )
    seal(connection, [version.document_id])


def _one(generation_id: str, document_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return t.versions.c.generation == generation_id, t.versions.c.document == document_id


_READERS = sa.select(t.document_access.c.document, t.document_access.c.subject).where(
    t.document_access.c.document.in_(sa.bindparam("documents", expanding=True))
)
_REST = (
    sa.select(
        t.versions.c.document,
        t.sources.c.id,
        t.sources.c.collection,
        t.sources.c.kind,
        t.sources.c.root,
        t.versions.c.fingerprint,
        t.versions.c.terms,
    )
    .join(t.documents, t.documents.c.id == t.versions.c.document)
    .join(t.sources, t.sources.c.id == t.documents.c.source)
    .where(
        t.versions.c.generation == sa.bindparam("generation"),
        t.versions.c.document.in_(sa.bindparam("documents", expanding=True)),
    )
)


# --- documents -----------------------------------------------------------------------------------


def without_version(connection: Connection) -> dict[str, str]:
    """Return id and address of the documents that no generation has a version of."""
    there = sa.select(sa.literal(1)).where(t.versions.c.document == t.documents.c.id).exists()
    rows = connection.execute(sa.select(t.documents.c.id, t.documents.c.uri).where(~there))
    return {row.id: row.uri for row in rows}


def forget_documents(connection: Connection, document_ids: Iterable[str]) -> None:
    """Remove documents, those that still have no version."""
    for document_id in without_version(connection).keys() & set(document_ids):
        connection.execute(
            t.document_access.delete().where(t.document_access.c.document == document_id)
        )
        connection.execute(t.documents.delete().where(t.documents.c.id == document_id))


def strangers(connection: Connection, document_ids: Sequence[str]) -> list[str]:
    """Return those ids that are no document's, in order."""
    known: set[str] = set()
    for start in range(0, len(document_ids), SLICE):
        part = document_ids[start : start + SLICE]
        rows = connection.execute(sa.select(t.documents.c.id).where(t.documents.c.id.in_(part)))
        known |= set(rows.scalars())
    return sorted(set(document_ids) - known)


# --- what is needed ------------------------------------------------------------------------------


def undrained(connection: Connection, generation_id: str, now: float) -> tuple[int, int]:
    """Count the open attempts whose lease ran out, and what is in the outbox."""
    expired = sa.select(sa.func.count()).where(
        t.attempts.c.generation == generation_id,
        t.attempts.c.state == "open",
        t.attempts.c.lease_until < now,
    )
    outbox = sa.select(sa.func.count()).where(t.deletions.c.generation == generation_id)
    return connection.execute(expired).scalar_one(), connection.execute(outbox).scalar_one()


def unaccounted(connection: Connection, generation_id: str, attempts: Sequence[int]) -> list[int]:
    """Return those of at most 500 attempts that are not visible, not open and in no outbox.

    Attempt numbers are never reused: what is unaccounted for once is so forever.
    """
    here = (
        (t.versions.c.attempt, t.versions.c.generation, sa.true()),
        (t.attempts.c.id, t.attempts.c.generation, t.attempts.c.state == "open"),
        (t.deletions.c.attempt, t.deletions.c.generation, sa.true()),
    )
    known: set[int] = set()
    for number, generation, condition in here:
        rows = connection.execute(
            sa.select(number).where(generation == generation_id, number.in_(attempts), condition)
        )
        known |= set(rows.scalars())
    return [attempt for attempt in attempts if attempt not in known]


def unneeded(connection: Connection, column: Digest, files: Sequence[File]) -> list[File]:
    """Return the kept files that no version, open attempt or outbox has.

    Writers state a file in an open attempt before they write it.
    """
    needed: set[File] = set()
    for start in range(0, len(files), SLICE):
        ids = [document_id for document_id, _ in files[start : start + SLICE]]
        for table, condition in (
            (t.versions, sa.true()),
            (t.attempts, t.attempts.c.state == "open"),
            (t.deletions, sa.true()),
        ):
            rows = connection.execute(
                sa.select(table.c.document, table.c[column]).where(
                    table.c.document.in_(ids), condition
                )
            )
            needed |= {(document, digest) for document, digest in rows}
    return [file for file in files if file not in needed]


def drop_unneeded(
    connection: Connection, column: Digest, files: Sequence[File], drop: Drop
) -> list[File]:
    """Drop those kept files that nothing needs, before a writer can begin to need them."""
    dropped = unneeded(connection, column, files)
    for document_id, digest in dropped:
        drop(document_id, digest)
    return dropped
