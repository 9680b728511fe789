"""A checksum over what a version says of itself, so that a flipped bit in the file shows.

Covers what a hit shows and who may read it. A version of before there were checksums has none and
is taken as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables as t
from rag.catalog.listed import as_list, listed

SLICE = 500  # values of one IN: databases limit bound parameters


def seal(connection: Connection, document_ids: Sequence[str]) -> None:
    """Write the checksums of all versions of these documents, after they have changed."""
    rows = [
        {"generation_": row.generation, "document_": row.document, "checksum_": found}
        for row, found in computed(connection, document_ids)
    ]
    if rows:
        connection.execute(
            t.versions.update()
            .where(
                t.versions.c.generation == sa.bindparam("generation_"),
                t.versions.c.document == sa.bindparam("document_"),
            )
            .values(checksum=sa.bindparam("checksum_")),
            rows,
        )


def intact(row: Any, computed: bytes) -> bool:
    """Tell whether a version is what was written."""
    return row.checksum is None or bytes(row.checksum) == computed


def computed(
    connection: Connection, document_ids: Sequence[str], generation_id: str | None = None
) -> Iterator[tuple[Any, bytes]]:
    """Yield the versions of documents, in one generation or all, with the checksums due to them."""
    given = {"documents": as_list(document_ids)}
    readers: dict[str, list[str]] = {}
    for document, subject in connection.execute(_READERS, given):
        readers.setdefault(document, []).append(subject)
    if generation_id is None:
        rows = connection.execute(_VERSIONS, given)
    else:
        rows = connection.execute(_HERE, {**given, "generation": generation_id})
    for row in rows:
        yield row, _checksum(row, readers.get(row.document, []))


_READERS = (
    sa.select(t.document_access.c.document, t.document_access.c.subject)
    .where(listed(t.document_access.c.document, "documents"))
    .order_by(t.document_access.c.document)
)
_VERSIONS = (
    sa.select(
        t.versions.c.generation,
        t.versions.c.document,
        t.versions.c.attempt,
        t.versions.c.digest,
        t.versions.c.text_digest,
        t.versions.c.original_digest,
        t.versions.c.title,
        t.versions.c.metadata,
        t.versions.c.chunks,
        t.versions.c.checksum,
        t.documents.c.uri,
        t.documents.c.external_id,
        t.documents.c.source,
        t.documents.c.given,
    )
    .join(t.documents, t.documents.c.id == t.versions.c.document)
    .where(listed(t.versions.c.document, "documents"))
)
_HERE = _VERSIONS.where(t.versions.c.generation == sa.bindparam("generation"))


def _checksum(row: Any, readers: Sequence[str]) -> bytes:
    apart = ("checksum", "given")
    values = [value for name, value in row._mapping.items() if name not in apart]
    if row.given:  # else as it was computed before anybody could give anything
        values.append(row.given)
    text = json.dumps([*values, sorted(readers)], sort_keys=True)
    return blake2b(text.encode(), digest_size=16).digest()
