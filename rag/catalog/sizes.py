"""How much a collection holds, and where it came from: units of work that only read."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables as t
from rag.types import Collection


@dataclass(frozen=True, slots=True)
class SourceSize:
    """A source, and how many visible documents it has."""

    id: str
    kind: str
    root: str
    documents: int


@dataclass(frozen=True, slots=True)
class Size:
    """A collection in numbers; times are epoch seconds."""

    sources: tuple[SourceSize, ...]
    quarantined: int
    originals: int
    """Documents whose original is kept."""
    created: float
    updated: float | None
    """When a document last changed."""


def measure(connection: Connection, collection: Collection) -> Size:
    """Count what a collection's live generation holds."""
    here = t.versions.c.generation == collection.live.id
    documents = t.documents.outerjoin(
        t.versions, (t.versions.c.document == t.documents.c.id) & here
    )
    sources = connection.execute(
        sa.select(
            t.sources.c.id, t.sources.c.kind, t.sources.c.root, sa.func.count(t.versions.c.document)
        )
        .select_from(t.sources.outerjoin(documents, t.documents.c.source == t.sources.c.id))
        .where(t.sources.c.collection == collection.id)
        .group_by(t.sources.c.id, t.sources.c.kind, t.sources.c.root)
        .order_by(t.sources.c.kind, t.sources.c.root)
    )
    versions = connection.execute(
        sa.select(
            sa.func.count(t.versions.c.original_digest), sa.func.max(t.versions.c.updated)
        ).where(here)
    ).one()
    origins = sa.select(t.sources.c.id).where(t.sources.c.collection == collection.id)
    quarantined = sa.select(sa.func.count()).where(t.quarantine.c.source.in_(origins))
    created = sa.select(t.collections.c.created).where(t.collections.c.id == collection.id)
    return Size(
        sources=tuple(SourceSize(*row) for row in sources),
        quarantined=connection.execute(quarantined).scalar_one(),
        originals=versions[0],
        created=connection.execute(created).scalar_one(),
        updated=versions[1],
    )
