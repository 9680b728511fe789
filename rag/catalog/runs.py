"""Runs as writers of the table see them: started, taken, kept alive, ended. Units of work.

A run belongs to whoever holds its lease, which has a name of its own for every time it is taken:
who has lost it can neither renew it nor end the run. Time is the database's, for leases are
compared between machines. What readers are shown is in `rag.catalog.reporting`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables as t
from rag.types import Principal

Ended: TypeAlias = Literal["done", "interrupted", "failed"]

TRIES = 3
"""Times that a task is taken up before it counts as one that kills its workers."""
CANDIDATES = 100
"""Waiting runs that are looked at for one that can be done here."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do a run, until it is taken over or ended."""

    run: str
    holder: str
    """Name of this one turn at the run."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run to be done now."""

    lease: Lease
    collection: str
    """Its name."""
    kind: str
    task: Mapping[str, Any]
    principal: Principal


@dataclass(frozen=True, slots=True)
class Standing:
    """How a run stands that its holder has just reported on."""

    mine: bool
    """False: somebody else has taken it over, or it is gone with its collection."""
    cancelled: bool


def start_run(
    connection: Connection, collection_id: str, kind: str, *, holder: str, lease_s: float
) -> Lease:
    """Note that a run began whose work is done right here, by nobody else."""
    run, now = str(uuid.uuid4()), time.time()
    connection.execute(
        t.runs.insert().values(
            id=run,
            collection=collection_id,
            kind=kind,
            state="running",
            counts={},
            started=now,
            updated=now,
            worker=holder,
            lease_until=clock(connection) + lease_s,
        )
    )
    return Lease(run, holder)


def queue_run(
    connection: Connection,
    collection_id: str,
    kind: str,
    task: Mapping[str, Any],
    principal: Principal,
) -> str:
    """Leave a task to the workers; return the id of its run."""
    run, now = str(uuid.uuid4()), time.time()
    connection.execute(
        t.runs.insert().values(
            id=run,
            collection=collection_id,
            kind=kind,
            state="queued",
            counts={},
            started=now,
            updated=now,
            task={**task, "tries": 0},
            principal={"tenant": principal.tenant, "subjects": sorted(principal.subjects)},
        )
    )
    return run


def is_waiting(connection: Connection) -> bool:
    """Tell whether a run waits for a worker: new, or its worker's lease has run out."""
    waiting = sa.select(t.runs.c.id).where(_waiting(clock(connection))).limit(1)
    return connection.execute(waiting).first() is not None


def claim_run(connection: Connection, worker: str, *, lease_s: float, place: str) -> Claimed | None:
    """Take the longest waiting run that can be done at this place; None when there is none.

    `place` is compared with the task's own, where it has one. Writers take turns, so that a run is
    taken once. One that was taken up too often without an end counts as failed.
    """
    now = clock(connection)
    rows = connection.execute(
        sa.select(t.runs, t.collections.c.name)
        .join(t.collections, t.collections.c.id == t.runs.c.collection)
        .where(_waiting(now))
        .order_by(t.runs.c.started, t.runs.c.id)
        .limit(CANDIDATES)
    ).all()
    for row in rows:
        if row.task.get("place", place) != place:
            continue
        if row.cancelled is not None:
            _end(connection, row.id, "interrupted")
        elif row.task["tries"] >= TRIES:
            _end(connection, row.id, "failed", error=f"{TRIES} workers died or hung over it")
        else:
            return _take(connection, row, f"{worker}/{uuid.uuid4()}", now + lease_s)
    return None


def renew_lease(
    connection: Connection, lease: Lease, counts: Mapping[str, float], *, lease_s: float
) -> Standing:
    """Report how far a run is and hold it for another while, unless it is somebody else's now."""
    found = connection.execute(
        t.runs.update()
        .where(*_held(lease))
        .values(
            counts=dict(counts),
            updated=time.time(),
            lease_until=clock(connection) + lease_s,
        )
        .returning(t.runs.c.cancelled)
    ).first()
    return Standing(found is not None, found is not None and found.cancelled is not None)


