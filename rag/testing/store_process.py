"""Another process that writes to a shared index, for `store_sharing`.

Run as `python -m rag.testing.store_process BACKEND OPTIONS FOLDER INDEX FIRST COUNT`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from rag.filters import Eq
from rag.testing.store_backends import Backend
from rag.testing.store_samples import batch, one_term

STEP = 20


async def write(backend: Backend, folder: Path, name: str, *, first: int, count: int) -> None:
    """Store rows in steps; of each step, patch the first document and delete the second."""
    store = backend.store(folder)
    index = await store.open(name)
    for start in range(first, first + count, STEP):
        rows = batch(STEP, first=start, sparse=one_term(STEP))
        await index.upsert(rows)
        await index.patch(Eq("document", rows.chunks[0].document_id), {"title": "patched"})
        await index.delete(Eq("document", rows.chunks[4].document_id))
    await store.close()


if __name__ == "__main__":
    name, options, folder, index, first, count = sys.argv[1:]
    backend = Backend(name, json.loads(options))
    asyncio.run(write(backend, Path(folder), index, first=int(first), count=int(count)))
