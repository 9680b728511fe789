"""Receipts of deletions: since when nobody finds a document, since when nothing is left of it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection as Many
from dataclasses import dataclass
from typing import Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables as t
from rag.errors import NotFound

Reason: TypeAlias = Literal["request", "source", "collection"]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was deleted, why, and how far it is; times are epoch seconds."""

    id: str
    collection: str
    document: str
    uri: str
    reason: Reason
    run: str | None
    """The run that found it gone from its source."""
    chunks: int
    """Rows of its visible versions, in all generations."""
    generations: int
    unfindable: float
    """Since when no reader finds it."""
    gone: float | None
    """Since when stores, texts, originals and the vector cache are without it; None: not yet."""


def write_receipt(
    connection: Connection, document_id: str, reason: Reason, run: str | None, now: float
) -> str | None:
    """Open a receipt for a document that is about to be removed; return its id.

    None when there is no such document.
    """
    row = connection.execute(_REMOVED.where(t.documents.c.id == document_id)).first()
    if row is None:
        return None
    receipt = str(uuid.uuid4())
    connection.execute(
        t.receipts.insert().values(
            id=receipt,
            document=document_id,
            reason=reason,
            run=run,
            unfindable=now,
            gone=None,
            **row._mapping,
        )
    )
    return receipt


def close_receipts(connection: Connection, receipts: Many[str]) -> None:
    """Note the time on those receipts that no deletion in an outbox belongs to any more."""
    waiting = sa.select(sa.literal(1)).where(t.deletions.c.receipt == t.receipts.c.id).exists()
    for receipt in receipts:
        connection.execute(
            t.receipts.update().where(t.receipts.c.id == receipt, ~waiting).values(gone=time.time())
        )


def get_receipt(connection: Connection, tenant: str, receipt_id: str) -> Receipt:
    """Return a receipt of a tenant; raise `NotFound`."""
    mine = _RECEIPTS.where(t.receipts.c.tenant == tenant, t.receipts.c.id == receipt_id)
    row = connection.execute(mine).mappings().first()
    if row is None:
        raise NotFound(f"there is no receipt {receipt_id!r}", hint="see: rag documents receipts")
    return Receipt(**row)


def list_receipts(
    connection: Connection,
    tenant: str,
    *,
    document_id: str | None = None,
    run_id: str | None = None,
    limit: int = 1000,
) -> list[Receipt]:
    """List a tenant's receipts, newest first; of one document or one run where asked for."""
    statement = _RECEIPTS.where(t.receipts.c.tenant == tenant)
    if document_id is not None:
        statement = statement.where(t.receipts.c.document == document_id)
    if run_id is not None:
        statement = statement.where(t.receipts.c.run == run_id)
    newest = statement.order_by(t.receipts.c.unfindable.desc(), t.receipts.c.id).limit(limit)
    return [Receipt(**row) for row in connection.execute(newest).mappings()]


_REMOVED = (
    sa.select(
        t.collections.c.tenant,
        t.collections.c.name.label("collection"),
        t.documents.c.uri,
        sa.func.coalesce(sa.func.sum(t.versions.c.chunks), 0).label("chunks"),
        sa.func.count(t.versions.c.generation).label("generations"),
    )
    .join(t.collections, t.collections.c.id == t.documents.c.collection)
    .outerjoin(t.versions, t.versions.c.document == t.documents.c.id)
    .group_by(t.collections.c.tenant, t.collections.c.name, t.documents.c.uri)
)
_RECEIPTS = sa.select(
    t.receipts.c.id,
    t.receipts.c.collection,
    t.receipts.c.document,
    t.receipts.c.uri,
    t.receipts.c.reason,
    t.receipts.c.run,
    t.receipts.c.chunks,
    t.receipts.c.generations,
    t.receipts.c.unfindable,
    t.receipts.c.gone,
)
