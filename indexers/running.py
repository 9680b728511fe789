"""Workers: they take runs that wait, one at a time, and do them while their lease holds.

A run may be done twice, when a worker stops past its lease, and has one outcome: what it writes is
idempotent, and only the holder can end it. Knows leases and endings; what a task is made of is told
by `indexers.tasks`, how it is opened by `indexers.taking`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass

from indexers.ingest import bring_level
from indexers.leasing import WORKER, Held, Pace, held
from indexers.planning import reason
from indexers.prepared import Progress
from indexers.spool import Spool, spool_of
from indexers.summary import Summary, counts, so_far
from indexers.taking import taken
from indexers.tasks import read_task
from rag.catalog import runs
from rag.catalog.collections import get_collection
from rag.catalog.runs import Claimed, Ended
from rag.errors import RagError
from rag.http.policy import HttpPolicy
from rag.reserve import keep_reserve
from rag.runtime import Runtime

POLL_S = 0.25
SWEEP_S = 3600.0
STOP_S = 15.0
"""A worker that is told to stop has so long to finish what is under way."""
log = logging.getLogger("cumulo.runs")


@asynccontextmanager
async def worker_task(runtime: Runtime) -> AsyncIterator[None]:
    """Have a worker beside other work, until that ends: then its run is left to others."""
    stop = asyncio.Event()
    name = f"{platform.node()}:{os.getpid()}"
    worker = asyncio.create_task(run_worker(runtime, name=name, stop=stop))
    try:
        yield
    finally:
        stop.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(worker), STOP_S)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


async def run_worker(
    runtime: Runtime,
    *,
    name: str,
    stop: asyncio.Event,
    poll_s: float = POLL_S,
    pace: Pace = WORKER,
    http: HttpPolicy | None = None,
) -> None:
    """Do runs until `stop` is set. `http` limits what is fetched; by default, public addresses."""
    spool = spool_of(runtime.settings.data_dir)
    worker = Worker(runtime, name, spool, await asyncio.to_thread(spool.place), pace, http)
    loop = asyncio.get_running_loop()
    swept = -SWEEP_S
    while not stop.is_set():
        try:
            if loop.time() - swept > SWEEP_S:
                swept = loop.time()
                await worker.sweep()
            found = await worker.claim()
        except RagError as exc:
            log.warning("no run can be taken now: %s", exc)
            found = None
        if found is not None:
            await worker.do(found, stop)
            continue
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), poll_s)


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker with what it needs."""

    runtime: Runtime
    name: str
    spool: Spool
    place: str
    """Name of the spool."""
    pace: Pace
    http: HttpPolicy | None

    async def claim(self) -> Claimed | None:
        """Take a run, if one waits; looking costs no writer's turn."""
        catalog = self.runtime.catalog
        if not await catalog.read(runs.is_waiting):
            return None
        return await catalog.write(
            runs.claim_run, self.name, lease_s=self.pace.lease_s, place=self.place
        )

    async def sweep(self) -> None:
        """Clear uploads away that were never finished."""
        tasks = await self.runtime.catalog.read(runs.unfinished_tasks)
        wanted = {str(task.get("folder")) for task in tasks}
        await asyncio.to_thread(self.spool.sweep, wanted)

    async def do(self, claimed: Claimed, stop: asyncio.Event) -> None:
        """Do a run and note how it ended; leave it to others when this worker is to stop."""
        summary, progress, halt = Summary(run=claimed.lease.run), Progress(), asyncio.Event()
        state: Ended = "failed"
        error, run = None, Held(claimed.lease)
        beats = held(
            self.runtime.catalog, claimed.lease, lambda: so_far(summary, progress), halt, self.pace
        )
        following = asyncio.create_task(_follow(stop, halt))
        try:
            async with beats as run:
                await self._work(claimed, summary, progress, halt)
            state = "interrupted" if halt.is_set() else "done"
        except Exception as exc:  # noqa: BLE001 - a bad task must not end the worker
            error = reason(exc)
            log.warning("run %s failed: %s", claimed.lease.run, error)
        finally:
            following.cancel()
        stopped = state == "interrupted" and stop.is_set() and not run.cancelled
        try:
            if stopped:
                await self.runtime.catalog.write(runs.hand_back, claimed.lease)
            elif not run.lost:
                await self._end(claimed, state, summary, progress, error)
        except RagError as exc:  # when the lease has run out, somebody does it again
            log.warning("the end of run %s cannot be noted: %s", claimed.lease.run, exc)

    async def _work(
        self, claimed: Claimed, summary: Summary, progress: Progress, halt: asyncio.Event
    ) -> None:
        await asyncio.to_thread(keep_reserve, self.runtime.settings.data_dir)
        task = read_task(claimed.task)
        collection = await self.runtime.catalog.read(
            get_collection, claimed.principal.tenant, claimed.collection
        )
        async with taken(task, self.spool, claimed.principal, self.http) as listing:
            await bring_level(
                self.runtime, collection, [listing], summary, progress=progress, stop=halt
            )

    async def _end(
        self,
        claimed: Claimed,
        state: Ended,
        summary: Summary,
        progress: Progress,
        error: str | None,
    ) -> None:
        shown = asdict(summary)
        del shown["failures"], shown["interrupted"], shown["run"]  # they stand beside it
        mine = await self.runtime.catalog.write(
            runs.end_run,
            claimed.lease,
            state,
            counts(summary, progress),
            progress.failures,
            summary=shown,
            error=error,
        )
        folder = claimed.task.get("folder")
        if mine and isinstance(folder, str):
            await asyncio.to_thread(self.spool.remove, self.spool.folder(folder))


async def _follow(stop: asyncio.Event, halt: asyncio.Event) -> None:
    """Stop the run when the worker is to stop."""
    await stop.wait()
    halt.set()
