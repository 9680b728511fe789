"""Retrieval on real parts: what the catalog hides is not found, and what it shows fills k."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from indexers import ingest as job
from rag.catalog import tables as t
from rag.catalog import writing
from rag.embedders.hashing import HashingEmbedder
from rag.errors import NotFound, UserError
from rag.filters import EVERYTHING, And, Compare, Eq, Filter, In, Not
from rag.ports import Candidates, Embedder, SparseEncoder
from rag.retrieval import SPARE, Pipelines, Retrieval
from rag.runtime import Runtime
from rag.settings import Retrieval as RetrievalSettings
from rag.types import Generation, Hit, Mode, Query, Retrieved, local_owner
from rag.vectors import Search

WEIGHT = 0.3
PAGES = 24
MODES: tuple[Mode, ...] = ("dense", "sparse", "hybrid")


class Parts:
    """What a generation pinned, with something else in the place of one part."""

    def __init__(self, runtime: Runtime, **others: Any) -> None:
        self._runtime = runtime
        self._others = others

    async def index(self, generation: Generation) -> Any:
        return self._others.get("index") or await self._runtime.index(generation)

    def embedder(self, generation: Generation) -> Embedder:
        embedder: Embedder = self._others.get("embedder") or self._runtime.embedder(generation)
        return embedder

    def sparse_encoder(self, generation: Generation) -> SparseEncoder:
        return self._runtime.sparse_encoder(generation)


class Interrupted:
    """An index during whose first searches something else happens."""

    def __init__(self, index: Any, *events: Callable[[], Awaitable[object]]) -> None:
        self._index = index
        self._events = list(events)
        self.depths: list[int] = []

    async def search(self, search: Search) -> Candidates:
        self.depths.append(search.depth)
        found: Candidates = await self._index.search(search)
        if self._events:
            await self._events.pop(0)()
        return found

    async def fetch(self, chunk_ids: Sequence[str]) -> Any:
        return await self._index.fetch(chunk_ids)


class Unreadable(HashingEmbedder):
    """An embedder to which every text is unknown tokens."""

    def unknown_share(self, texts: Sequence[str]) -> float:
        return 1.0


class World:
    """A collection of pages, of which page n has the word "shared" n + 1 times."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self.runtime = runtime
        self.folder = folder

    async def ingest(self) -> None:
        self.collection = await job.open_collection(self.runtime, "default", "docs")
        listings = await job.list_paths(self.runtime, self.collection, [self.folder], {})
        summary = await job.ingest(self.runtime, self.collection, listings)
        assert summary.failures == []
        self.collection = await job.open_collection(self.runtime, "default", "docs")

    def retrieval(self, parts: Pipelines | None = None, **given: Any) -> Retrieval:
        return Retrieval(
            self.runtime.catalog,
            parts or self.runtime,
            RetrievalSettings(**given),
            dense_weight=WEIGHT,
        )

    async def interrupted(self, *events: Callable[[], Awaitable[object]]) -> Interrupted:
        return Interrupted(await self.runtime.index(self.collection.live), *events)

    async def remove(self, hits: Sequence[Hit]) -> None:
        """Delete documents in the catalog alone: the store still has their rows."""
        gone = {hit.chunk.document_id: None for hit in hits}
        assert len(await self.runtime.catalog.write(writing.remove, gone, "request")) == len(gone)
        index = await self.runtime.index(self.collection.live)
        assert await index.count(In("document", list(gone))) == len(gone)


def query(text: str = "shared", **given: Any) -> Query:
    return Query(text, "docs", local_owner(), **given)


def names(found: Retrieved) -> list[str]:
    return [hit.uri.rpartition("/")[2] for hit in found.hits]


def scaled(scores: dict[str, float]) -> dict[str, float]:
    low, high = min(scores.values()), max(scores.values())
    return {id_: (score - low) / (high - low) for id_, score in scores.items()}


@pytest.fixture
async def world(runtime: Runtime, tmp_path: Path) -> World:
    folder = tmp_path / "docs"
    folder.mkdir()
    for n in range(PAGES):
        (folder / f"page{n:02}.md").write_text(
            f"---\nrank: {n}\nlang: {'en' if n % 2 else 'de'}\n---\n# Page {n}\n\n"
            f"{'shared ' * (n + 1)} {'filling ' * (PAGES - n)} own{n}.\n"
        )
    made = World(runtime, folder)
    await made.ingest()
    return made


