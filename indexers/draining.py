"""Draining the outboxes: rows and files that no reader may see leave stores, caches and disk.

Every writer drains, before and after its own work; doing it twice does no harm. Knows the order:
what is struck off the outbox is gone everywhere.
"""

from __future__ import annotations

import time

from indexers.vector_cache import VectorCache
from rag.catalog import collections, outbox, retention, writing
from rag.catalog.outbox import Deletion
from rag.filters import In
from rag.runtime import Runtime
from rag.types import Generation

SLICE = 256
DAY_S = 86_400


async def drain(runtime: Runtime, collection_id: str, cache: VectorCache) -> int:
    """Empty the outboxes of a collection's generations; return how many attempts went."""
    drained = 0
    for generation in await runtime.catalog.read(collections.generations, collection_id):
        await runtime.catalog.write(writing.abandon_expired, generation.id)
        while pending := await runtime.catalog.read(outbox.pending_deletions, generation.id):
            await _drain(runtime, generation, pending, cache)
            drained += len(pending)
        await _expire_originals(runtime, generation)
    return drained


async def _drain(
    runtime: Runtime, generation: Generation, pending: list[Deletion], cache: VectorCache
) -> None:
    index = await runtime.index(generation)
    parts = [pending[start : start + SLICE] for start in range(0, len(pending), SLICE)]
    for part in parts:
        await index.delete(In("attempt", [deletion.gone.attempt for deletion in part]))
    receipted = {d.gone.document_id for d in pending if d.gone.receipt is not None}
    if receipted:  # somebody was promised that nothing is left
        await index.optimize()
        await cache.forget(receipted)
        await runtime.catalog.purge()
    for part in parts:
        await runtime.catalog.write(
            outbox.finish_deletions, part, runtime.texts.drop, runtime.originals.drop
        )


async def _expire_originals(runtime: Runtime, generation: Generation) -> None:
    days = runtime.settings.blobs.original_days
    if days is not None:
        before = time.time() - days * DAY_S
        await runtime.catalog.write(
            retention.expire_originals, generation.id, before, runtime.originals.drop
        )
