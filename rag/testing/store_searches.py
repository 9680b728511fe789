"""What every vector store answers: the reference's candidates, in its order.

Knows how close two float32 sums of the same products are; knows nothing of how stores find rows.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from rag.errors import IndexMismatch, Unsupported
from rag.filters import EVERYTHING, NOTHING, And, Compare, Eq, Filter, In, Not
from rag.ports import Index
from rag.testing.store_backends import Backend, reference
from rag.testing.store_samples import (
    batch,
    one_term,
    query_row,
    random_fields,
    sparse_rows,
    unit_rows,
)
from rag.types import Candidate
from rag.vectors import Batch, Search, SparseMatrix

TIE: Final = 1e-6
"""Scores closer than this may come in either order: sums of float32 differ in the last bits."""


def assert_best(got: Sequence[Candidate], full: Sequence[Candidate], depth: int) -> None:
    """Check candidates against the reference's whole ranking."""
    expected = {candidate.chunk_id: candidate for candidate in full}
    assert len({c.chunk_id for c in got}) == len(got) == min(depth, len(full))
    scores = []
    for candidate in got:
        assert candidate.chunk_id in expected, f"{candidate} does not match the filter"
        known = expected.pop(candidate.chunk_id)
        assert (candidate.document_id, candidate.attempt) == (known.document_id, known.attempt)
        assert candidate.score == pytest.approx(known.score, rel=1e-5, abs=1e-5)
        scores.append(known.score)
    left = max((candidate.score for candidate in expected.values()), default=-np.inf)
    scores.append(left)
    assert all(a >= b - TIE for a, b in pairwise(scores)), "not best first"


async def assert_same(index: Index, oracle: Index, search: Search) -> None:
    """Check one search, both signals, against the reference."""
    got = await index.search(replace(search, exact=True))
    full = await oracle.search(replace(search, depth=100_000))
    assert_best(got.dense, full.dense, search.depth)
    assert_best(got.sparse, full.sparse, search.depth)


async def test_searches_agree_with_the_reference(backend: Backend, tmp_path: Path) -> None:
    rng, numbers = np.random.default_rng(5), random.Random(5)
    rows = batch(120, dim=16, seed=5)
    rows = replace(rows, fields=[random_fields(numbers, chunk) for chunk in rows.chunks])
    wheres: list[Filter] = [
        EVERYTHING,
        Eq("tenant", "other"),
        And((Eq("tenant", "default"), In("subjects", ["public", "group:x"]))),
        Compare("attempt", "le", 2),
        Not(Compare("attempt", "le", 2)),
        Eq("document", rows.chunks[0].document_id),
        NOTHING,
    ]
    async with backend.index(tmp_path, dim=16) as index, reference(tmp_path, dim=16) as oracle:
        for start in range(0, 120, 40):
            part = take(rows, range(start, start + 40))
            await index.upsert(part)
            await oracle.upsert(part)
            for where in wheres:
                for depth in (1, 5, 39, 120, 500):
                    dense, sparse = unit_rows(rng, 1, 16), sparse_rows(rng, 1)
                    await assert_same(index, oracle, Search(depth, where, dense, sparse))
        only_dense = await index.search(Search(5, EVERYTHING, dense=dense))
        only_sparse = await index.search(Search(5, EVERYTHING, sparse=sparse_rows(rng, 1)))
        assert (len(only_dense.dense), only_dense.sparse) == (5, ())
        assert only_sparse.dense == ()


def take(rows: Batch, numbers: Sequence[int]) -> Batch:
    """Copy some rows of a batch."""
    return Batch(
        [rows.chunks[i] for i in numbers],
        [rows.fields[i] for i in numbers],
        np.ascontiguousarray(rows.dense[list(numbers)]),
        rows.sparse.take(numbers),
    )


async def test_filters_of_every_share(backend: Backend, tmp_path: Path) -> None:
    """Stores choose between ways to search by how many rows a filter leaves; all must agree."""
    rng, size = np.random.default_rng(8), 1200
    rows = batch(size, dim=8, fields=[{"meta.n": i} for i in rng.permutation(size).tolist()])
    async with backend.index(tmp_path, dim=8) as index, reference(tmp_path, dim=8) as oracle:
        for one in (index, oracle):
            await one.upsert(rows)
        for left in (1, 10, 30, 100, 600, 1100, 1199, 1200):
            where = Compare("meta.n", "lt", left)
            for depth in (5, 200):
                dense, sparse = unit_rows(rng, 1, 8), sparse_rows(rng, 1)
                await assert_same(index, oracle, Search(depth, where, dense, sparse))


async def test_searches_agree_after_changes(backend: Backend, tmp_path: Path) -> None:
    """Deleted, replaced and patched rows between searches, until most of what was is gone."""
    rng = np.random.default_rng(6)
    async with backend.index(tmp_path) as index, reference(tmp_path) as oracle:
        for step in range(12):
            for one in (index, oracle):
                await one.upsert(batch(30, seed=step, first=step * 17))
                await one.delete(Compare("attempt", "lt", step * 4))
                await one.patch(Eq("meta.ordinal", step % 4), {"meta.step": step})
            for where in (EVERYTHING, Compare("meta.step", "ge", step - 1)):
                dense, sparse = unit_rows(rng, 1, 4), sparse_rows(rng, 1)
                await assert_same(index, oracle, Search(9, where, dense, sparse))


