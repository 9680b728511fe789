"""The stages that windows of documents pass: embed, then store and commit.

Knows the order and the commit protocol. Where and how stages run in parallel is the engine's; how
files become documents is the reader's.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from indexers.cached_embedder import CachedEmbedder
from indexers.chunking import ChunkSpec
from indexers.planning import reason
from indexers.prepared import Embedded, Prepared, Progress
from indexers.reading import Cutter
from indexers.vector_cache import VectorCache
from rag.blobs import Blobs, content_digest
from rag.catalog import documents, writing
from rag.catalog.database import Catalog
from rag.catalog.statistics import pack_terms
from rag.catalog.writing import Write
from rag.errors import RagError, Unavailable
from rag.places import places_within
from rag.ports import Changed, Index
from rag.runtime import Runtime
from rag.types import Block, Chunk, Collection, Metadata, Source, Span, chunk_id, name_uuid
from rag.vectors import Batch, SparseMatrix

WINDOW_TOKENS = 32_768
"""Tokens of one window, the unit of commit: about two seconds of embedding on two cores."""
WINDOW_DOCUMENTS = 512
LEASE_S = 900.0


async def windows(
    documents: AsyncIterator[Prepared], stop: asyncio.Event
) -> AsyncIterator[Sequence[Prepared]]:
    """Gather documents into windows, the unit of commit; the last is left out on `stop`."""
    window: list[Prepared] = []
    tokens = 0
    async for prepared in documents:
        window.append(prepared)
        tokens += prepared.tokens
        if tokens >= WINDOW_TOKENS or len(window) >= WINDOW_DOCUMENTS:
            yield window
            window, tokens = [], 0
    if window and not stop.is_set():
        yield window


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages for one source of one collection, with all they need."""

    collection: Collection
    source: Source
    catalog: Catalog
    texts: Blobs
    originals: Blobs
    index: Index
    cached: CachedEmbedder
    cutter: Cutter
    progress: Progress
    restores: bool = False
    """What is written was here before: whoever may read it now stays so."""
    incomplete: set[str] = field(default_factory=set)
    """External ids of files of which a part could not be written."""

    # --- embed -----------------------------------------------------------------------------------

    async def embed(self, window: Sequence[Prepared]) -> list[Embedded]:
        """Embed a window; if it is refused, its documents one by one, so that only bad ones fail.

        An embedder that is away fails the run: its documents are not to blame.
        """
        texts = [span.embedded_text for prepared in window for span in prepared.spans]
        owners = [self._document_id(p.change) for p in window for _ in p.spans]
        try:
            embedded = await self.cached.embed_passages(texts, owners)
        except Unavailable:
            raise
        except RagError as exc:
            if len(window) == 1:
                self._fail(window[0], reason(exc))
                return []
            parts = [await self.embed([prepared]) for prepared in window]
            return [part for single in parts for part in single]
        self.progress.tokens += embedded.tokens
        return [Embedded(window, embedded.vectors)]

    # --- store and commit ------------------------------------------------------------------------

    async def store(self, embedded: Embedded) -> None:
        """Put a window's chunks into the store under fresh attempts, then make them visible."""
        generation = self.collection.live.id
        begun = asyncio.ensure_future(
            self.catalog.write(
                writing.begin,
                generation,
                [self._write(prepared) for prepared in embedded.window],
                lease_s=LEASE_S,
            )
        )
        try:
            writes = await asyncio.shield(begun)  # else a cancelled one leaves attempts open
            await asyncio.to_thread(self._keep, writes, embedded.window)
            await self.index.upsert(self._batch(writes, embedded))
            won = await self.catalog.write(writing.commit, generation, writes)
        except BaseException:
            await self.catalog.write(writing.abandon, generation, await begun)
            raise
        lost = [write.document_id for write, wins in zip(writes, won, strict=True) if not wins]
        there = await self.catalog.read(documents.digests, generation, lost) if lost else {}
        for prepared, write, wins in zip(embedded.window, writes, won, strict=True):
            self._count(prepared, write, wins, there.get(write.document_id))

    def _write(self, prepared: Prepared) -> Write:
        change, document = prepared.change, prepared.document
        return Write(
            document_id=self._document_id(change),
            collection_id=self.collection.id,
            source_id=self.source.id,
            external_id=change.external_id,
            uri=change.uri,
            access=None if self.restores else change.access,
            fingerprint=change.fingerprint,
            digest=prepared.digest,
            text_digest=content_digest(prepared.parsed),
            original_digest=None if prepared.original is None else prepared.digest,
            title=document.title or change.external_id.rsplit("/", 1)[-1] or change.external_id,
            metadata={**document.metadata, **change.metadata},  # the source's word stands
            chunks=len(prepared.spans),
            terms=pack_terms(prepared.sparse),
            expected=prepared.known.attempt if prepared.known is not None else None,
            container=prepared.container,
            given=change.given,
        )

    def _document_id(self, change: Changed) -> str:
        return name_uuid("document", self.source.id, change.external_id)

    def _keep(self, writes: Sequence[Write], window: Sequence[Prepared]) -> None:
        pairs = list(zip(writes, window, strict=True))
        self.texts.put_all([(write.document_id, prepared.parsed) for write, prepared in pairs])
        kept = [(write, p.original) for write, p in pairs if p.original is not None]
        self.originals.put_all(
            [(write.document_id, blob.content or b"") for write, blob in kept if blob.path is None]
        )
        for write, blob in kept:
            if blob.path is not None:
                self.originals.put_file(write.document_id, blob.path, write.digest)

    def _batch(self, writes: Sequence[Write], embedded: Embedded) -> Batch:
        chunks: list[Chunk] = []
        fields: list[Metadata] = []
        for write, prepared in zip(writes, embedded.window, strict=True):
            row: Metadata = {
                **write.metadata,
                **_given(prepared),
                "tenant": self.collection.tenant,
                "subjects": sorted(prepared.change.access),
                "document": write.document_id,
                "attempt": write.attempt,
                "uri": write.uri,
                "title": write.title,
            }
            document = prepared.document
            starts = [block.start for block in document.blocks]
            for ordinal, span in enumerate(prepared.spans):
                chunks.append(
                    Chunk(
                        id=chunk_id(
                            self.collection.live.id, write.document_id, write.attempt, ordinal
                        ),
                        document_id=write.document_id,
                        attempt=write.attempt,
                        ordinal=ordinal,
                        start=span.start,
                        end=span.end,
                        text=document.text[span.start : span.end],
                        heading=span.heading,
                        outline=_headings_within(document.blocks, starts, span),
                        places=places_within(document.places, document.text, span.start, span.end),
                    )
                )
                fields.append(row)
        sparse = SparseMatrix.stack([prepared.sparse for prepared in embedded.window])
        return Batch(chunks, fields, embedded.dense, sparse)

    # --- counting --------------------------------------------------------------------------------

    def _count(self, prepared: Prepared, write: Write, wins: bool, there: str | None) -> None:
        if not wins and there != write.digest:
            self._fail(prepared, "another run changed it meanwhile; ingest again")
            return
        self._done(prepared)
        if not wins:  # another run committed the same content first
            self.progress.unchanged += 1
            return
        self.progress.chunks += write.chunks
        if prepared.known is None:
            self.progress.added += 1
        else:
            self.progress.updated += 1

    def _fail(self, prepared: Prepared, why: str) -> None:
        self.incomplete.add(prepared.container or prepared.change.external_id)
        self.progress.failures.append((prepared.change.uri, why))
        self._done(prepared)

    def _done(self, prepared: Prepared) -> None:
        if prepared.container is None:
            self.progress.files_done += 1
            self.progress.bytes_done += prepared.change.size


