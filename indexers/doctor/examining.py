"""The order of an examination: nothing is judged by what has not been judged before.

Damaged files first, then what waits, then rows and texts, then what follows from them.
"""

from __future__ import annotations

from indexers.doctor import bookkeeping, keeping
from indexers.doctor.checkup import Checkup, Examined
from indexers.doctor.documents import check_documents
from indexers.doctor.findings import Progress, Report
from indexers.doctor.indexes import check_unwanted, open_index, read_index
from indexers.draining import drain
from indexers.vector_cache import open_cache
from rag.catalog import auditing
from rag.runtime import Runtime
from rag.types import Collection


async def examine(
    runtime: Runtime,
    only: Collection | None = None,
    *,
    fix: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Compare catalog, stores, kept files and caches with each other; mend them with `fix`.

    Writers may work meanwhile. Of one collection, only what belongs to it alone is looked at.
    The runtime must not have been used before: damaged indexes are replaced under it.
    """
    cache = open_cache(runtime.settings)
    checkup = Checkup(runtime, cache, fix, Report(), progress or Progress())
    try:
        if not await bookkeeping.is_broken(checkup):
            await _examine(checkup, only)
    finally:
        await cache.close()
    return checkup.report


async def _examine(checkup: Checkup, only: Collection | None) -> None:
    if only is not None:
        await _examine_collection(checkup, only)
        return
    cached = await keeping.is_cache_readable(checkup)
    await bookkeeping.check_heads(checkup)
    collections = await checkup.runtime.catalog.read(auditing.all_collections)
    for collection in collections:
        await _examine_collection(checkup, collection)
    await _examine_rest(checkup, trusted=checkup.fix and bool(collections))
    if cached:
        await keeping.check_cache_owners(checkup)


async def _examine_collection(checkup: Checkup, collection: Collection) -> None:
    checkup.report.collections += 1
    generations = await bookkeeping.generations_of(checkup, collection)
    opened = [await open_index(checkup, collection, generation) for generation in generations]
    await bookkeeping.check_outbox(checkup, collection, generations)
    found = len(checkup.report.findings)
    opened = [await _examine_generation(checkup, examined) for examined in opened]
    if checkup.fix:
        await drain(checkup.runtime, collection.id, checkup.cache)
        if len(checkup.report.findings) > found:
            for examined in opened:
                if examined.index is not None:
                    await examined.index.optimize()
    for generation in generations:
        await bookkeeping.check_statistics(checkup, collection, generation)


async def _examine_generation(checkup: Checkup, examined: Examined) -> Examined:
    """Compare a generation with its rows and files; return it as it was left."""
    examined, held = await read_index(checkup, examined)
    checkup.progress.begin("comparing documents", examined.collection.documents)
    await check_documents(checkup, examined, held)
    return examined


async def _examine_rest(checkup: Checkup, *, trusted: bool) -> None:
    """Look at what belongs to no collection; an empty catalog is no reason to delete."""
    checkup.progress.begin("looking for leftovers")
    await bookkeeping.check_receipts(checkup)
    await bookkeeping.check_versionless(checkup)
    runtime = checkup.runtime
    await keeping.check_files(checkup, "text_digest", runtime.texts, trusted=trusted)
    await keeping.check_files(checkup, "original_digest", runtime.originals, trusted=trusted)
    await check_unwanted(checkup, trusted=trusted)
