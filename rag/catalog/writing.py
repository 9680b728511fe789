"""The commit protocol: attempts, compare-and-set, the outbox. Units of work that write.

A write of a document takes an attempt number, puts its chunks into the store under it, and commits
by "the visible attempt is still the one I read: make it mine". Whatever lost, expired or was
replaced goes to the outbox, which every writer drains. A reader sees the old version or the new.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from rag.catalog import tables as t
from rag.catalog.answers import withdraw_answers
from rag.catalog.checksums import seal
from rag.catalog.outbox import Gone, post_deletions
from rag.catalog.receipts import Reason, close_receipts, write_receipt
from rag.catalog.statistics import count_terms
from rag.types import Metadata


@dataclass(frozen=True, slots=True)
class Write:
    """A new version of a document, on its way to be visible."""

    document_id: str
    collection_id: str
    source_id: str
    external_id: str
    uri: str
    access: tuple[str, ...] | None
    """None leaves the readers as they are now: for a document that is written again, unchanged."""
    fingerprint: str
    digest: str
    text_digest: str
    title: str
    metadata: Metadata
    chunks: int
    terms: bytes
    """From `statistics.pack_terms`."""
    expected: int | None
    """The visible attempt when the work began; None when there was none."""
    original_digest: str | None = None
    """Of the original, where the source cannot give it again."""
    container: str | None = None
    """External id of the file that it was taken out of."""
    given: Metadata | None = None
    """Metadata that a person gave; None leaves what there is."""
    attempt: int = 0
    """From `begin`."""

    @property
    def gone(self) -> Gone:
        """What goes to the outbox when this write does not become visible."""
        return Gone(self.document_id, self.attempt, self.text_digest, self.original_digest)


def begin(
    connection: Connection, generation_id: str, writes: Sequence[Write], *, lease_s: float
) -> list[Write]:
    """Take an attempt number for each write; its rows may now go into the store."""
    if not writes:
        return []
    until = time.time() + lease_s
    ids = connection.execute(
        t.attempts.insert().returning(t.attempts.c.id, sort_by_parameter_order=True),
        [
            {
                "generation": generation_id,
                "document": write.document_id,
                "text_digest": write.text_digest,
                "original_digest": write.original_digest,
                "state": "open",
                "lease_until": until,
            }
            for write in writes
        ],
    ).scalars()
    return [replace(write, attempt=attempt) for write, attempt in zip(writes, ids, strict=True)]


def commit(connection: Connection, generation_id: str, writes: Sequence[Write]) -> list[bool]:
    """Make each write the visible version if it may; the others go to the outbox."""
    now = time.time()
    current = _versions(connection, generation_id, [w.document_id for w in writes])
    still_open = _open_attempts(connection, [w.attempt for w in writes])
    won, states = [], []
    winners: list[Write] = []
    outbox: list[Gone] = []
    seen: set[str] = set()
    changed: list[str] = []
    deltas: list[tuple[bytes, int]] = []
    chunks = 0
    for write in writes:
        before = current.get(write.document_id)
        if before is not None and before.attempt == write.attempt:
            won.append(True)  # committed by an earlier call whose reply was lost
            continue
        unchanged = (before and before.attempt) == write.expected
        wins = unchanged and write.attempt in still_open and write.document_id not in seen
        seen.add(write.document_id)
        won.append(wins)
        states.append({"id_": write.attempt, "state": "committed" if wins else "abandoned"})
        if not wins:
            outbox.append(write.gone)
            continue
        winners.append(write)
        deltas.append((write.terms, +1))
        chunks += write.chunks
        if before is not None:
            outbox.append(_gone(before))
            if before.text_digest != write.text_digest:
                changed.append(write.document_id)
            deltas.append((before.terms, -1))
            chunks -= before.chunks
    if states:
        connection.execute(
            t.attempts.update()
            .where(t.attempts.c.id == sa.bindparam("id_"), t.attempts.c.state == "open")
            .values(state=sa.bindparam("state")),
            states,
        )
    _put_documents(connection, generation_id, winners, now)
    seal(connection, [write.document_id for write in winners])
    withdraw_answers(connection, changed)
    count_terms(connection, generation_id, deltas, chunks)
    post_deletions(connection, generation_id, outbox, now)
    return won


def remove(
    connection: Connection,
    document_ids: Mapping[str, int | None],
    reason: Reason,
    *,
    run: str | None = None,
) -> list[str]:
    """Make documents unfindable in every generation; return those that went.

    The value is the visible attempt that the caller saw in the live generation: when another
    writer has committed since, the document stays. None removes whatever is there. Each document
    that goes gets a receipt.
    """
    gone, now = [], time.time()
    for document_id, expected in document_ids.items():
        rows = connection.execute(
            sa.select(t.versions).where(t.versions.c.document == document_id)
        ).all()
        if expected is not None and expected not in {row.attempt for row in rows}:
            continue
        receipt = write_receipt(connection, document_id, reason, run, now)
        if receipt is None:
            continue
        for row in rows:
            count_terms(connection, row.generation, [(row.terms, -1)], -row.chunks)
            post_deletions(connection, row.generation, [_gone(row, receipt)], now)
        connection.execute(t.versions.delete().where(t.versions.c.document == document_id))
        connection.execute(
            t.document_access.delete().where(t.document_access.c.document == document_id)
        )
        connection.execute(t.documents.delete().where(t.documents.c.id == document_id))
        if not rows:
            close_receipts(connection, [receipt])
        gone.append(document_id)
    withdraw_answers(connection, gone)
    return gone


def touch(
    connection: Connection, generation_id: str, touched: Mapping[str, tuple[int, str]]
) -> None:
    """Note the new fingerprints of documents whose content did not change.

    The values are the visible attempt that the caller saw and the fingerprint; a document that
    another writer has changed since is passed over.
    """
    if touched:
        connection.execute(
            t.versions.update()
            .where(
                t.versions.c.generation == generation_id,
                t.versions.c.document == sa.bindparam("document_"),
                t.versions.c.attempt == sa.bindparam("attempt_"),
            )
            .values(fingerprint=sa.bindparam("fingerprint_")),
            [
                {"document_": document_id, "attempt_": attempt, "fingerprint_": fingerprint}
                for document_id, (attempt, fingerprint) in touched.items()
            ],
        )


def set_access(connection: Connection, document_id: str, access: Iterable[str]) -> None:
    """Replace who may read a document; one that was removed meanwhile stays removed."""
    here = sa.select(t.documents.c.id).where(t.documents.c.id == document_id)
    if connection.execute(here).first() is not None:
        _put_access(connection, {document_id: access})
        seal(connection, [document_id])


def _put_access(connection: Connection, access: Mapping[str, Iterable[str]]) -> None:
    if access:
        connection.execute(
            t.document_access.delete().where(
                t.document_access.c.document == sa.bindparam("document_")
            ),
            [{"document_": document_id} for document_id in access],
        )
    rows = [
        {"document": document_id, "subject": subject}
        for document_id, subjects in access.items()
        for subject in sorted(set(subjects))
    ]
    if rows:
        connection.execute(t.document_access.insert(), rows)


def abandon_expired(connection: Connection, generation_id: str) -> int:
    """Give up open attempts whose lease ran out: their rows go to the outbox."""
    now = time.time()
    rows = connection.execute(
        t.attempts.update()
        .where(
            t.attempts.c.generation == generation_id,
            t.attempts.c.state == "open",
            t.attempts.c.lease_until < now,
        )
        .values(state="abandoned")
        .returning(
            t.attempts.c.document,
            t.attempts.c.id,
            t.attempts.c.text_digest,
            t.attempts.c.original_digest,
        )
    ).all()
    post_deletions(connection, generation_id, [Gone(*row) for row in rows], now)
    return len(rows)


def abandon(connection: Connection, generation_id: str, writes: Sequence[Write]) -> None:
    """Give up attempts that will not be finished, at once.

    Also those that another writer found expired: rows may have been stored since it drained.
    """
    mine = [write.attempt for write in writes]
    committed = set(
        connection.execute(
            sa.select(t.attempts.c.id).where(
                t.attempts.c.id.in_(mine), t.attempts.c.state == "committed"
            )
        ).scalars()
    )
    connection.execute(
        t.attempts.update()
        .where(t.attempts.c.id.in_(mine), t.attempts.c.state == "open")
        .values(state="abandoned")
    )
    lost = [write.gone for write in writes if write.attempt not in committed]
    post_deletions(connection, generation_id, lost, time.time())


# --- parts ---------------------------------------------------------------------------------------


def _versions(
    connection: Connection, generation_id: str, documents: Sequence[str]
) -> dict[str, Any]:
    rows = connection.execute(
        sa.select(
            t.versions.c.document,
            t.versions.c.attempt,
            t.versions.c.text_digest,
            t.versions.c.original_digest,
            t.versions.c.chunks,
            t.versions.c.terms,
        ).where(t.versions.c.generation == generation_id, t.versions.c.document.in_(documents))
    )
    return {row.document: row for row in rows}


def _gone(version: Any, receipt: str | None = None) -> Gone:
    return Gone(
        version.document, version.attempt, version.text_digest, version.original_digest, receipt
    )


def _open_attempts(connection: Connection, attempts: Sequence[int]) -> set[int]:
    rows = connection.execute(
        sa.select(t.attempts.c.id).where(
            t.attempts.c.id.in_(attempts), t.attempts.c.state == "open"
        )
    )
    return set(rows.scalars())


def _put_documents(
    connection: Connection, generation_id: str, writes: Sequence[Write], now: float
) -> None:
    if not writes:
        return
    documents = [
        {
            "id": write.document_id,
            "collection": write.collection_id,
            "source": write.source_id,
            "external_id": write.external_id,
            "uri": write.uri,
            "created": now,
            "container": write.container,
        }
        for write in writes
    ]
    versions = [
        {
            "generation": generation_id,
            "document": write.document_id,
            "attempt": write.attempt,
            "fingerprint": write.fingerprint,
            "digest": write.digest,
            "text_digest": write.text_digest,
            "original_digest": write.original_digest,
            "title": write.title,
            "metadata": dict(write.metadata),
            "chunks": write.chunks,
            "terms": write.terms,
            "updated": now,
        }
        for write in writes
    ]
    _upsert(connection, t.documents, documents, keys=("id",), change=("uri",))
    keys = ("generation", "document")
    change = [name for name in versions[0] if name not in keys]
    _upsert(connection, t.versions, versions, keys=keys, change=change)
    named = {write.document_id: write.access for write in writes if write.access is not None}
    _put_access(connection, named)
    for write in writes:
        if write.given is not None:
            connection.execute(
                t.documents.update()
                .where(t.documents.c.id == write.document_id)
                .values(given=dict(write.given))
            )


def _upsert(
    connection: Connection,
    table: sa.Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    keys: Sequence[str],
    change: Sequence[str],
) -> None:
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=keys, set_={name: insert.excluded[name] for name in change}
        ),
        rows,
    )