# --- questions that cannot be asked --------------------------------------------------------------


async def test_a_question_needs_words_and_at_least_one_hit(world: World) -> None:
    for text in ("", " \n\t", "\u3000"):
        with pytest.raises(UserError, match="the query is empty"):
            await world.retrieval().search(query(text))
    for k in (0, -1):
        with pytest.raises(UserError, match=f"k is {k}"):
            await world.retrieval().search(query(k=k))


async def test_an_unknown_collection_is_named(world: World) -> None:
    with pytest.raises(NotFound, match="'elsewhere'"):
        await world.retrieval().search(Query("shared", "elsewhere", local_owner()))


# --- scores --------------------------------------------------------------------------------------


async def test_a_dense_score_is_the_cosine_of_question_and_chunk(world: World) -> None:
    found = await world.retrieval().search(query(mode="dense", k=PAGES))
    generation = world.collection.live
    asked = await world.runtime.embedder(generation).embed(["shared"], "query")
    index = await world.runtime.index(generation)
    cosines: dict[str, float] = {}
    async for batch in index.scan(EVERYTHING):
        values = batch.dense @ asked.vectors[0]
        cosines.update({c.id: float(v) for c, v in zip(batch.chunks, values, strict=True)})
    assert len(found.hits) == PAGES == len(cosines)
    assert {hit.chunk.id: hit.score for hit in found.hits} == pytest.approx(cosines, abs=1e-5)
    assert all(hit.signals == {"dense": hit.score} for hit in found.hits)


async def test_a_sparse_score_is_the_inner_product_of_terms(world: World) -> None:
    found = await world.retrieval().search(query("shared own7", mode="sparse", k=PAGES))
    generation = world.collection.live
    encoder = world.runtime.sparse_encoder(generation)
    row = encoder.weigh_query(
        "shared own7", chunks=generation.chunks, frequencies=found.frequencies
    )
    weights = dict(zip(row.terms.tolist(), row.weights.tolist(), strict=True))
    index = await world.runtime.index(generation)
    scores: dict[str, float] = {}
    async for batch in index.scan(EVERYTHING):
        for i, chunk in enumerate(batch.chunks):
            terms, values = (part.tolist() for part in batch.sparse.row(i))
            scores[chunk.id] = sum(
                weights.get(term, 0.0) * value for term, value in zip(terms, values, strict=True)
            )
    assert sorted(found.frequencies.values()) == [1, PAGES]
    assert {hit.chunk.id: hit.score for hit in found.hits} == pytest.approx(scores, rel=1e-4)
    assert names(found)[0] == "page07.md"


async def test_a_hybrid_score_weighs_the_scaled_signals(world: World) -> None:
    found = await world.retrieval().search(query("shared own7", k=PAGES))
    dense = scaled({h.chunk.id: h.signals["dense"] for h in found.hits if "dense" in h.signals})
    sparse = scaled({h.chunk.id: h.signals["sparse"] for h in found.hits if "sparse" in h.signals})
    assert len(dense) == len(sparse) == PAGES
    expected = {id_: WEIGHT * dense[id_] + (1 - WEIGHT) * sparse[id_] for id_ in dense}
    assert {hit.chunk.id: hit.score for hit in found.hits} == pytest.approx(expected, abs=1e-6)
    assert names(found)[0] == "page07.md"


async def test_fusion_by_ranks_is_a_setting(world: World) -> None:
    found = await world.retrieval(fusion="rrf").search(query("shared own7", k=PAGES))
    expected: dict[str, float] = dict.fromkeys((hit.chunk.id for hit in found.hits), 0.0)
    for signal, weight in (("dense", WEIGHT), ("sparse", 1 - WEIGHT)):
        scores = [hit.signals[signal] for hit in found.hits]
        for hit in found.hits:
            rank = 1 + sum(score > hit.signals[signal] for score in scores)
            expected[hit.chunk.id] += weight / (60 + rank)
    assert len(expected) == PAGES
    assert {hit.chunk.id: hit.score for hit in found.hits} == pytest.approx(expected)