def hand_back(connection: Connection, lease: Lease) -> bool:
    """Leave a run to another worker; tell whether it was still ours."""
    task = connection.execute(sa.select(t.runs.c.task).where(*_held(lease))).scalar()
    if task is None:
        return False
    values = {"state": "queued", "worker": None, "lease_until": None, "updated": time.time()}
    given = {**values, "task": {**task, "tries": max(0, task["tries"] - 1)}}
    connection.execute(t.runs.update().where(*_held(lease)).values(given))
    return True


def end_run(
    connection: Connection,
    lease: Lease,
    state: Ended,
    counts: Mapping[str, float],
    failures: Sequence[tuple[str, str]],
    *,
    summary: Mapping[str, Any] | None = None,
    error: str | None = None,
) -> bool:
    """Note how a run ended, and the (uri, error) of what failed in it.

    Return False, and note nothing, when the run is not the holder's any more.
    """
    mine = connection.execute(sa.select(t.runs.c.id).where(*_held(lease))).first()
    if mine is None:
        return False
    _end(connection, lease.run, state, counts=dict(counts), summary=summary, error=error)
    if failures:
        now = time.time()
        connection.execute(
            t.failures.insert(),
            [
                {"run": lease.run, "uri": uri, "error": error, "created": now}
                for uri, error in failures
            ],
        )
    return True


def request_cancel(connection: Connection, run_id: str) -> None:
    """Ask a run to stop: one that nobody does ends now, another when its holder hears of it."""
    now = clock(connection)
    connection.execute(
        t.runs.update()
        .where(t.runs.c.id == run_id, t.runs.c.cancelled.is_(None), _unfinished())
        .values(cancelled=now)
    )
    idle = sa.and_(t.runs.c.id == run_id, _waiting(now))
    if connection.execute(sa.select(t.runs.c.id).where(idle)).first() is not None:
        _end(connection, run_id, "interrupted")


def unfinished_tasks(connection: Connection) -> list[Mapping[str, Any]]:
    """Return the tasks that are waiting or under way."""
    rows = connection.execute(sa.select(t.runs.c.task).where(_unfinished(), _is_task()))
    return list(rows.scalars())


def clock(connection: Connection) -> float:
    """Return the database's time, in epoch seconds."""
    if connection.dialect.name == "postgresql":
        statement = "SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision)"
        return float(connection.exec_driver_sql(statement).scalar_one())
    return time.time()  # its file is on this machine


# --- parts ---------------------------------------------------------------------------------------


def _unfinished() -> sa.ColumnElement[bool]:
    return t.runs.c.state.in_(("queued", "running"))


def _is_task() -> sa.ColumnElement[bool]:
    """A run for workers; others are done where they were started."""
    return t.runs.c.task.is_not(sa.null())


def _waiting(now: float) -> sa.ColumnElement[bool]:
    expired = sa.and_(t.runs.c.state == "running", t.runs.c.lease_until < now, _is_task())
    return sa.or_(t.runs.c.state == "queued", expired)


def _held(lease: Lease) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        t.runs.c.id == lease.run,
        t.runs.c.worker == lease.holder,
        t.runs.c.state == "running",
    )


def _take(connection: Connection, row: Any, holder: str, until: float) -> Claimed:
    task = {**row.task, "tries": row.task["tries"] + 1}
    connection.execute(
        t.runs.update()
        .where(t.runs.c.id == row.id)
        .values(state="running", worker=holder, lease_until=until, task=task, updated=time.time())
    )
    return Claimed(
        Lease(row.id, holder),
        row.name,
        row.kind,
        task,
        Principal(row.principal["tenant"], frozenset(row.principal["subjects"])),
    )


def _end(connection: Connection, run_id: str, state: Ended, **values: Any) -> None:
    connection.execute(
        t.runs.update()
        .where(t.runs.c.id == run_id)
        .values(state=state, updated=time.time(), lease_until=None, **values)
    )