@pytest.mark.parametrize("dim", [1, 2, 3, 384, 4096])
async def test_dimensions(backend: Backend, tmp_path: Path, dim: int) -> None:
    if dim > backend.capabilities.max_dim:
        return  # refusing it is tested with the other names
    rng = np.random.default_rng(dim)
    rows = batch(70, dim=dim, seed=dim)
    async with backend.index(tmp_path, dim=dim) as index, reference(tmp_path, dim=dim) as oracle:
        for one in (index, oracle):
            await one.upsert(rows)
        for depth in (3, 69):
            query = unit_rows(rng, 1, dim)
            await assert_same(index, oracle, Search(depth, EVERYTHING, dense=query))


@pytest.mark.parametrize("dim", [1, 3, 33])
async def test_ties_come_by_chunk_id(backend: Backend, tmp_path: Path, dim: int) -> None:
    """Equal vectors are common (boilerplate); they come in one order, however many there are."""
    rng = np.random.default_rng(dim)
    pool = unit_rows(rng, 3, dim)
    rows = batch(300, dim=dim, dense=pool[np.arange(300) % 3].copy(), sparse=one_term(300))
    order = rng.permutation(300)
    wheres: list[Filter] = [
        EVERYTHING,
        Compare("meta.ordinal", "ge", 2),
        In("attempt", [2, 3, 5]),
        Not(Eq("attempt", 7)),
    ]
    async with backend.index(tmp_path, dim=dim) as index, reference(tmp_path, dim=dim) as oracle:
        for one in (index, oracle):
            for start in range(0, 300, 100):
                await one.upsert(take(rows, order[start : start + 100].tolist()))
        for where in wheres:
            for depth in (1, 7, 100, 150, 299):
                search = Search(depth, where, pool[:1], query_row([7]), exact=True)
                got, want = await index.search(search), await oracle.search(search)
                assert [c.chunk_id for c in got.sparse] == [c.chunk_id for c in want.sparse]
                assert_groups_by_id(got.dense, rows)
                full = await oracle.search(replace(search, depth=300))
                assert_best(got.dense, full.dense, depth)
                assert_first_of_group(got.dense, full.dense)


def assert_groups_by_id(got: Sequence[Candidate], rows: Batch) -> None:
    """Check that rows with the same vector stand in the order of their ids."""
    vector = {c.id: rows.dense[i].tobytes() for i, c in enumerate(rows.chunks)}
    for a, b in pairwise(got):
        if vector[a.chunk_id] == vector[b.chunk_id]:
            assert a.chunk_id < b.chunk_id


def assert_first_of_group(got: Sequence[Candidate], full: Sequence[Candidate]) -> None:
    """Check that a cut through equal scores keeps the lowest ids."""
    if got:
        last = next(c.score for c in full if c.chunk_id == got[-1].chunk_id)
        tied = sorted(c.chunk_id for c in full if c.score == last)
        kept = sorted(set(tied) & {c.chunk_id for c in got})
        assert kept == tied[: len(kept)]


async def test_sparse_candidates_score_above_zero(backend: Backend, tmp_path: Path) -> None:
    one = np.float32(1)
    rows = [
        (np.array([1, 2], np.uint32), np.array([one, one])),
        (np.array([2, 2**32 - 1], np.uint32), np.array([-one, 2 * one])),
        (np.array([3], np.uint32), np.array([one])),
        (np.empty(0, np.uint32), np.empty(0, np.float32)),
        (np.array([0, 3], np.uint32), np.array([0 * one, 3 * one])),
    ]
    made = batch(5, sparse=SparseMatrix.from_rows(rows))
    names = [chunk.id for chunk in made.chunks]

    async def found(index: Index, terms: list[int], weights: list[float]) -> list[str]:
        search = Search(10, EVERYTHING, sparse=query_row(terms, weights))
        return [c.chunk_id for c in (await index.search(search)).sparse]

    async with backend.index(tmp_path) as index:
        await index.upsert(made)
        assert await found(index, [1], [1]) == [names[0]]
        assert await found(index, [2], [1]) == [names[0]], "a score below zero is no match"
        assert await found(index, [1, 2], [1, -1]) == [names[1]], "nor is a score of zero"
        assert await found(index, [0], [1]) == []
        assert await found(index, [2**32 - 1], [0.5]) == [names[1]]
        assert await found(index, [3], [1]) == [names[4], names[2]]
        assert await found(index, [9], [1]) == []
        assert await found(index, [], []) == []


async def test_searches_that_do_not_fit_are_refused(backend: Backend, tmp_path: Path) -> None:
    rows = batch(5)
    nan = np.full((1, 4), np.nan, np.float32)
    wrong: list[Search] = [
        Search(3, EVERYTHING, dense=batch(1, dim=5).dense),
        Search(3, EVERYTHING, dense=rows.dense[:2]),
        Search(3, EVERYTHING, dense=nan),
        Search(3, EVERYTHING, dense=2 * rows.dense[:1]),
        Search(3, EVERYTHING, sparse=one_term(2)),
        Search(3, EVERYTHING, sparse=query_row([1, 2], [1, float("nan")])),
        Search(3, EVERYTHING, sparse=query_row([1], [float("inf")])),
        Search(3, EVERYTHING, sparse=query_row([2, 1])),
    ]
    async with backend.index(tmp_path) as index:
        await index.upsert(rows)
        for search in wrong:
            with pytest.raises(IndexMismatch):
                await index.search(search)
        for depth in (0, -1, backend.capabilities.max_k + 1):
            with pytest.raises(Unsupported):
                await index.search(Search(depth, EVERYTHING, dense=rows.dense[:1]))
        deepest = Search(backend.capabilities.max_k, EVERYTHING, dense=rows.dense[:1])
        assert len((await index.search(deepest)).dense) == 5
