"""The local engine: one process, stages overlapped through bounded queues.

Two windows are embedded at a time, so that no core waits for the end of one. Knows the order of
stages and nothing of what they do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from indexers.prepared import Embedded, Prepared

EMBEDDING = 2  # windows under way at once


async def run_local(
    windows: AsyncIterator[Sequence[Prepared]],
    embed: Callable[[Sequence[Prepared]], Awaitable[list[Embedded]]],
    store: Callable[[Embedded], Awaitable[None]],
) -> None:
    """Run all windows through both stages; the first failure stops everything and is raised."""
    prepared: asyncio.Queue[Sequence[Prepared] | None] = asyncio.Queue(1)
    embedded: asyncio.Queue[Embedded | None] = asyncio.Queue(1)

    async def prepare_all() -> None:
        async for window in windows:
            await prepared.put(window)
        for _ in range(EMBEDDING):
            await prepared.put(None)

    async def embed_all() -> None:
        while (window := await prepared.get()) is not None:
            for part in await embed(window):
                await embedded.put(part)
        await embedded.put(None)

    async def store_all() -> None:
        finished = 0
        while finished < EMBEDDING:
            part = await embedded.get()
            if part is None:
                finished += 1
            else:
                await store(part)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(prepare_all())
            group.create_task(store_all())
            for _ in range(EMBEDDING):
                group.create_task(embed_all())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
