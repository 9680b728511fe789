"""Draining the outbox: rows and texts that no reader may see leave store and disk.

Every writer drains, before and after its own work; doing it twice does no harm.
"""

from __future__ import annotations

from rag.blobs import Blobs
from rag.catalog import outbox, writing
from rag.catalog.database import Catalog
from rag.filters import In
from rag.ports import Index
from rag.types import Generation

SLICE = 256


async def drain(catalog: Catalog, blobs: Blobs, index: Index, generation: Generation) -> int:
    """Delete everything in a generation's outbox; return how many attempts went."""
    await catalog.write(writing.abandon_expired, generation.id)
    drained = 0
    while True:
        deletions = await catalog.read(outbox.pending_deletions, generation.id, limit=SLICE)
        if not deletions:
            return drained
        await index.delete(In("attempt", [deletion.attempt for deletion in deletions]))
        await catalog.write(outbox.finish_deletions, deletions, blobs.drop)
        drained += len(deletions)
