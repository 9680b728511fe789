"""The outbox of deletions: what no reader may see any more and every writer drains.

Knows which rows and texts must go; the stores and the texts themselves are the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables as t


@dataclass(frozen=True, slots=True)
class Deletion:
    """Rows of one attempt, and perhaps a text, that no reader may see and must go."""

    id: int
    generation_id: str
    document_id: str
    attempt: int
    text_digest: str


def post_deletions(
    connection: Connection,
    generation_id: str,
    items: Sequence[tuple[str, int, str]],
    now: float,
) -> None:
    """Put (document, attempt, text digest) rows into the outbox."""
    if items:
        connection.execute(
            t.deletions.insert(),
            [
                {
                    "generation": generation_id,
                    "document": document,
                    "attempt": attempt,
                    "text_digest": text_digest,
                    "created": now,
                }
                for document, attempt, text_digest in items
            ],
        )


def pending_deletions(connection: Connection, generation_id: str, *, limit: int) -> list[Deletion]:
    """Return the oldest part of a generation's outbox."""
    rows = connection.execute(
        sa.select(
            t.deletions.c.id,
            t.deletions.c.generation,
            t.deletions.c.document,
            t.deletions.c.attempt,
            t.deletions.c.text_digest,
        )
        .where(t.deletions.c.generation == generation_id)
        .order_by(t.deletions.c.id)
        .limit(limit)
    )
    return [Deletion(*row) for row in rows]


def finish_deletions(
    connection: Connection, deletions: Sequence[Deletion], drop_text: Callable[[str, str], None]
) -> None:
    """Drop texts that nothing needs any more and strike the deletions off the outbox.

    The texts go inside this transaction: no writer can begin to need one in between, because
    `begin` states the text's digest before the text is written.
    """
    for deletion in deletions:
        if not _text_needed(connection, deletion):
            drop_text(deletion.document_id, deletion.text_digest)
        connection.execute(t.deletions.delete().where(t.deletions.c.id == deletion.id))
        connection.execute(t.attempts.delete().where(t.attempts.c.id == deletion.attempt))


def _text_needed(connection: Connection, deletion: Deletion) -> bool:
    """Tell whether a visible version or an open attempt of the document has this text."""
    visible = sa.select(t.versions.c.document).where(
        t.versions.c.document == deletion.document_id,
        t.versions.c.text_digest == deletion.text_digest,
    )
    coming = sa.select(t.attempts.c.document).where(
        t.attempts.c.document == deletion.document_id,
        t.attempts.c.text_digest == deletion.text_digest,
        t.attempts.c.state == "open",
    )
    return connection.execute(sa.union_all(visible, coming).limit(1)).first() is not None
