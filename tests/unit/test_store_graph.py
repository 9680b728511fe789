"""The graph against exact search: recall, filters, rows beside it, dead rows, its stored form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from indexers.stores.faiss import FaissStore
from indexers.stores.faiss_following import Sizes
from indexers.stores.faiss_graph import Graph
from indexers.stores.faiss_vectors import FlatVectors
from indexers.stores.selection import Selection
from rag.filters import EVERYTHING
from rag.ports import IndexSpec
from rag.testing.store_backends import Backend
from rag.testing.store_samples import batch, unit_rows
from rag.testing.vector_stores import (
    test_every_handle_sees_upkeep,
    test_random_histories,
    test_upkeep_changes_no_answer,
)
from rag.vectors import Matrix, Search

__all__ = [
    "test_every_handle_sees_upkeep",
    "test_random_histories",
    "test_upkeep_changes_no_answer",
]
ROWS, DIM = 20_000, 48
QUERIES = 25


class Small(Backend):
    """The embedded store with snapshots and graphs from the first row on."""

    def store(self, folder: Path) -> FaissStore:
        sizes = Sizes(tail_rows=0, tail_share=0.3, graph_rows=1)
        return FaissStore(FaissStore.Options(), folder, sizes=sizes)


@pytest.fixture
def backend() -> Backend:
    return Small("faiss")


@pytest.fixture
def shared() -> Backend:
    return Small("faiss")


def clustered(rng: np.random.Generator, n: int, *, noise: float = 0.6) -> Matrix:
    """Draw unit vectors about 300 centres, and every twentieth one of ten that are all equal."""
    centres = unit_rows(np.random.default_rng(1), 300, DIM)
    rows = centres[rng.integers(0, 300, n)] + noise * unit_rows(rng, n, DIM)
    rows[::20] = centres[rng.integers(0, 10, len(rows[::20]))]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows, np.float32)


@pytest.fixture(scope="module")
def linked() -> tuple[FlatVectors, Matrix]:
    """Rows of which the last tenth is beside the graph, which was made in two steps."""
    data = clustered(np.random.default_rng(2), ROWS)
    vectors = FlatVectors(DIM)
    vectors.add(data[: ROWS // 2])
    vectors.link()
    vectors.add(data[ROWS // 2 : ROWS * 9 // 10])
    vectors.link()
    vectors.add(data[ROWS * 9 // 10 :])
    assert np.array_equal(vectors.all(), data)
    return vectors, data


def recall(
    vectors: FlatVectors, data: Matrix, mask: npt.NDArray[np.bool_], depth: int
) -> tuple[float, int]:
    """Compare with exact search; return the mean share found, and how often the graph was used."""
    among, shares, used = Selection(mask), [], 0
    for query in clustered(np.random.default_rng(3), QUERIES, noise=0.8):
        truth = np.where(mask, data @ query, -np.inf)
        wanted = min(depth, among.count)
        rows, scores = vectors.candidates(query[None], depth, among, exact=False)
        assert mask[rows].all()
        assert len(set(rows.tolist())) == len(rows) >= wanted
        assert scores.tolist() == np.vecdot(data[rows], query).tolist()
        least = np.sort(truth)[::-1][max(wanted, 1) - 1]  # equal rows: any of them
        shares.append(min(1, (np.count_nonzero(scores >= least - 1e-6) + 1e-9) / (wanted + 1e-9)))
        used += vectors._near(query[None], depth, among) is not None
    return float(np.mean(shares)), used


@pytest.mark.parametrize("depth", [10, 200])
@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.01, 0.001, 0.0])
def test_recall_of_every_share(
    linked: tuple[FlatVectors, Matrix], depth: int, share: float
) -> None:
    vectors, data = linked
    found, used = recall(vectors, data, np.random.default_rng(4).random(ROWS) < share, depth)
    assert found >= 0.95
    assert used > QUERIES / 2 if share >= 0.5 else used == 0


@pytest.mark.parametrize("side", ["near", "far"])
def test_filters_that_choose_by_place(linked: tuple[FlatVectors, Matrix], side: str) -> None:
    """All rows allowed stand together, where the walk goes or where it does not."""
    vectors, data = linked
    for query in clustered(np.random.default_rng(5), 3):
        nearness = data @ query
        mask = nearness > np.median(nearness)
        found, _ = recall(vectors, data, mask if side == "near" else ~mask, 50)
        assert found >= 0.95


def test_dead_rows_lead_nowhere_and_hide_nothing(linked: tuple[FlatVectors, Matrix]) -> None:
    """In a snapshot dead rows have no vector: a third of the graph's places is blank."""
    vectors, data = linked
    stored = vectors.stored_graph()
    assert stored is not None
    for dead in (
        np.random.default_rng(6).random(ROWS) < 0.33,
        data @ data[7] > np.quantile(data @ data[7], 0.67),
    ):
        blank = data.copy()
        blank[dead] = 0
        again = FlatVectors(DIM)
        again.add(blank)
        again.attach(stored)
        found, used = recall(again, blank, ~dead, 100)
        assert found >= 0.95
        assert used > QUERIES / 2


def test_a_stored_graph_finds_the_same(linked: tuple[FlatVectors, Matrix]) -> None:
    vectors, data = linked
    stored = vectors.stored_graph()
    assert stored is not None
    assert stored.nbytes < ROWS * 4 * 80, "the vectors are not in it"
    again = FlatVectors(DIM)
    again.add(data)
    again.attach(stored)
    among = Selection(np.ones(ROWS, np.bool_))
    for query in clustered(np.random.default_rng(7), 20):
        first, second = (
            v.candidates(query[None], 10, among, exact=False)[0] for v in (vectors, again)
        )
        assert first.tolist() == second.tolist()
    again.link()
    assert np.array_equal(again.all(), data)
    assert again._graph is not None
    assert again._graph.covered == ROWS


def test_too_few_found_means_scanning() -> None:
    """A walk that ends early (here: no links at all) must not pass for an answer."""
    vectors = FlatVectors(DIM)
    data = clustered(np.random.default_rng(8), 4000)
    vectors.add(data)
    vectors.link()
    assert isinstance(vectors._graph, Graph)
    vectors._graph._index.hnsw.clear_neighbor_tables(0)
    found, used = recall(vectors, data, np.ones(4000, np.bool_), 10)
    assert (found, used) == (1.0, 0)


async def test_exact_searches_never_walk_the_graph(tmp_path: Path) -> None:
    """Proved with a graph that leads astray: it was made for other rows."""
    store = Small("faiss").store(tmp_path)
    index = await store.create(IndexSpec("docs", DIM))
    data = clustered(np.random.default_rng(9), 3000)
    await index.upsert(batch(3000, dim=DIM, dense=data))
    await index.optimize()
    search = Search(10, EVERYTHING, data[:1])
    await index.search(search)
    mirror, other = index._mirror._mirror, FlatVectors(DIM)
    assert mirror is not None
    other.add(np.ascontiguousarray(data[::-1]))
    other.link()
    mirror._vectors._graph = other._graph
    best = np.sort(np.vecdot(data, data[0]))[::-1][:10].tolist()
    walked, scanned = [
        [c.score for c in (await index.search(replace(search, exact=exact))).dense]
        for exact in (False, True)
    ]
    assert scanned == pytest.approx(best)
    assert walked != pytest.approx(best)
    await store.close()
