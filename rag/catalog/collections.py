"""Collections, their generations and their sources: units of work on a connection."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables as t
from rag.catalog.answers import withdraw_answers
from rag.errors import NotFound
from rag.types import Collection, Generation, Pinned, Source, name_uuid


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What a new generation pins."""

    store: str
    chunker: Pinned
    embedder: Pinned
    sparse: Pinned
    dim: int


def get_collection(connection: Connection, tenant: str, name: str) -> Collection:
    """Return a collection with its live generation; raise `NotFound`."""
    found = find_collection(connection, tenant, name)
    if found is None:
        raise _missing(name)
    return found


def live_generation(connection: Connection, tenant: str, name: str) -> Generation:
    """Return the generation of a collection that answers; raise `NotFound`. On the search path."""
    row = connection.execute(_LIVE.where(*_named(tenant, name))).mappings().first()
    if row is None:
        raise _missing(name)
    return _generation(row)


def _missing(name: str) -> NotFound:
    return NotFound(
        f"there is no collection {name!r}",
        hint=f"make it with: rag ingest PATH --collection {name}",
    )


def _named(tenant: str, name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return t.collections.c.tenant == tenant, t.collections.c.name == name


def generations(connection: Connection, collection_id: str) -> list[Generation]:
    """List the generations of a collection, oldest first."""
    rows = connection.execute(
        sa.select(t.generations, t.generations.c.collection.label("collection_id"))
        .where(t.generations.c.collection == collection_id)
        .order_by(t.generations.c.created, t.generations.c.id)
    )
    return [_generation(row) for row in rows.mappings()]


def find_collection(connection: Connection, tenant: str, name: str) -> Collection | None:
    """Return a collection with its live generation, or None."""
    row = connection.execute(_COLLECTIONS.where(*_named(tenant, name))).mappings().first()
    return None if row is None else _collection(row)


def list_collections(connection: Connection, tenant: str) -> list[Collection]:
    """List the tenant's collections by name."""
    rows = connection.execute(
        _COLLECTIONS.where(t.collections.c.tenant == tenant).order_by(t.collections.c.name)
    )
    return [_collection(row) for row in rows.mappings()]


def create_collection(
    connection: Connection, tenant: str, name: str, pipeline: Pipeline
) -> Collection:
    """Create a collection with one live, empty generation; return the one there if there is one."""
    found = find_collection(connection, tenant, name)
    if found is not None:
        return found
    now = time.time()
    if connection.execute(sa.select(t.tenants).where(t.tenants.c.id == tenant)).first() is None:
        connection.execute(t.tenants.insert().values(id=tenant, created=now))
    collection = name_uuid("collection", tenant, name, now)
    generation = name_uuid("generation", collection, now)
    connection.execute(
        t.collections.insert().values(
            id=collection, tenant=tenant, name=name, live=generation, created=now
        )
    )
    connection.execute(
        t.generations.insert().values(
            id=generation,
            collection=collection,
            state="live",
            store=pipeline.store,
            chunker=asdict(pipeline.chunker),
            embedder=asdict(pipeline.embedder),
            sparse=asdict(pipeline.sparse),
            dim=pipeline.dim,
            chunks=0,
            created=now,
        )
    )
    return get_collection(connection, tenant, name)


def delete_collection(connection: Connection, collection_id: str) -> list[tuple[str, str]]:
    """Forget a collection and all its documents; return (store, index) to drop and their texts.

    The caller drops the indexes and texts afterwards; nothing finds them from here on.
    """
    mine = sa.select(t.generations.c.id).where(t.generations.c.collection == collection_id)
    documents = sa.select(t.documents.c.id).where(t.documents.c.collection == collection_id)
    sources = sa.select(t.sources.c.id).where(t.sources.c.collection == collection_id)
    runs = sa.select(t.runs.c.id).where(t.runs.c.collection == collection_id)
    indexes = connection.execute(
        sa.select(t.generations.c.store, t.generations.c.id).where(
            t.generations.c.collection == collection_id
        )
    ).all()
    withdraw_answers(connection, list(connection.execute(documents).scalars()))
    for statement in (
        t.versions.delete().where(t.versions.c.generation.in_(mine)),
        t.attempts.delete().where(t.attempts.c.generation.in_(mine)),
        t.deletions.delete().where(t.deletions.c.generation.in_(mine)),
        t.frequencies.delete().where(t.frequencies.c.generation.in_(mine)),
        t.document_access.delete().where(t.document_access.c.document.in_(documents)),
        t.documents.delete().where(t.documents.c.collection == collection_id),
        t.failures.delete().where(t.failures.c.run.in_(runs)),
        t.runs.delete().where(t.runs.c.collection == collection_id),
        t.quarantine.delete().where(t.quarantine.c.source.in_(sources)),
        t.sources.delete().where(t.sources.c.collection == collection_id),
        t.generations.delete().where(t.generations.c.collection == collection_id),
        t.collections.delete().where(t.collections.c.id == collection_id),
    ):
        connection.execute(statement)
    return [(store, index) for store, index in indexes]


def list_sources(connection: Connection, collection_id: str) -> list[Source]:
    """List the sources of a collection."""
    rows = connection.execute(sa.select(t.sources).where(t.sources.c.collection == collection_id))
    return [Source(row.id, row.collection, row.kind, row.root) for row in rows]


def ensure_source(connection: Connection, collection_id: str, kind: str, root: str) -> Source:
    """Return the source with this kind and root, created when it is new."""
    source = Source(name_uuid("source", collection_id, kind, root), collection_id, kind, root)
    known = connection.execute(sa.select(t.sources.c.id).where(t.sources.c.id == source.id))
    if known.first() is None:
        connection.execute(
            t.sources.insert().values(
                id=source.id, collection=collection_id, kind=kind, root=root, created=time.time()
            )
        )
    return source


_LIVE = sa.select(
    t.collections.c.id.label("collection_id"),
    t.collections.c.tenant,
    t.collections.c.name,
    t.generations,
).join(t.generations, t.generations.c.id == t.collections.c.live)

_COLLECTIONS = _LIVE.add_columns(
    sa.select(sa.func.count())
    .where(t.versions.c.generation == t.generations.c.id)
    .scalar_subquery()
    .label("documents")
)


def _collection(row: Mapping[Any, Any]) -> Collection:
    return Collection(
        id=row["collection_id"],
        tenant=row["tenant"],
        name=row["name"],
        documents=row["documents"],
        live=_generation(row),
    )


def _generation(row: Mapping[Any, Any]) -> Generation:
    return Generation(
        id=row["id"],
        collection_id=row["collection_id"],
        state=row["state"],
        store=row["store"],
        chunker=Pinned(**row["chunker"]),
        embedder=Pinned(**row["embedder"]),
        sparse=Pinned(**row["sparse"]),
        dim=row["dim"],
        chunks=row["chunks"],
    )
