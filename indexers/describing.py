"""New metadata for a document: its rows are written once more, with other fields and old vectors.

Goes through the commit protocol like every other write, so that filters and the catalog change in
the same moment, a writer that is faster wins, and a crash leaves the old version.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from indexers.draining import drain
from indexers.vector_cache import open_cache
from rag.catalog import documents, versions, writing
from rag.catalog.collections import get_collection
from rag.catalog.versions import Version
from rag.catalog.writing import Write
from rag.errors import Conflict, RagError, Rejected
from rag.filters import And, Eq
from rag.given import same
from rag.ports import Index
from rag.runtime import Runtime
from rag.types import Chunk, Metadata, chunk_id
from rag.vectors import Batch

LEASE_S = 900.0
TRIES = 5
"""Times that another writer may be faster."""


async def describe(runtime: Runtime, document_id: str, given: Metadata) -> bool:
    """Put metadata in the place of those that were given before; tell whether that was a change.

    Raise `NotFound`, `Rejected` when rows are damaged, `Conflict` when others keep changing it.
    """
    for _ in range(TRIES):
        version = await runtime.catalog.read(versions.live_version, document_id)
        if same(version.given, given):
            return False
        if await _rewrite(runtime, version, given):
            return True
    raise Conflict("the document is changed by others all the time", retry_after=5)


async def tidy(runtime: Runtime, tenant: str, collection: str) -> None:
    """Clear away what a new version replaced; what cannot go now goes with the next write."""
    with suppress(RagError):
        found = await runtime.catalog.read(get_collection, tenant, collection)
        cache = open_cache(runtime.settings)
        try:
            await drain(runtime, found.id, cache)
        finally:
            await cache.close()


async def _rewrite(runtime: Runtime, version: Version, given: Metadata) -> bool:
    """Write a version under a new attempt; tell whether it became visible."""
    catalog, generation = runtime.catalog, version.generation
    index = await runtime.index(generation)
    (write,) = await catalog.write(
        writing.begin, generation.id, [_write(version, given)], lease_s=LEASE_S
    )
    try:
        subjects = sorted(await catalog.read(documents.readers, version.document_id))
        moved = await _move(index, version, write, subjects)
        won = False
        if moved == version.chunks:
            (won,) = await catalog.write(writing.commit, generation.id, [write])
        else:
            await catalog.write(writing.abandon, generation.id, [write])
    except BaseException:
        await catalog.write(writing.abandon, generation.id, [write])
        raise
    if won:
        await _follow_readers(runtime, index, version.document_id, subjects)
    elif moved != version.chunks:
        now = await catalog.read(versions.live_version, version.document_id)
        if now.attempt == version.attempt:
            raise Rejected(
                f"{version.chunks - moved} rows of document {version.document_id} cannot be read",
                hint="run: rag doctor --fix",
            )
    return won


async def _move(index: Index, version: Version, write: Write, subjects: Sequence[str]) -> int:
    """Copy the rows of a version to the attempt of a write; return how many there were."""
    fields: Metadata = {
        **version.metadata,
        **(write.given or {}),
        "tenant": version.tenant,
        "subjects": list(subjects),
        "document": version.document_id,
        "attempt": write.attempt,
        "uri": version.uri,
        "title": version.title,
    }
    mine = And((Eq("document", version.document_id), Eq("attempt", version.attempt)))
    count = 0
    async for batch in index.scan(mine):
        chunks = [_moved(version, write, chunk) for chunk in batch.chunks]
        await index.upsert(Batch(chunks, [fields] * len(chunks), batch.dense, batch.sparse))
        count += len(chunks)
    return count


def _moved(version: Version, write: Write, chunk: Chunk) -> Chunk:
    new = chunk_id(version.generation.id, version.document_id, write.attempt, chunk.ordinal)
    return replace(chunk, id=new, attempt=write.attempt)


def _write(version: Version, given: Metadata) -> Write:
    return Write(
        document_id=version.document_id,
        collection_id=version.generation.collection_id,
        source_id=version.source_id,
        external_id=version.external_id,
        uri=version.uri,
        access=None,
        fingerprint=version.fingerprint,
        digest=version.digest,
        text_digest=version.text_digest,
        title=version.title,
        metadata=version.metadata,
        chunks=version.chunks,
        terms=version.terms,
        expected=version.attempt,
        original_digest=version.original_digest,
        container=version.container,
        given=given,
    )


async def _follow_readers(
    runtime: Runtime, index: Index, document_id: str, written: Sequence[str]
) -> None:
    """Bring rows level with readers that changed while the rows were written."""
    now = sorted(await runtime.catalog.read(documents.readers, document_id))
    if now != list(written):
        await index.patch(Eq("document", document_id), {"subjects": now})
