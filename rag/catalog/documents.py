"""Documents as readers and syncs see them: units of work that only read.

`visible` is the verifying query: what it does not return, nobody may see.
"""

from __future__ import annotations

from collections.abc import Collection as Many
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import index
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables as t
from rag.catalog.checksums import computed, intact
from rag.catalog.listed import as_list, listed
from rag.errors import NotFound, Rejected
from rag.types import Metadata, Principal


@dataclass(frozen=True, slots=True)
class Described:
    """What a visible version says of itself."""

    uri: str
    title: str
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Known:
    """What a sync compares with: one indexed document of a source."""

    document_id: str
    external_id: str
    uri: str
    attempt: int
    fingerprint: str
    digest: str
    access: frozenset[str]
    container: str | None = None
    """External id of the file that it was taken out of."""
    given: Metadata = field(default_factory=dict)
    """What a person gave; it stays when the document is written again."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as it is shown: its visible version and where its text lies."""

    id: str
    collection: str
    uri: str
    external_id: str
    title: str
    metadata: Metadata
    access: tuple[str, ...]
    chunks: int
    digest: str
    text_digest: str
    original_digest: str | None
    updated: float
    given: Metadata = field(default_factory=dict)
    """The part of the metadata that a person gave."""


def visible(
    connection: Connection, generation_id: str, document_ids: Many[str], principal: Principal
) -> dict[str, int]:
    """Return the visible attempts of those documents that exist and the caller may read.

    The generation must have come from a collection of the principal's tenant.
    """
    subjects = sorted(principal.subjects)
    rows = _of(connection, _VISIBLE, generation_id, document_ids, subjects=subjects)
    return {row.document: index(row.attempt) for row in rows}  # a damaged one is no number


def described(
    connection: Connection, generation_id: str, document_ids: Many[str]
) -> dict[str, Described]:
    """Return what the documents' visible versions say of themselves, to callers who may know."""
    rows = _of(connection, _DESCRIBED, generation_id, document_ids)
    return {row.document: Described(row.uri, row.title, whole_metadata(row)) for row in rows}


def described_intact(
    connection: Connection, generation_id: str, document_ids: Many[str]
) -> dict[str, Described]:
    """Return the same for those versions that are still what was written."""
    return {
        row.document: Described(row.uri, row.title, whole_metadata(row))
        for row, due in computed(connection, list(document_ids), generation_id)
        if intact(row, due)
    }


def whole_metadata(row: Any) -> Metadata:
    """Return the metadata of a row with `metadata` and `given`: what a person gave stands above."""
    own: Metadata = row.metadata
    return {**own, **row.given} if row.given else own


def known_documents(connection: Connection, generation_id: str, source_id: str) -> dict[str, Known]:
    """Return the source's indexed documents by external id."""
    subjects: dict[str, set[str]] = {}
    for document, subject in connection.execute(
        sa.select(t.document_access).join(t.documents).where(t.documents.c.source == source_id)
    ):
        subjects.setdefault(document, set()).add(subject)
    rows = connection.execute(
        sa.select(
            t.documents.c.id,
            t.documents.c.external_id,
            t.documents.c.uri,
            t.versions.c.attempt,
            t.versions.c.fingerprint,
            t.versions.c.digest,
            t.documents.c.container,
            t.documents.c.given,
        )
        .join(t.versions, t.versions.c.document == t.documents.c.id)
        .where(t.documents.c.source == source_id, t.versions.c.generation == generation_id)
    )
    return {
        row.external_id: Known(
            *row[:6], frozenset(subjects.get(row.id, ())), row.container, row.given or {}
        )
        for row in rows
    }


def traced_documents(connection: Connection, collection_id: str) -> list[str]:
    """Return the ids of all documents of which something may be kept, visible or not."""
    mine = sa.select(t.generations.c.id).where(t.generations.c.collection == collection_id)
    rows = connection.execute(
        sa.union(
            sa.select(t.documents.c.id).where(t.documents.c.collection == collection_id),
            sa.select(t.attempts.c.document).where(t.attempts.c.generation.in_(mine)),
            sa.select(t.deletions.c.document).where(t.deletions.c.generation.in_(mine)),
        )
    )
    return list(rows.scalars())


def readers(connection: Connection, document_id: str) -> set[str]:
    """Return the subjects that may read a document."""
    return readers_of(connection, [document_id])[document_id]


def readers_of(connection: Connection, document_ids: Sequence[str]) -> dict[str, set[str]]:
    """Return the subjects that may read each of these documents."""
    found: dict[str, set[str]] = {document_id: set() for document_id in document_ids}
    for document, subject in connection.execute(_READERS, {"documents": as_list(document_ids)}):
        found[document].add(subject)
    return found


def digests(connection: Connection, generation_id: str, document_ids: Many[str]) -> dict[str, str]:
    """Return the content digests of the documents' visible versions."""
    rows = connection.execute(
        sa.select(t.versions.c.document, t.versions.c.digest).where(
            t.versions.c.generation == generation_id, t.versions.c.document.in_(document_ids)
        )
    )
    return {row.document: row.digest for row in rows}


