"""From a question to verified hits: embed, search per signal, verify, fuse, fetch.

Every candidate is verified against the catalog before fusion, so a deleted, replaced or forbidden
chunk can neither appear nor shift the scores of others. Knows ports and the catalog, no backend.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy.engine import Connection

from rag.catalog.collections import live_generation
from rag.catalog.documents import Described, described, described_intact, visible
from rag.catalog.statistics import frequencies
from rag.errors import Rejected, UserError
from rag.filters import EVERYTHING, And, Filter, matches
from rag.fusion import Fused, fuse, reciprocal_rank
from rag.ports import Candidates, Embedder, Reranker, SparseEncoder
from rag.settings import Retrieval as RetrievalSettings
from rag.types import Candidate, Chunk, Generation, Hit, Query, Retrieved
from rag.vectors import Search

P = ParamSpec("P")
T = TypeVar("T")

MAX_ROUNDS = 3
"""Searches of growing depth after the first, while verification leaves fewer than k."""
SPARE = 20
"""Rows beyond k where one signal decides, in place of those that verification takes out."""


class Reading(Protocol):
    """The catalog, as far as searches need it."""

    async def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit of work that only reads, on one consistent snapshot."""
        ...


class Rows(Protocol):
    """The rows of a generation, as far as searches need them."""

    async def search(self, search: Search) -> Candidates:
        """Return up to `depth` best rows per signal among those that match the filter."""
        ...

    async def fetch(self, chunk_ids: Sequence[str]) -> dict[str, Chunk]:
        """Return the chunks that exist among these ids, and are still what was written."""
        ...


class Pipelines(Protocol):
    """What a generation pinned, opened: provided by the runtime."""

    async def index(self, generation: Generation) -> Rows:
        """Open the generation's index."""
        ...

    def embedder(self, generation: Generation) -> Embedder:
        """Open the generation's embedder."""
        ...

    def sparse_encoder(self, generation: Generation) -> SparseEncoder:
        """Open the generation's sparse encoder."""
        ...

    def named_reranker(self, name: str) -> Reranker:
        """Open a configured reranker."""
        ...


@dataclass(frozen=True, slots=True)
class _Round:
    """What one search gave after verification."""

    fused: Sequence[Fused]
    """The best k."""
    stale: bool
    """A candidate was an old attempt of a document that has a newer one."""
    exhausted: bool
    """The index has no further candidates."""
    lost: bool
    """The index holds rows that it cannot read."""


