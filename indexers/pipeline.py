"""The stages that a document passes: fetch, parse, chunk, encode; embed; store and commit.

Knows the order and the commit protocol. Where and how stages run in parallel is the engine's.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from indexers.cached_embedder import CachedEmbedder
from indexers.chunking import ChunkSpec, chunk
from indexers.parsing import parse
from indexers.planning import reason
from indexers.vector_cache import VectorCache
from rag.blobs import Blobs, content_digest
from rag.catalog import documents, writing
from rag.catalog.database import Catalog
from rag.catalog.documents import Known
from rag.catalog.statistics import pack_terms
from rag.catalog.writing import Write
from rag.errors import RagError, Unavailable, UnreadableDocument
from rag.parsed import pack_document
from rag.ports import Changed, Connector, Embedder, Index, SparseEncoder
from rag.runtime import Runtime
from rag.types import (
    Batch,
    Blob,
    Chunk,
    Collection,
    Document,
    Matrix,
    Metadata,
    Source,
    Span,
    SparseMatrix,
    chunk_id,
    name_uuid,
)

WINDOW_TOKENS = 32_768
"""Tokens of one window, the unit of commit: about two seconds of embedding on two cores."""
WINDOW_DOCUMENTS = 512
LEASE_S = 900.0
SAMPLE = 16
"""Texts per window whose readability is measured."""


@dataclass(slots=True)
class Progress:
    """How far a run is; engines count, whoever shows it reads."""

    files: int = 0
    """To fetch."""
    bytes: int = 0
    files_done: int = 0
    bytes_done: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    chunks: int = 0
    tokens: int = 0
    """Embedded in this run; a vector found in the cache costs none."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    unknown: float = 0.0
    """Sum of unreadable shares over `sampled` texts."""
    sampled: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document ready to be embedded."""

    change: Changed
    known: Known | None
    digest: str
    original: bytes | None
    """The content, where the source cannot give it again."""
    document: Document
    parsed: bytes
    """The document as it is kept."""
    spans: Sequence[Span]
    sparse: SparseMatrix
    tokens: int


@dataclass(frozen=True, slots=True)
class Embedded:
    """A window with its vectors, rows in the order of documents and spans."""

    window: Sequence[Prepared]
    dense: Matrix


class Content(NamedTuple):
    """A blob whose bytes are in memory, and their digest: what is parsed is what was digested."""

    blob: Blob
    digest: str


async def read(connector: Connector, change: Changed) -> Content:
    """Fetch a document's bytes once."""
    blob = await connector.fetch(change)
    content = await asyncio.to_thread(blob.read)
    digest = hashlib.sha256(content).hexdigest()
    return Content(replace(blob, path=None, content=content), digest)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages for one source of one collection, with all they need."""

    collection: Collection
    source: Source
    connector: Connector
    catalog: Catalog
    texts: Blobs
    originals: Blobs
    index: Index
    embedder: Embedder
    cached: CachedEmbedder
    sparse: SparseEncoder
    spec: ChunkSpec
    progress: Progress
    restores: bool = False
    """What is written was here before: whoever may read it now stays so."""
    access: list[Changed] = field(default_factory=list)
    """Found on the way: the same content, other readers."""

    # --- fetch, parse, chunk, encode -------------------------------------------------------------

    async def windows(
        self, changes: Sequence[Changed], known: Mapping[str, Known], stop: asyncio.Event
    ) -> AsyncIterator[Sequence[Prepared]]:
        """Prepare documents and yield them in windows; stops early, without the last, on `stop`."""
        window: list[Prepared] = []
        touched: dict[str, tuple[int, str]] = {}
        tokens = 0
        for change in changes:
            if stop.is_set():
                break
            prepared = await self._prepare(change, known.get(change.external_id), touched)
            if prepared is None:
                continue
            window.append(prepared)
            tokens += prepared.tokens
            if tokens >= WINDOW_TOKENS or len(window) >= WINDOW_DOCUMENTS:
                yield window
                window, tokens = [], 0
        await self.catalog.write(writing.touch, self.collection.live.id, touched)
        if window and not stop.is_set():
            yield window

    async def _prepare(
        self, change: Changed, known: Known | None, touched: dict[str, tuple[int, str]]
    ) -> Prepared | None:
        """Return a document ready to embed, or None when it is unchanged or failed."""
        try:
            blob, digest = await read(self.connector, change)
            if known is not None and known.digest == digest:
                touched[known.document_id] = known.attempt, change.fingerprint
                if known.access != frozenset(change.access):
                    self.access.append(change)
                else:
                    self.progress.unchanged += 1
                self._done(change)
                return None
            return await asyncio.to_thread(self._read, change, known, digest, blob)
        except Exception as exc:  # noqa: BLE001 - one bad document must not stop the others
            self._fail(change, exc)
        return None

    def _read(self, change: Changed, known: Known | None, digest: str, blob: Blob) -> Prepared:
        """Parse, chunk and encode; everything here computes, so it runs in a thread."""
        document = next(iter(parse(blob)))
        if not isinstance(document, Document):
            raise UnreadableDocument("a file that contains files is not opened by this version")
        original = None if self.connector.repeatable else blob.read()
        return self.cut(change, known, digest, original, document)

    def cut(
        self,
        change: Changed,
        known: Known | None,
        digest: str,
        original: bytes | None,
        document: Document,
    ) -> Prepared:
        """Chunk and encode a parsed document."""
        spans = chunk(document, self.spec, self.embedder.count_tokens)
        texts = [span.embedded_text for span in spans]
        sample = texts[:: max(1, len(texts) // SAMPLE)][:SAMPLE]
        if sample:
            self.progress.unknown += self.embedder.unknown_share(sample) * len(sample)
            self.progress.sampled += len(sample)
        tokens = sum(span.tokens for span in spans)
        return Prepared(
            change=change,
            known=known,
            digest=digest,
            original=original,
            document=document,
            parsed=pack_document(document),
            spans=spans,
            sparse=self.sparse.encode(texts),
            tokens=tokens,
        )

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
                self._fail(window[0].change, exc)
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
            title=document.title or change.external_id.rsplit("/", 1)[-1],
            metadata={**document.metadata, **change.metadata},  # the source's word stands
            chunks=len(prepared.spans),
            terms=pack_terms(prepared.sparse),
            expected=prepared.known.attempt if prepared.known is not None else None,
        )

    def _document_id(self, change: Changed) -> str:
        return name_uuid("document", self.source.id, change.external_id)

    def _keep(self, writes: Sequence[Write], window: Sequence[Prepared]) -> None:
        pairs = list(zip(writes, window, strict=True))
        self.texts.put_all([(write.document_id, prepared.parsed) for write, prepared in pairs])
        self.originals.put_all(
            [
                (write.document_id, prepared.original)
                for write, prepared in pairs
                if prepared.original is not None
            ]
        )

    def _batch(self, writes: Sequence[Write], embedded: Embedded) -> Batch:
        chunks: list[Chunk] = []
        fields: list[Metadata] = []
        for write, prepared in zip(writes, embedded.window, strict=True):
            row: Metadata = {
                **write.metadata,
                "tenant": self.collection.tenant,
                "subjects": sorted(prepared.change.access),
                "document": write.document_id,
                "attempt": write.attempt,
                "uri": write.uri,
                "title": write.title,
            }
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
                        text=prepared.document.text[span.start : span.end],
                        heading=span.heading,
                    )
                )
                fields.append(row)
        sparse = SparseMatrix.stack([prepared.sparse for prepared in embedded.window])
        return Batch(chunks, fields, embedded.dense, sparse)

    # --- counting --------------------------------------------------------------------------------

    def _count(self, prepared: Prepared, write: Write, wins: bool, there: str | None) -> None:
        self._done(prepared.change)
        if wins:
            self.progress.chunks += write.chunks
            if prepared.known is None:
                self.progress.added += 1
            else:
                self.progress.updated += 1
        elif there == write.digest:  # another run committed the same content first
            self.progress.unchanged += 1
        else:
            self.progress.failures.append(
                (write.uri, "another run changed it meanwhile; ingest again")
            )

    def _fail(self, change: Changed, error: Exception) -> None:
        self.progress.failures.append((change.uri, reason(error)))
        self._done(change)

    def _done(self, change: Changed) -> None:
        self.progress.files_done += 1
        self.progress.bytes_done += change.size


def open_pipeline(
    runtime: Runtime,
    collection: Collection,
    *,
    source: Source,
    connector: Connector,
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
        connector=connector,
        catalog=runtime.catalog,
        texts=runtime.texts,
        originals=runtime.originals,
        index=index,
        embedder=embedder,
        cached=CachedEmbedder(embedder, kept, collection.tenant),
        sparse=runtime.sparse_encoder(generation),
        spec=ChunkSpec(**generation.chunker.options),
        progress=progress,
        restores=restores,
    )
