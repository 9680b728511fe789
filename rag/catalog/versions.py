"""The visible version of one document, with all that it takes to write it once more.

Units of work that only read, for writers: whoever asks has the right to change the document.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables as t
from rag.catalog.checksums import computed, intact
from rag.catalog.collections import live_generation
from rag.errors import NotFound, Rejected
from rag.types import Generation, Metadata


@dataclass(frozen=True, slots=True)
class Version:
    """What the live generation shows of a document."""

    document_id: str
    generation: Generation
    tenant: str
    source_id: str
    external_id: str
    uri: str
    container: str | None
    attempt: int
    fingerprint: str
    digest: str
    text_digest: str
    original_digest: str | None
    title: str
    metadata: Metadata
    """Of the content and its source, without what a person gave."""
    given: Metadata
    chunks: int
    terms: bytes


def live_version(connection: Connection, document_id: str) -> Version:
    """Return what is visible of a document; raise `NotFound`, or `Rejected` where it is damaged."""
    row = connection.execute(_VERSION, {"document": document_id}).first()
    if row is None:
        raise NotFound(f"there is no document {document_id!r}")
    values = row._asdict()
    live = live_generation(connection, values["tenant"], values.pop("collection"))
    for version, due in computed(connection, [document_id], live.id):
        if not intact(version, due):
            raise Rejected(
                f"what the catalog says of document {document_id} is not what was written",
                hint="run: rag doctor --fix",
            )
    return Version(**{**values, "generation": live, "given": row.given or {}})


_VERSION = (
    sa.select(
        t.documents.c.id.label("document_id"),
        t.collections.c.name.label("collection"),
        t.collections.c.tenant,
        t.documents.c.source.label("source_id"),
        t.documents.c.external_id,
        t.documents.c.uri,
        t.documents.c.container,
        t.documents.c.given,
        t.versions.c.attempt,
        t.versions.c.fingerprint,
        t.versions.c.digest,
        t.versions.c.text_digest,
        t.versions.c.original_digest,
        t.versions.c.title,
        t.versions.c.metadata,
        t.versions.c.chunks,
        t.versions.c.terms,
    )
    .join(t.versions, t.versions.c.document == t.documents.c.id)
    .join(t.collections, t.collections.c.id == t.documents.c.collection)
    .where(
        t.documents.c.id == sa.bindparam("document"),
        t.versions.c.generation == t.collections.c.live,
    )
)
