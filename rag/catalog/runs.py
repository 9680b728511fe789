"""Runs and their failures: units of work on a connection."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from sqlalchemy.engine import Connection

from rag.catalog import tables as t

Ended: TypeAlias = Literal["done", "interrupted", "failed"]


def start_run(connection: Connection, collection_id: str, kind: str) -> str:
    """Note that a run began; return its id."""
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
        )
    )
    return run


def end_run(
    connection: Connection,
    run_id: str,
    state: Ended,
    counts: Mapping[str, float],
    failures: Sequence[tuple[str, str]],
) -> None:
    """Note how a run ended, and the (uri, error) of what failed in it."""
    now = time.time()
    connection.execute(
        t.runs.update()
        .where(t.runs.c.id == run_id)
        .values(state=state, counts=dict(counts), updated=now)
    )
    if failures:
        connection.execute(
            t.failures.insert(),
            [
                {"run": run_id, "uri": uri, "error": error, "created": now}
                for uri, error in failures
            ],
        )