def list_documents(
    connection: Connection,
    generation_id: str,
    principal: Principal,
    *,
    limit: int,
    after: tuple[str, str] = ("", ""),
) -> list[Stored]:
    """List a page of readable documents by (uri, id), after that cursor.

    One of which the catalog does not say any more what was written is left out.
    """
    found, _ = page_of_documents(connection, generation_id, principal, limit=limit, after=after)
    return found


def page_of_documents(
    connection: Connection,
    generation_id: str,
    principal: Principal,
    *,
    limit: int,
    after: tuple[str, str] = ("", ""),
    prefix: str = "",
) -> tuple[list[Stored], tuple[str, str] | None]:
    """Return the same page, and the cursor of the next one where there is one.

    `prefix`: only documents whose name begins with it, letter for letter.
    """
    mine = _stored(principal).where(
        t.versions.c.generation == generation_id,
        sa.tuple_(t.documents.c.uri, t.documents.c.id) > sa.tuple_(*map(sa.literal, after)),
    )
    if prefix:
        mine = mine.where(sa.func.substr(t.documents.c.external_id, 1, len(prefix)) == prefix)
    ordered = mine.order_by(t.documents.c.uri, t.documents.c.id).limit(limit + 1)
    rows = connection.execute(ordered).all()
    more, rows = len(rows) > limit, rows[:limit]
    found = computed(connection, [row.id for row in rows], generation_id)
    whole = {version.document for version, due in found if intact(version, due)}
    cursor = (rows[-1].uri, rows[-1].id) if more else None
    return _with_access(connection, [row for row in rows if row.id in whole]), cursor


def get_document(connection: Connection, document_id: str, principal: Principal) -> Stored:
    """Return a document of the principal's tenant that it may read; else raise `NotFound`."""
    row = connection.execute(
        _stored(principal).where(
            t.documents.c.id == document_id, t.versions.c.generation == t.collections.c.live
        )
    ).first()
    if row is None:
        raise NotFound(f"there is no document {document_id!r}", hint="see: rag documents list")
    if not all(intact(version, due) for version, due in computed(connection, [document_id])):
        raise Rejected(
            f"what the catalog says of document {document_id} is not what was written",
            hint="run: rag doctor --fix",
        )
    (found,) = _with_access(connection, [row])
    return found


_READERS = sa.select(t.document_access).where(listed(t.document_access.c.document, "documents"))
_READABLE = (
    sa.select(sa.literal(1))
    .where(
        t.document_access.c.document == t.versions.c.document,
        t.document_access.c.subject.in_(sa.bindparam("subjects", expanding=True)),
    )
    .correlate(t.versions)
    .exists()
)

_HERE = (
    t.versions.c.generation == sa.bindparam("generation"),
    listed(t.versions.c.document, "documents"),
)
_VISIBLE = sa.select(t.versions.c.document, t.versions.c.attempt).where(*_HERE, _READABLE)
_DESCRIBED = (
    sa.select(
        t.versions.c.document,
        t.documents.c.uri,
        t.versions.c.title,
        t.versions.c.metadata,
        t.documents.c.given,
    )
    .join(t.documents, t.documents.c.id == t.versions.c.document)
    .where(*_HERE)
)


def _of(
    connection: Connection,
    statement: sa.Select[Any],
    generation_id: str,
    document_ids: Many[str],
    **parameters: Any,
) -> Iterator[Any]:
    """Run a statement over documents of a generation."""
    given = {"generation": generation_id, "documents": as_list(document_ids), **parameters}
    yield from connection.execute(statement, given)


def _stored(principal: Principal) -> sa.Select[Any]:
    return (
        sa.select(
            t.documents.c.id,
            t.collections.c.name,
            t.documents.c.uri,
            t.documents.c.external_id,
            t.versions.c.title,
            t.versions.c.metadata,
            t.versions.c.chunks,
            t.versions.c.digest,
            t.versions.c.text_digest,
            t.versions.c.original_digest,
            t.versions.c.updated,
            t.documents.c.given,
        )
        .join(t.versions, t.versions.c.document == t.documents.c.id)
        .join(t.collections, t.collections.c.id == t.documents.c.collection)
        .where(
            t.collections.c.tenant == principal.tenant,
            _READABLE,
        )
        .params(subjects=sorted(principal.subjects))
    )


def _with_access(connection: Connection, rows: Sequence[Any]) -> list[Stored]:
    access = readers_of(connection, [row.id for row in rows])
    return [
        Stored(
            id=row.id,
            collection=row.name,
            uri=row.uri,
            external_id=row.external_id,
            title=row.title,
            metadata=whole_metadata(row),
            access=tuple(sorted(access[row.id])),
            chunks=row.chunks,
            digest=row.digest,
            text_digest=row.text_digest,
            original_digest=row.original_digest,
            updated=row.updated,
            given=row.given or {},
        )
        for row in rows
    ]
