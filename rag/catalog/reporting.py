"""Runs as readers see them: units of work that only read.

A command's run whose lease has run out was cut off: nobody will go on with it, so it is shown as
interrupted. A worker's run waits for another worker then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables as t
from rag.catalog.runs import clock
from rag.errors import NotFound
from rag.types import LOCAL_OWNER, PUBLIC, Principal

State: TypeAlias = Literal["queued", "running", "done", "interrupted", "failed"]
Cursor: TypeAlias = tuple[float, str]
"""When the last run of a page was started, and its id."""

SLICE = 200
FAILURES = 100
"""Failures that are shown of a run; its counts have all."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it is shown; times are epoch seconds."""

    id: str
    collection: str
    kind: str
    state: State
    counts: Mapping[str, float]
    started: float
    updated: float
    cancelled: bool
    """It was asked to stop."""
    error: str | None
    """Why all of it failed."""
    summary: Mapping[str, Any] | None
    documents: tuple[tuple[str, str], ...] = ()
    """(id, name) of the documents that it is about, where that is known beforehand."""
    failures: tuple[tuple[str, str], ...] = ()
    """(uri, error) of the first of what failed; in lists there are none."""

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.state not in ("queued", "running")


def get_run(connection: Connection, run_id: str, principal: Principal) -> Run:
    """Return a run that the caller may know of; else raise `NotFound`."""
    mine = _RUNS.where(t.runs.c.id == run_id, t.collections.c.tenant == principal.tenant)
    row = connection.execute(mine).first()
    if row is None or not _is_open_to(principal, row):
        raise NotFound(f"there is no run {run_id!r}")
    failures = connection.execute(
        sa.select(t.failures.c.uri, t.failures.c.error)
        .where(t.failures.c.run == run_id)
        .order_by(t.failures.c.id)
        .limit(FAILURES)
    )
    return _run(row, clock(connection), tuple((uri, error) for uri, error in failures))


def list_runs(
    connection: Connection,
    principal: Principal,
    *,
    limit: int,
    after: Cursor | None = None,
    collection: str | None = None,
) -> tuple[list[Run], Cursor | None]:
    """Return a page of the runs that the caller may know of, newest first, and the next cursor."""
    now = clock(connection)
    found: list[Run] = []
    for row in _newest(connection, principal, after, collection):
        if len(found) == limit:
            return found, (found[-1].started, found[-1].id)
        if _is_open_to(principal, row):
            found.append(_run(row, now))
    return found, None


def _newest(
    connection: Connection, principal: Principal, after: Cursor | None, collection: str | None
) -> Iterator[Any]:
    mine = _RUNS.where(t.collections.c.tenant == principal.tenant).limit(SLICE)
    if collection is not None:
        mine = mine.where(t.collections.c.name == collection)
    mine = mine.order_by(t.runs.c.started.desc(), t.runs.c.id.desc())
    while True:
        place = sa.tuple_(t.runs.c.started, t.runs.c.id)
        older = mine if after is None else mine.where(place < sa.tuple_(*map(sa.literal, after)))
        rows = connection.execute(older).all()
        yield from rows
        if len(rows) < SLICE:
            return
        after = rows[-1].started, rows[-1].id


def _is_open_to(principal: Principal, row: Any) -> bool:
    """Tell whether a run was asked for by the caller; commands are the owner's."""
    asked = row.principal["subjects"] if row.principal else (LOCAL_OWNER,)
    return bool(principal.subjects & (set(asked) - {PUBLIC}))


def _run(row: Any, now: float, failures: tuple[tuple[str, str], ...] = ()) -> Run:
    state = row.state
    if state == "running" and (row.lease_until is None or row.lease_until < now):
        state = "queued" if row.task else "interrupted"
    return Run(
        id=row.id,
        collection=row.name,
        kind=row.kind,
        state=state,
        counts=row.counts,
        started=row.started,
        updated=row.updated,
        cancelled=row.cancelled is not None,
        error=row.error,
        summary=row.summary,
        documents=tuple((id_, name) for id_, name in (row.task or {}).get("documents", ())),
        failures=failures,
    )


_RUNS = sa.select(t.runs, t.collections.c.name).join(
    t.collections, t.collections.c.id == t.runs.c.collection
)
