"""The catalog against itself: its file, collections, outboxes, statistics, receipts."""

from __future__ import annotations

import asyncio
import time

from indexers.doctor.checkup import Checkup
from indexers.doctor.findings import RESTORE, Finding
from rag.catalog import auditing, collections, receipts, recounting
from rag.errors import Rejected
from rag.types import Collection, Generation


async def is_broken(checkup: Checkup) -> bool:
    """Find damage of the catalog's own file: nothing else can be judged by it then."""
    checkup.progress.begin("checking the catalog")
    try:
        broken = await checkup.runtime.catalog.read(auditing.broken)
    except Rejected as exc:
        broken = [exc.message]
    for what in broken:
        checkup.found(Finding("database", what, todo=RESTORE))
    return bool(broken)


async def check_heads(checkup: Checkup) -> None:
    """Find collections whose live generation is missing."""
    for found in await checkup.runtime.catalog.read(auditing.headless):
        can = found.generation_id is not None
        if checkup.fix and can:
            await checkup.runtime.catalog.write(auditing.give_head, found)
        checkup.found(
            Finding(
                "collection",
                "its live generation is missing",
                found.name,
                fixed=checkup.fix and can,
                todo=None if can else RESTORE,
            )
        )


async def check_outbox(
    checkup: Checkup, collection: Collection, generations: list[Generation]
) -> None:
    """Find what waits to be given up or carried out; the examination ends with doing it."""
    waiting = []
    for generation in generations:
        expired, outbox = await checkup.runtime.catalog.read(
            auditing.undrained, generation.id, time.time()
        )
        if expired:
            waiting.append(f"{expired} writes were given up")
        if outbox:
            waiting.append(f"{outbox} replaced or deleted versions wait to be removed")
    for what in waiting:
        checkup.found(Finding("undrained", what, collection.name, fixed=checkup.fix))


async def check_statistics(
    checkup: Checkup, collection: Collection, generation: Generation
) -> None:
    """Compare the document frequencies and the number of chunks with a recount."""
    catalog = checkup.runtime.catalog
    terms, chunks = await catalog.read(recounting.differences, generation.id)
    if not terms and not chunks:
        return
    if checkup.fix:
        await catalog.write(recounting.rewrite, generation.id)
    what = f"the counts of {terms} terms are wrong, and that of chunks by {chunks}"
    checkup.found(Finding("statistics", what, collection.name, fixed=checkup.fix))


async def check_receipts(checkup: Checkup) -> None:
    """Find receipts that say "not yet gone" of what is gone."""
    catalog = checkup.runtime.catalog
    found = await catalog.read(auditing.open_receipts)
    if found and checkup.fix:
        await catalog.write(receipts.close_receipts, found)
    for receipt in found:
        what = f"receipt {receipt} says that its document is not yet gone, and nothing is left"
        checkup.found(Finding("receipt", what, fixed=checkup.fix))


async def check_versionless(checkup: Checkup) -> None:
    """Find documents without a version; one whose original is kept is left to its owner."""
    catalog = checkup.runtime.catalog
    found = await catalog.read(auditing.without_version)
    if not found:
        return
    kept = await asyncio.to_thread(
        lambda: {document for document, _ in checkup.runtime.originals.listed()}
    )
    gone = found.keys() - kept
    if checkup.fix:
        await catalog.write(auditing.forget_documents, gone)
    for document_id, uri in found.items():
        fixed = checkup.fix and document_id in gone
        if not fixed:
            checkup.spared.add(document_id)
        checkup.found(
            Finding(
                "document",
                "no version of it is there; the next ingest of its source adds it again",
                None,
                document_id,
                uri,
                fixed=fixed,
                todo=None if fixed or not checkup.fix else f"hand {uri} over again",
            )
        )


async def generations_of(checkup: Checkup, collection: Collection) -> list[Generation]:
    """List the generations of a collection."""
    return await checkup.runtime.catalog.read(collections.generations, collection.id)
