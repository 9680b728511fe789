"""Holding a run while it is done: its lease renewed, its progress published, its end heard of."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rag.catalog import runs
from rag.catalog.database import Catalog
from rag.catalog.runs import Lease
from rag.errors import BackendError

log = logging.getLogger("cumulo.runs")


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a holder reports, and how long the others wait for a report; seconds."""

    lease_s: float
    beat_s: float


COMMAND = Pace(lease_s=60.0, beat_s=10.0)
WORKER = Pace(lease_s=30.0, beat_s=1.0)


@dataclass(slots=True)
class Held:
    """A run that is being done."""

    lease: Lease
    cancelled: bool = False
    """Somebody asked it to stop."""
    lost: bool = False
    """Somebody else does it now, or it is gone."""


@asynccontextmanager
async def held(
    catalog: Catalog,
    lease: Lease,
    counts: Callable[[], Mapping[str, float]],
    stop: asyncio.Event,
    pace: Pace,
) -> AsyncIterator[Held]:
    """Report on a run until it is left; set `stop` when it is to stop."""
    run = Held(lease)
    beating = asyncio.create_task(_beat(catalog, run, counts, stop, pace))
    try:
        yield run
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


async def _beat(
    catalog: Catalog,
    run: Held,
    counts: Callable[[], Mapping[str, float]],
    stop: asyncio.Event,
    pace: Pace,
) -> None:
    while not run.lost:
        await asyncio.sleep(pace.beat_s)
        try:
            standing = await catalog.write(
                runs.renew_lease, run.lease, counts(), lease_s=pace.lease_s
            )
        except BackendError as exc:  # what commits will fail too; the lease bears some silence
            log.warning("run %s cannot report: %s", run.lease.run, exc)
            continue
        run.lost, run.cancelled = not standing.mine, standing.cancelled
        if run.lost or run.cancelled:
            stop.set()