class Retrieval:
    """Answers queries over the live generations of collections."""

    def __init__(
        self,
        catalog: Reading,
        pipelines: Pipelines,
        settings: RetrievalSettings,
        *,
        dense_weight: float,
        reranker: str | None = None,
    ) -> None:
        """Take the weight of the dense signal, and who reranks where a query names nobody."""
        self._reranker = reranker
        self._catalog = catalog
        self._pipelines = pipelines
        self._settings = settings
        self._weights = {"dense": dense_weight, "sparse": 1.0 - dense_weight}

    async def search(self, query: Query) -> Retrieved:
        """Return at most k hits, best first; never silently fewer (`partial` says so)."""
        if not query.text.strip():
            raise UserError("the query is empty", hint="ask in at least one word")
        if query.k < 1:
            raise UserError(f"k is {query.k}", hint="ask for at least one hit")
        name = query.reranker or self._reranker
        if name is None:
            return await self._search(query)
        reranker = self._pipelines.named_reranker(name)
        wider = replace(query, k=max(query.k, self._settings.rerank_depth))
        found = await self._search(wider)
        return replace(found, hits=await _reranked(reranker, query, found.hits))

    async def _search(self, query: Query) -> Retrieved:
        generation, counts = await self._catalog.read(self._prepare, query)
        search, unread = await self._encode(query, generation, counts)
        index = await self._pipelines.index(generation)
        hits: list[Hit] = []
        retried_stale = False
        depth, rounds = search.depth, 0
        while True:
            found = await self._round(index, generation, query, search, depth)
            hits = await self._fetch(index, generation, found.fused)
            stale = found.stale or len(hits) < len(found.fused)
            if stale and not retried_stale:
                retried_stale = True
                continue
            if len(hits) >= query.k or found.exhausted or rounds == MAX_ROUNDS:
                break
            if depth < self._settings.depth:
                depth = self._settings.depth
            else:
                depth, rounds = depth * 2, rounds + 1
        # Fewer than were found: damaged, or deleted this very moment, twice.
        damaged = found.lost or len(hits) < len(found.fused)
        missing = damaged or (len(hits) < query.k and not found.exhausted)
        return Retrieved(tuple(hits), generation, counts, partial=missing, unread=unread)

    def _prepare(self, connection: Connection, query: Query) -> tuple[Generation, dict[int, int]]:
        """Read the live generation and how common the question's terms are, in one snapshot."""
        generation = live_generation(connection, query.principal.tenant, query.collection)
        terms = self._pipelines.sparse_encoder(generation).terms(query.text)
        return generation, frequencies(connection, generation.id, terms.tolist())

    async def _encode(
        self, query: Query, generation: Generation, counts: Mapping[int, int]
    ) -> tuple[Search, bool]:
        """Encode the question for the signals of its mode; tell whether it is unreadable."""
        unread = False
        dense = sparse = None
        if query.mode != "sparse":
            embedder = self._pipelines.embedder(generation)
            unread = embedder.unknown_share([query.text]) > self._settings.unknown_share
            if query.mode == "dense" or not unread:
                dense = (await embedder.embed([query.text], "query")).vectors
        if query.mode != "dense":
            sparse = self._pipelines.sparse_encoder(generation).weigh_query(
                query.text, chunks=generation.chunks, frequencies=counts
            )
        scope = query.principal.scope
        where: Filter = scope if query.where == EVERYTHING else And((scope, query.where))
        # Signals that are scaled and added need many rows to agree on the scale; one does not.
        both = dense is not None and sparse is not None
        depth = max(self._settings.depth, query.k)
        if not both:
            depth = min(depth, query.k + SPARE)
        return Search(depth, where, dense, sparse, query.exact), unread

    async def _round(
        self, index: Rows, generation: Generation, query: Query, search: Search, depth: int
    ) -> _Round:
        """Search once and keep what the catalog lets the caller see."""
        candidates = await index.search(replace(search, depth=depth))
        both = (*candidates.dense, *candidates.sparse)
        attempts, metadata = await self._catalog.read(
            _verify, generation.id, {c.document_id for c in both}, query
        )
        signals = {
            name: [
                c
                for c in rows
                if attempts.get(c.document_id) == c.attempt
                and (metadata is None or _satisfies(query.where, metadata.get(c.document_id)))
            ]
            for name, rows in _signals(query, candidates)
        }
        combine = fuse if self._settings.fusion == "convex" else reciprocal_rank
        return _Round(
            fused=combine(signals, self._weights, limit=query.k),
            stale=any(attempts.get(c.document_id, -1) > c.attempt for c in both),
            exhausted=all(len(rows) < depth for _, rows in _signals(query, candidates)),
            lost=candidates.lost > 0,
        )

    async def _fetch(self, index: Rows, generation: Generation, rows: Sequence[Fused]) -> list[Hit]:
        """Return the hits of these rows, without those that were deleted since verification."""
        chunks, facts = await asyncio.gather(
            index.fetch([row.chunk_id for row in rows]),
            self._catalog.read(described_intact, generation.id, {row.document_id for row in rows}),
        )
        return [
            _hit(row, facts[row.document_id], chunks[row.chunk_id])
            for row in rows
            if row.chunk_id in chunks and row.document_id in facts
        ]


async def _reranked(reranker: Reranker, query: Query, hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """Return the k hits that the reranker puts first; equal ones keep their order."""
    if not hits:
        return ()
    scores = (await reranker.score(query.text, [hit.chunk.text for hit in hits])).tolist()
    if len(scores) != len(hits) or not all(map(math.isfinite, scores)):
        raise Rejected(f"the reranker gave no finite score for each of {len(hits)} passages")
    order = sorted(range(len(hits)), key=lambda i: -scores[i])[: query.k]
    return tuple(
        replace(hits[i], score=scores[i], signals={**hits[i].signals, "rerank": scores[i]})
        for i in order
    )


def _verify(
    connection: Connection, generation_id: str, document_ids: Collection[str], query: Query
) -> tuple[dict[str, int], dict[str, Described] | None]:
    """Read what the caller may see and, when the query filters, the current metadata."""
    attempts = visible(connection, generation_id, document_ids, query.principal)
    if query.where == EVERYTHING:
        return attempts, None
    return attempts, described(connection, generation_id, attempts)


def _signals(query: Query, candidates: Candidates) -> list[tuple[str, Sequence[Candidate]]]:
    both = [("dense", candidates.dense), ("sparse", candidates.sparse)]
    return [(name, rows) for name, rows in both if query.mode in (name, "hybrid")]


def _satisfies(where: Filter, document: Described | None) -> bool:
    """Apply the user's filter to the current metadata."""
    if document is None:
        return False
    return matches(where, {"uri": document.uri, "title": document.title, **document.metadata})


def _hit(row: Fused, document: Described, chunk: Chunk) -> Hit:
    return Hit(
        chunk=chunk,
        uri=document.uri,
        title=document.title,
        metadata=document.metadata,
        score=row.score,
        signals=row.signals,
    )
