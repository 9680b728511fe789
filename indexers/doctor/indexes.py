"""The indexes of generations: there or not, readable or not, wanted or not.

Opens indexes by itself: one that cannot be read is made anew before anybody else opens it.
"""

from __future__ import annotations

from dataclasses import replace

from indexers.doctor.checkup import Checkup, Examined
from indexers.doctor.findings import DOUBTFUL, Finding
from indexers.doctor.rows import Held, take
from rag.catalog import auditing
from rag.errors import Rejected
from rag.filters import EVERYTHING
from rag.ports import Index, IndexSpec
from rag.types import Collection, Generation


async def open_index(checkup: Checkup, collection: Collection, generation: Generation) -> Examined:
    """Open a generation's index; where it is missing it is made, if that is asked for."""
    collection = replace(collection, live=generation)
    store = checkup.runtime.store(generation.store)
    spec = IndexSpec(generation.id, generation.dim)
    if generation.id not in await store.names():
        if not await checkup.runtime.catalog.read(auditing.document_ids, generation.id, "", 1):
            return Examined(collection, None)  # made with its first document
        _found(checkup, collection, "the index is missing")
        return Examined(collection, await store.create(spec) if checkup.fix else None)
    try:
        opened = store.create(spec) if checkup.fix else store.open(generation.id)
        return Examined(collection, await opened)
    except Rejected as exc:
        _found(checkup, collection, f"the index cannot be read: {exc.message}")
        return Examined(collection, await _anew(checkup, collection) if checkup.fix else None)


async def read_index(checkup: Checkup, examined: Examined) -> tuple[Examined, Held | None]:
    """Read all rows as few numbers; an index that cannot be read is repaired, or left out."""
    if examined.index is None:
        return examined, None
    index, collection = examined.index, examined.collection
    try:
        held = await _take(checkup, collection, index)
        if not checkup.fix:
            await _check_damaged(checkup, collection, index, held)
        else:
            await _repair(checkup, collection, index)
    except Rejected as exc:
        _found(checkup, collection, f"the index cannot be read: {exc.message}")
        if not checkup.fix:
            return Examined(collection, None), None
        try:
            await _repair(checkup, collection, index)
            held = await _take(checkup, collection, index)
        except Rejected:
            examined, held = Examined(collection, await _anew(checkup, collection)), {}
    checkup.report.rows += sum(map(len, held.values()))
    return examined, held


async def check_unwanted(checkup: Checkup, *, trusted: bool) -> None:
    """Find indexes that belong to no generation, in the stores that lie in the data folder."""
    settings = checkup.runtime.settings
    for name in settings.stores:
        if not (settings.data_dir / "stores" / name).is_dir():
            continue  # a service, which others may use too
        store = checkup.runtime.store(name)
        there = await store.names()
        wanted = await checkup.runtime.catalog.read(auditing.generation_ids)
        for index in there:
            if index in wanted:
                continue
            if trusted:
                await store.drop(index)
            checkup.found(
                Finding(
                    "index_orphaned",
                    f"the index {index} in the store {name!r} belongs to no collection",
                    fixed=trusted,
                    todo=None if trusted or not checkup.fix else DOUBTFUL,
                )
            )


async def _take(checkup: Checkup, collection: Collection, index: Index) -> Held:
    def seen(rows: int) -> None:
        checkup.progress.done += rows

    checkup.progress.begin("reading rows", collection.live.chunks)
    return await take(index, seen=seen)


async def _repair(checkup: Checkup, collection: Collection, index: Index) -> None:
    if lost := await index.repair():
        checkup.found(
            Finding(
                "rows_damaged",
                f"{lost} rows could not be read and were removed",
                collection.name,
                fixed=True,
            )
        )


async def _check_damaged(
    checkup: Checkup, collection: Collection, index: Index, held: Held
) -> None:
    """Count rows that are there and cannot be read, unless writers make that impossible."""
    before = await index.count(EVERYTHING)
    if before <= sum(map(len, held.values())):
        return
    readable = sum(map(len, (await take(index)).values()))
    after = await index.count(EVERYTHING)
    if before == after and readable < after:
        checkup.found(
            Finding("rows_damaged", f"{after - readable} rows cannot be read", collection.name)
        )


async def _anew(checkup: Checkup, collection: Collection) -> Index:
    """Give up an index that nothing can be read of."""
    generation = collection.live
    store = checkup.runtime.store(generation.store)
    await store.drop(generation.id)
    return await store.create(IndexSpec(generation.id, generation.dim))


def _found(checkup: Checkup, collection: Collection, what: str) -> None:
    checkup.found(Finding("index", what, collection.name, fixed=checkup.fix))