async def test_hits_are_ordered_and_no_more_than_k(world: World) -> None:
    for mode in MODES:
        everything = await world.retrieval().search(query(mode=mode, k=1000))
        assert len({hit.chunk.id for hit in everything.hits}) == len(everything.hits) == PAGES
        assert not everything.partial
        scores = [hit.score for hit in everything.hits]
        assert scores == sorted(scores, reverse=True)
        some = await world.retrieval().search(query(mode=mode, k=5))
        assert names(some) == names(everything)[:5]


# --- verification --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
async def test_live_documents_fill_k_when_the_first_are_gone(world: World, mode: Mode) -> None:
    ranked = await world.retrieval().search(query(mode=mode, k=PAGES))
    await world.remove(ranked.hits[:6])
    index = await world.interrupted()
    retrieval = world.retrieval(Parts(world.runtime, index=index), depth=4)
    found = await retrieval.search(query(mode=mode, k=4))
    live = ranked.hits[6:]
    assert {h.chunk.id for h in found.hits} <= {h.chunk.id for h in live}
    assert len(found.hits) == 4
    assert not found.partial
    assert index.depths == [4, 8, 16]
    if mode != "hybrid":  # fused scores are relative to the candidates seen
        assert names(found) == [hit.uri.rpartition("/")[2] for hit in live[:4]]


async def test_one_signal_alone_needs_few_candidates(world: World) -> None:
    ranked = await world.retrieval().search(query(mode="dense", k=PAGES))
    index = await world.interrupted()
    retrieval = world.retrieval(Parts(world.runtime, index=index), depth=PAGES)
    few = await retrieval.search(query(mode="dense", k=1))
    assert names(few) == names(ranked)[:1]
    assert index.depths == [1 + SPARE]
    assert 1 + SPARE < PAGES
    await world.remove(ranked.hits[: SPARE + 1])
    found = await retrieval.search(query(mode="dense", k=1))
    assert index.depths[-2:] == [1 + SPARE, PAGES]
    assert names(found) == names(ranked)[SPARE + 1 :][:1]


async def test_the_hidden_do_not_shift_the_scores_of_the_seen(world: World) -> None:
    ranked = await world.retrieval().search(query(k=PAGES))
    await world.remove([*ranked.hits[:3], *ranked.hits[-3:]])
    found = await world.retrieval().search(query(k=PAGES))
    assert len(found.hits) == PAGES - 6
    for signal, weight in (("dense", WEIGHT), ("sparse", 1 - WEIGHT)):
        best = max(found.hits, key=lambda hit: hit.signals[signal])
        assert best.score >= weight - 1e-6  # the best one seen is the top of the scale


@pytest.mark.parametrize(("removed", "left", "partial"), [(7, 1, False), (8, 0, True)])
async def test_three_rounds_are_enough_or_it_says_so(
    world: World, removed: int, left: int, partial: bool
) -> None:
    ranked = await world.retrieval().search(query(mode="dense", k=PAGES))
    await world.remove(ranked.hits[:removed])
    index = await world.interrupted()
    retrieval = world.retrieval(Parts(world.runtime, index=index), depth=1)
    found = await retrieval.search(query(mode="dense", k=1))
    assert index.depths == [1, 2, 4, 8]
    assert (len(found.hits), found.partial) == (left, partial)


async def test_an_exhausted_index_is_not_partial(world: World) -> None:
    ranked = await world.retrieval().search(query(k=PAGES))
    await world.remove(ranked.hits[:-2])
    found = await world.retrieval().search(query(k=PAGES))
    assert {h.chunk.id for h in found.hits} == {h.chunk.id for h in ranked.hits[-2:]}
    assert not found.partial


# --- what happens meanwhile ----------------------------------------------------------------------


async def rewrite(world: World, name: str, text: str) -> None:
    (world.folder / name).write_text(text)
    await world.ingest()


