"""Kept answers: what was asked, what was answered, from which documents. Units of work.

An answer belongs to one caller of one tenant, and nobody else finds it. When a document that it
quotes is deleted, replaced or hidden from the caller, it is withdrawn: that it was given stays,
its text and quotes do not.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection as Many
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables as t
from rag.catalog.checksums import SLICE
from rag.errors import NotFound
from rag.types import Answer, Principal

State: TypeAlias = Literal["complete", "abstained", "incomplete", "withdrawn"]
LONGEST_CONVERSATION = 1000
"""Turns of a conversation that are listed."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it is kept; times are epoch seconds."""

    id: str
    conversation: str | None
    collection: str
    question: str
    searched: str
    """The question as it stands alone."""
    text: str
    citations: tuple[Mapping[str, Any], ...]
    model: str
    state: State
    usage: Mapping[str, Any] | None
    created: float


def caller_of(principal: Principal) -> str:
    """Return the name under which a caller's answers are kept: the user, else all subjects."""
    users = sorted(subject for subject in principal.subjects if subject.startswith("user:"))
    return users[0] if users else ",".join(sorted(principal.subjects))


def store_answer(
    connection: Connection,
    principal: Principal,
    answer: Answer,
    *,
    question: str,
    collection: str,
    conversation: str | None = None,
    complete: bool = True,
) -> str:
    """Keep an answer for who asked; return its id.

    One that quotes a document which is gone by now is kept as withdrawn.
    """
    answer_id = str(uuid.uuid4())
    state: State = "incomplete" if not complete else "abstained" if answer.abstained else "complete"
    documents = sorted({citation.document_id for citation in answer.citations})
    existing = sa.select(t.documents.c.id).where(t.documents.c.id.in_(documents))
    if len(connection.execute(existing).all()) < len(documents):
        documents, state = [], "withdrawn"
    shown = state != "withdrawn"
    connection.execute(
        t.answers.insert().values(
            id=answer_id,
            tenant=principal.tenant,
            caller=caller_of(principal),
            conversation=conversation,
            collection=collection,
            question=question,
            searched=answer.question,
            text=answer.text if shown else "",
            citations=[asdict(citation) for citation in answer.citations] if shown else [],
            model=answer.model,
            state=state,
            usage=None if answer.usage is None else asdict(answer.usage),
            created=time.time(),
        )
    )
    if documents:
        connection.execute(
            t.answer_sources.insert(),
            [{"answer": answer_id, "document": document} for document in documents],
        )
    return answer_id


def get_answer(connection: Connection, principal: Principal, answer_id: str) -> Kept:
    """Return one of the caller's answers; else raise `NotFound`."""
    rows = connection.execute(_mine(principal).where(t.answers.c.id == answer_id)).all()
    for kept in _shown(connection, principal, rows):
        return kept
    raise NotFound(f"there is no answer {answer_id!r}")


def conversation_turns(
    connection: Connection, principal: Principal, conversation: str, limit: int
) -> list[Kept]:
    """Return the newest turns of a conversation in the order in which they were asked.

    Only what was answered in full: neither what broke off nor what was withdrawn.
    """
    newest = _mine(principal).where(
        t.answers.c.conversation == conversation, t.answers.c.state.in_(("complete", "abstained"))
    )
    rows = connection.execute(
        newest.order_by(t.answers.c.created.desc(), t.answers.c.id).limit(limit)
    ).all()
    kept = [kept for kept in _shown(connection, principal, rows) if kept.state != "withdrawn"]
    return kept[::-1]


def list_conversation(
    connection: Connection, principal: Principal, conversation: str
) -> list[Kept]:
    """Return a conversation, oldest turn first; raise `NotFound` when there is none of it."""
    rows = connection.execute(
        _mine(principal)
        .where(t.answers.c.conversation == conversation)
        .order_by(t.answers.c.created, t.answers.c.id)
        .limit(LONGEST_CONVERSATION)
    ).all()
    if not rows:
        raise NotFound(f"there is no conversation {conversation!r}")
    return list(_shown(connection, principal, rows))


def delete_conversation(connection: Connection, principal: Principal, conversation: str) -> int:
    """Delete all of a conversation; return how many answers went. Raise `NotFound` for none."""
    mine = (
        t.answers.c.tenant == principal.tenant,
        t.answers.c.caller == caller_of(principal),
        t.answers.c.conversation == conversation,
    )
    ids = sa.select(t.answers.c.id).where(*mine)
    connection.execute(t.answer_sources.delete().where(t.answer_sources.c.answer.in_(ids)))
    gone = connection.execute(t.answers.delete().where(*mine)).rowcount
    if not gone:
        raise NotFound(f"there is no conversation {conversation!r}")
    return gone


def withdraw_answers(connection: Connection, document_ids: Many[str]) -> int:
    """Take text and quotes out of the answers that quote these documents; return how many."""
    gone = 0
    for documents in _slices(list(document_ids)):
        quoting = sa.select(t.answer_sources.c.answer).where(
            t.answer_sources.c.document.in_(documents)
        )
        for answers in _slices(list(connection.execute(quoting.distinct()).scalars())):
            gone += connection.execute(
                t.answers.update()
                .where(t.answers.c.id.in_(answers))
                .values(text="", citations=[], state="withdrawn")
            ).rowcount
            connection.execute(
                t.answer_sources.delete().where(t.answer_sources.c.answer.in_(answers))
            )
    return gone


def _slices(values: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(values), SLICE):
        yield values[start : start + SLICE]


def _mine(principal: Principal) -> sa.Select[Any]:
    columns = [column for column in t.answers.c if column.name not in ("tenant", "caller")]
    return sa.select(*columns).where(
        t.answers.c.tenant == principal.tenant, t.answers.c.caller == caller_of(principal)
    )


def _shown(connection: Connection, principal: Principal, rows: Sequence[Any]) -> Iterator[Kept]:
    """Yield the answers; of those that quote what the caller may not read now, not the text."""
    hidden = _hidden(connection, principal, [row.id for row in rows])
    for row in rows:
        facts = dict(row._mapping)
        kept = Kept(**{**facts, "citations": tuple(facts["citations"])})
        yield replace(kept, text="", citations=(), state="withdrawn") if row.id in hidden else kept


def _hidden(connection: Connection, principal: Principal, answer_ids: list[str]) -> set[str]:
    readable = (
        sa.select(sa.literal(1))
        .where(
            t.document_access.c.document == t.answer_sources.c.document,
            t.document_access.c.subject.in_(sorted(principal.subjects)),
        )
        .correlate(t.answer_sources)
        .exists()
    )
    found: set[str] = set()
    for answers in _slices(answer_ids):
        statement = sa.select(t.answer_sources.c.answer).where(
            t.answer_sources.c.answer.in_(answers), ~readable
        )
        found.update(connection.execute(statement).scalars())
    return found
