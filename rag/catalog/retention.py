"""How long originals stay: units of work that let them go."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables as t
from rag.catalog.checksums import seal
from rag.catalog.outbox import Drop


def expire_originals(
    connection: Connection, generation_id: str, before: float, drop_original: Drop
) -> int:
    """Drop the originals of versions written before that time; return how many."""
    rows = connection.execute(
        sa.select(t.versions.c.document, t.versions.c.original_digest).where(
            t.versions.c.generation == generation_id,
            t.versions.c.original_digest.is_not(None),
            t.versions.c.updated < before,
        )
    ).all()
    for document_id, digest in rows:
        drop_original(document_id, digest)
        connection.execute(
            t.versions.update()
            .where(t.versions.c.document == document_id, t.versions.c.original_digest == digest)
            .values(original_digest=None)
        )
    seal(connection, [document_id for document_id, _ in rows])
    return len(rows)