@pytest.mark.parametrize("k", [1, 3])
async def test_a_version_committed_during_the_search_is_found(world: World, k: int) -> None:
    async def update() -> None:
        await rewrite(world, "page05.md", "# Page 5\n\nThe own5 word in a new version.\n")

    index = await world.interrupted(update)
    retrieval = world.retrieval(Parts(world.runtime, index=index))
    found = await retrieval.search(query("own5", mode="hybrid", k=k))
    assert names(found)[0] == "page05.md"
    assert "new version" in found.hits[0].chunk.text
    assert len(found.hits) == k
    assert len(index.depths) == 2  # searched again, although k was filled with others


async def test_a_document_deleted_during_the_search_is_not_found(world: World) -> None:
    async def delete() -> None:
        (world.folder / "page05.md").unlink()
        await world.ingest()

    parts = Parts(world.runtime, index=await world.interrupted(delete))
    found = await world.retrieval(parts).search(query("own5", mode="sparse"))
    assert found.hits == ()


async def test_a_right_taken_away_holds_from_the_commit_on(world: World) -> None:
    (hit,) = (await world.retrieval().search(query("own5", mode="sparse"))).hits
    await world.runtime.catalog.write(writing.set_access, hit.chunk.document_id, ("user:other",))
    index = await world.runtime.index(world.collection.live)
    mine = And((Eq("document", hit.chunk.document_id), local_owner().scope))
    assert await index.count(mine) == 1  # the store has not heard of it
    for mode in MODES:
        found = await world.retrieval().search(query("own5", mode=mode, k=PAGES))
        assert "page05.md" not in names(found)
        assert len(found.hits) == (0 if mode == "sparse" else PAGES - 1)


# --- questions the embedder cannot read ----------------------------------------------------------


async def test_an_unreadable_question_is_answered_by_words(world: World) -> None:
    parts = Parts(world.runtime, embedder=Unreadable(Unreadable.Options()))
    cases: tuple[tuple[Mode, set[str], bool], ...] = (
        ("hybrid", {"sparse"}, True),
        ("sparse", {"sparse"}, False),
        ("dense", {"dense"}, True),  # asked for by name
    )
    for mode, signals, unread in cases:
        found = await world.retrieval(parts).search(query("own5 shared", mode=mode))
        assert {name for hit in found.hits for name in hit.signals} == signals
        assert found.unread is unread
        readable = await world.retrieval().search(query("own5 shared", mode=mode))
        assert not readable.unread
        tolerant = world.retrieval(parts, unknown_share=1.0)
        assert not (await tolerant.search(query("own5", mode=mode))).unread


# --- filters -------------------------------------------------------------------------------------


FILTERS: tuple[tuple[Filter, Sequence[int]], ...] = (
    (Eq("meta.lang", "de"), range(0, PAGES, 2)),
    (Compare("meta.rank", "ge", 20), range(20, PAGES)),
    (Eq("meta.path", "page03.md"), [3]),
    (Eq("title", "Page 4"), [4]),
    (Not(In("title", [f"Page {n}" for n in range(2, PAGES)])), [0, 1]),
    (And((Eq("meta.lang", "en"), Compare("meta.rank", "lt", 4))), [1, 3]),
    (Eq("meta.lang", "fr"), []),
    (Eq("title", "page 4"), []),
)


async def test_filters_are_obeyed(world: World) -> None:
    for where, expected in FILTERS:
        for mode in MODES:
            found = await world.retrieval(depth=2).search(query(mode=mode, k=PAGES, where=where))
            assert sorted(names(found)) == [f"page{n:02}.md" for n in expected]


async def test_a_filter_on_the_address(world: World) -> None:
    uri = (world.folder.resolve() / "page09.md").as_uri()
    found = await world.retrieval().search(query(where=Eq("uri", uri)))
    assert [hit.uri for hit in found.hits] == [uri]


async def test_the_catalogs_metadata_decides(world: World) -> None:
    german = Eq("meta.lang", "de")
    before = await world.retrieval().search(query(k=PAGES, where=german))
    changed = before.hits[0].chunk.document_id
    await world.runtime.catalog.write(
        lambda c: c.execute(
            t.versions.update()
            .where(t.versions.c.document == changed)
            .values(metadata={"meta.lang": "en"})
        )
    )
    after = await world.retrieval().search(query(k=PAGES, where=german))
    assert {h.chunk.id for h in after.hits} == {h.chunk.id for h in before.hits[1:]}
