"""The outbox of deletions: what no reader may see any more and every writer drains.

Knows which rows and texts must go; the stores and the texts themselves are the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables as t
from rag.catalog.receipts import close_receipts

Drop: TypeAlias = Callable[[str, str], None]
"""Removes a file by (document id, digest)."""


@dataclass(frozen=True, slots=True)
class Gone:
    """An attempt whose rows, text and original no reader may see any more."""

    document_id: str
    attempt: int
    text_digest: str
    original_digest: str | None = None
    receipt: str | None = None
    """Of the deletion that this is a part of; None for replaced and abandoned attempts."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """An attempt in the outbox: its rows must go, and what is kept for it unless still needed."""

    id: int
    gone: Gone


def post_deletions(
    connection: Connection, generation_id: str, items: Sequence[Gone], now: float
) -> None:
    """Put attempts into a generation's outbox."""
    if items:
        connection.execute(
            t.deletions.insert(),
            [
                {
                    "generation": generation_id,
                    "document": gone.document_id,
                    "attempt": gone.attempt,
                    "text_digest": gone.text_digest,
                    "original_digest": gone.original_digest,
                    "receipt": gone.receipt,
                    "created": now,
                }
                for gone in items
            ],
        )


def pending_deletions(connection: Connection, generation_id: str) -> list[Deletion]:
    """Return a generation's outbox, oldest first."""
    rows = connection.execute(
        sa.select(
            t.deletions.c.id,
            t.deletions.c.document,
            t.deletions.c.attempt,
            t.deletions.c.text_digest,
            t.deletions.c.original_digest,
            t.deletions.c.receipt,
        )
        .where(t.deletions.c.generation == generation_id)
        .order_by(t.deletions.c.id)
    )
    return [Deletion(id_, Gone(*gone)) for id_, *gone in rows]


def finish_deletions(
    connection: Connection, deletions: Sequence[Deletion], drop_text: Drop, drop_original: Drop
) -> None:
    """Drop what nothing needs any more and strike the deletions off the outbox.

    The files go inside this transaction: no writer can begin to need one in between, because
    `begin` states their digests before they are written.
    """
    for deletion in deletions:
        gone = deletion.gone
        if not _needed(connection, gone.document_id, "text_digest", gone.text_digest):
            drop_text(gone.document_id, gone.text_digest)
        if gone.original_digest is not None and not _needed(
            connection, gone.document_id, "original_digest", gone.original_digest
        ):
            drop_original(gone.document_id, gone.original_digest)
        connection.execute(t.deletions.delete().where(t.deletions.c.id == deletion.id))
        connection.execute(t.attempts.delete().where(t.attempts.c.id == gone.attempt))
    close_receipts(connection, {d.gone.receipt for d in deletions if d.gone.receipt is not None})


def _needed(connection: Connection, document_id: str, column: str, digest: str) -> bool:
    """Tell whether a visible version or an open attempt of the document has this file."""
    visible = sa.select(t.versions.c.document).where(
        t.versions.c.document == document_id, t.versions.c[column] == digest
    )
    coming = sa.select(t.attempts.c.document).where(
        t.attempts.c.document == document_id,
        t.attempts.c[column] == digest,
        t.attempts.c.state == "open",
    )
    return connection.execute(sa.union_all(visible, coming).limit(1)).first() is not None
