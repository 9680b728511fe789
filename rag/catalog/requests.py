"""Replies by Idempotency-Key, so that a request sent twice is done once. Units of work.

A key belongs to one caller of one tenant. While the first request is under way its row has no
status; what never came to its end, because the process died, is open again after a while.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables as t

KEPT_S = 24 * 3600.0
UNDER_WAY_S = 600.0
"""A request without a reply for so long is dead."""
FORGOTTEN = 1000
"""Old replies that are removed at one go."""

Standing: TypeAlias = Literal["ours", "under way", "another request"]


@dataclass(frozen=True, slots=True)
class Key:
    """Whose key it is, and how the caller calls it."""

    tenant: str
    caller: str
    key: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A reply as it was first given."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def reserve(connection: Connection, key: Key, digest: str) -> Standing | Kept:
    """Take a key for a request, unless it was used: return the reply then, or why there is none."""
    now = time.time()
    _forget(connection, now)
    row = connection.execute(sa.select(t.requests).where(*_is(key))).first()
    if row is not None:
        if row.status is None and row.created < now - UNDER_WAY_S:
            connection.execute(t.requests.delete().where(*_is(key)))
        elif row.digest != digest:
            return "another request"
        elif row.status is None:
            return "under way"
        else:
            return Kept(row.status, row.headers, bytes(row.body))
    connection.execute(
        t.requests.insert().values(
            tenant=key.tenant, caller=key.caller, key=key.key, digest=digest, created=now
        )
    )
    return "ours"


def keep_reply(connection: Connection, key: Key, digest: str, reply: Kept) -> None:
    """Keep the reply to a request whose key was taken."""
    connection.execute(
        t.requests.update()
        .where(*_is(key), t.requests.c.digest == digest)
        .values(status=reply.status, headers=dict(reply.headers), body=reply.body)
    )


def release(connection: Connection, key: Key, digest: str) -> None:
    """Give a key back that was taken for a request which came to nothing."""
    mine = (*_is(key), t.requests.c.digest == digest, t.requests.c.status.is_(None))
    connection.execute(t.requests.delete().where(*mine))


def _is(key: Key) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        t.requests.c.tenant == key.tenant,
        t.requests.c.caller == key.caller,
        t.requests.c.key == key.key,
    )


def _forget(connection: Connection, now: float) -> None:
    old = connection.execute(
        sa.select(t.requests.c.tenant, t.requests.c.caller, t.requests.c.key)
        .where(t.requests.c.created < now - KEPT_S)
        .limit(FORGOTTEN)
    ).all()
    for row in old:
        connection.execute(t.requests.delete().where(*_is(Key(*row))))
