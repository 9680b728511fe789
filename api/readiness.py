"""Whether a process can answer: warmed up once, and its catalog reachable now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from api.draining import Drain
from rag.catalog.collections import list_collections
from rag.errors import RagError, Unavailable
from rag.runtime import Runtime
from rag.types import DEFAULT_TENANT, Query, local_owner

WORD = "warm"
PROBE_S = 2.0
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 10.0
log = logging.getLogger("cumulo.api")


class Readiness:
    """Watches one runtime, and whether the process is about to end."""

    def __init__(self, runtime: Runtime, drain: Drain) -> None:
        self._runtime, self._drain = runtime, drain
        self._problem: str | None = "warming up"

    @asynccontextmanager
    async def warming(self) -> AsyncIterator[None]:
        """Warm up beside other work."""
        task = asyncio.create_task(self._warm_up())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _warm_up(self) -> None:
        """Load the default embedder and search every collection once: then no question waits.

        What fails is tried again until it works: a model server may come up after this process.
        """
        pause = FIRST_PAUSE_S
        while True:
            try:
                await self._warm()
            except RagError as exc:
                self._problem = str(exc)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
            else:
                self._problem = None
                return

    async def _warm(self) -> None:
        runtime = self._runtime
        name = runtime.settings.defaults.embedder
        embedder = await asyncio.to_thread(runtime.asked_embedder, name)
        await embedder.embed([WORD], "query")
        for collection in await runtime.catalog.read(list_collections, DEFAULT_TENANT):
            query = Query(WORD, collection.name, local_owner(), k=1)
            try:
                await runtime.retrieval.search(query)
            except Unavailable:
                raise
            except RagError as exc:  # it needs a person; the others can be asked
                log.warning("collection %r cannot be searched: %s", collection.name, exc)

    async def report(self) -> dict[str, Any]:
        """Return whether it is ready, and if not, why."""
        problem = "the process is ending" if self._drain.draining else self._problem
        if problem is None:
            try:
                async with asyncio.timeout(PROBE_S):
                    await self._runtime.reach()
            except (RagError, TimeoutError) as exc:
                problem = f"the catalog or a store cannot be reached: {exc}"
        return {"ready": problem is None, **({"reason": problem} if problem else {})}