def _given(prepared: Prepared) -> Metadata:
    """Return what a person gave, now or before: commits fail when that has changed meanwhile."""
    if prepared.change.given is not None:
        return prepared.change.given
    return prepared.known.given if prepared.known is not None else {}


def _headings_within(
    blocks: Sequence[Block], starts: Sequence[int], span: Span
) -> tuple[tuple[int, int, str], ...]:
    inside = blocks[bisect_left(starts, span.start) : bisect_left(starts, span.end)]
    return tuple((b.start, b.level, b.label) for b in inside if b.level and b.label)


def open_pipeline(
    runtime: Runtime,
    collection: Collection,
    *,
    source: Source,
    index: Index,
    cache: VectorCache,
    progress: Progress,
    restores: bool = False,
) -> Pipeline:
    """Take the parts that the collection's live generation pinned; raise `IndexMismatch`."""
    generation = collection.live
    embedder = runtime.embedder(generation)
    kept = cache if runtime.settings.vector_cache.enabled else None
    return Pipeline(
        collection=collection,
        source=source,
        catalog=runtime.catalog,
        texts=runtime.texts,
        originals=runtime.originals,
        index=index,
        cached=CachedEmbedder(embedder, kept, collection.tenant),
        cutter=Cutter(
            embedder,
            runtime.sparse_encoder(generation),
            ChunkSpec(**generation.chunker.options),
            progress,
        ),
        progress=progress,
        restores=restores,
    )
