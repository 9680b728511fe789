"""The parts of the mirror, each against the plain computation that it shortens."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from indexers.stores import faiss_file, faiss_rows
from indexers.stores.faiss_mirror import Mirror
from indexers.stores.faiss_vectors import FEW, FlatVectors
from indexers.stores.field_index import FieldIndex
from indexers.stores.narrowing import narrow
from indexers.stores.postings import Postings
from indexers.stores.row_codec import fields_of, rows_of
from indexers.stores.selection import Selection
from rag.filters import (
    EVERYTHING,
    And,
    Compare,
    Eq,
    Exists,
    Filter,
    In,
    Not,
    Or,
    Scalar,
    Value,
    matches,
)
from rag.testing.store_samples import (
    batch,
    chunks,
    one_term,
    query_row,
    random_fields,
    random_filter,
    sparse_rows,
    unit_rows,
)
from rag.vectors import Search, SparseMatrix

# --- postings ------------------------------------------------------------------------------------


def test_postings_are_inner_products() -> None:
    rng, postings = np.random.default_rng(1), Postings()
    parts: list[SparseMatrix] = []
    for size in (200, 0, 1, 1, 1, 30, 2, 2, 500, 7):
        parts.append(sparse_rows(rng, size))
        postings.add(parts[-1])
        terms, weights = sparse_rows(rng, 1).row(0)
        wanted = dict(zip(terms.tolist(), weights.tolist(), strict=True))
        expected = [
            sum(
                wanted.get(t, 0) * w for t, w in zip(*map(np.ndarray.tolist, p.row(i)), strict=True)
            )
            for p in parts
            for i in range(len(p))
        ]
        assert postings.scores(terms, weights) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_postings_without_terms() -> None:
    postings, nothing = Postings(), query_row([])
    assert len(postings.scores(*query_row([7]).row(0))) == 0
    postings.add(SparseMatrix.from_rows([nothing.row(0)] * 3))
    assert postings.scores(*query_row([0, 7, 2**32 - 1]).row(0)).tolist() == [0, 0, 0]
    postings.add(one_term(2, term=2**32 - 1))
    assert postings.scores(*query_row([0, 7, 2**32 - 1]).row(0)).tolist() == [0, 0, 0, 1, 1]
    assert postings.scores(*nothing.row(0)).tolist() == [0, 0, 0, 0, 0]


def test_postings_stay_in_few_segments() -> None:
    rng, postings = np.random.default_rng(2), Postings()
    query = query_row([0]).row(0)
    for _ in range(300):
        postings.add(one_term(int(rng.integers(1, 20))))
        postings.scores(*query)
    sizes = [len(segment.rows) for segment in postings._segments]
    assert all(before >= 2 * after for before, after in pairwise(sizes))
    assert len(sizes) <= 12


# --- fields --------------------------------------------------------------------------------------


def test_columns_mean_what_matches_means() -> None:
    rng, columns = random.Random(4), FieldIndex()
    rows = [random_fields(rng, chunk) for chunk in chunks(60)]
    rows += [{"meta.n": n} for n in (2**53 + 1, float(2**53), 2**70, -(2**70), 1e300)]
    rows += rows[:20]
    for fields in rows:
        columns.add(repr(fields), partial(dict, fields))
    bounds = [Compare("meta.n", "gt", 2**53), Compare("meta.n", "le", float(2**53 + 2))]
    bounds += [Compare("meta.n", "lt", b) for b in (float("inf"), float("-inf"), float("nan"))]
    filters: list[Filter] = [*bounds, Eq("meta.n", 2**70), Eq("meta.n", float("inf"))]
    for where in (*filters, *(random_filter(rng, depth=4) for _ in range(500))):
        assert columns.mask(where).tolist() == [matches(where, fields) for fields in rows], where


def test_columns_without_rows() -> None:
    for where in (EVERYTHING, Eq("a", 1), Not(Exists("a")), Compare("a", "lt", 1)):
        assert FieldIndex().mask(where).tolist() == []


# --- vectors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 5, 64])
@pytest.mark.parametrize("distinct", [1, 4, 40, 100_000])
def test_candidates_hold_the_best_and_their_ties(dim: int, distinct: int) -> None:
    rng = np.random.default_rng(dim)
    rows = 3000
    pool = unit_rows(rng, min(distinct, rows), dim)
    data = np.ascontiguousarray(pool[rng.integers(0, len(pool), rows)])
    vectors = FlatVectors(dim)
    for part in np.array_split(data, 7):
        vectors.add(part)
    query = unit_rows(rng, 1, dim)
    truth = np.array([np.dot(row, query[0]) for row in data])
    for share in (1.0, 1 - FEW / rows / 2, 0.5, 0.06, 0.02, 0.001):
        among = Selection(rng.random(rows) < share)
        allowed = np.flatnonzero(among.mask)
        for depth in (1, 10, 100, 2999):
            found, scores = vectors.candidates(query, depth, among)
            assert scores.tolist() == truth[found].tolist(), "a score depends on its vectors alone"
            assert len(set(found.tolist())) == len(found)
            last = np.sort(truth[allowed])[::-1][:depth][-1] if len(allowed) else 0
            assert set(allowed[truth[allowed] >= last].tolist()) <= set(found.tolist())
            assert set(found.tolist()) <= set(allowed.tolist())


def test_sums_that_differ_in_the_last_bits_are_all_candidates() -> None:
    """The same products summed in other orders: what FAISS finds best is not what is best."""
    rng, rows, dim = np.random.default_rng(8), 2000, 96
    values = unit_rows(rng, 1, dim)[0]
    data = np.stack([rng.permutation(values) for _ in range(rows)])
    vectors, query = FlatVectors(dim), np.full((1, dim), dim**-0.5, np.float32)
    vectors.add(data)
    truth = np.vecdot(data, query[0])
    assert len(set(truth.tolist())) > 3
    for depth in (1, 10, 1000):
        found, _ = vectors.candidates(query, depth, Selection(np.ones(rows, np.bool_)))
        assert set(np.flatnonzero(truth >= np.sort(truth)[-depth]).tolist()) <= set(found.tolist())


# --- all together --------------------------------------------------------------------------------


def test_dead_rows_ask_for_a_new_mirror() -> None:
    mirror = Mirror(4, removal=0)
    rows = list(rows_of(batch(30, sparse=one_term(30))))
    mirror.add(list(range(1, 31)), rows)
    mirror.forget([])
    mirror.forget([(i, i) for i in range(1, 11)])
    assert not mirror.crumbling
    found = mirror.search(Search(100, EVERYTHING, sparse=query_row([7])))
    assert {c.chunk_id for c in found.sparse} == {row.id for row in rows[10:]}
    mirror.forget([(11, 500), (12, 3)])
    assert not mirror.crumbling, "unknown and known removals change nothing"
    mirror.forget([(13, 30)])
    assert mirror.crumbling
    assert mirror.removal == 13


def test_masks_are_remembered_until_rows_change() -> None:
    mirror = Mirror(4, removal=0)
    mirror.add([1, 2], list(rows_of(batch(2, sparse=one_term(2)))))
    scope = And((Eq("tenant", "default"), In("subjects", ["user:owner", "public"])))
    first = mirror._select(And((scope, Eq("meta.ordinal", 0))))
    assert mirror._select(And((scope, Eq("meta.ordinal", 0)))) is first
    known = mirror._select(scope)
    mirror._select(And((scope, Eq("meta.ordinal", 1))))
    assert mirror._select(scope) is known
    for number in range(500):
        mirror._select(Not(Eq("meta.ordinal", number)))
    assert len(mirror._selections) <= 64
    assert mirror._select(scope).mask.tolist() == [True, True]
    mirror.forget([(1, 1)])
    assert mirror._select(scope).mask.tolist() == [False, True]


# --- narrowing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where",
    [
        Eq("document", "d"),
        Eq("attempt", 3),
        In("attempt", range(2000)),
        In("document", ["a", "b", "a\0b", "\ud800"]),
        And((Not(Exists("x")), In("attempt", [1, 2]))),
        And((And((Eq("document", "d"),)), EVERYTHING)),
        Or(()),
    ],
)
def test_common_filters_use_an_index(where: Filter) -> None:
    narrowed = narrow(where)
    with sqlite3.connect(":memory:") as connection:
        for statement in faiss_file.SCHEMA:
            connection.execute(statement)
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN SELECT seq FROM rows WHERE {narrowed.sql}", narrowed.parameters
        ).fetchall()
    connection.close()
    steps = [step[3] for step in plan]
    assert not any(step.startswith("SCAN rows") for step in steps) or narrowed.sql == "FALSE"


def test_narrowing_loses_no_row() -> None:
    rng = random.Random(9)
    rows = list(rows_of(replace(batch(60), fields=[random_fields(rng, c) for c in chunks(60)])))
    odd: dict[str, Value] = {"document": ["x"], "attempt": 2.0}
    bare: dict[str, Value] = {"attempt": True, "document": 1}
    rows += rows_of(batch(3, first=60, fields=[odd, {}, bare]))
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in faiss_file.SCHEMA:
        connection.execute(statement)
    connection.executemany(faiss_rows.INSERT, rows)
    attempts: list[Scalar] = [1, 2, 2.0, 3.5, True, "2", 2**80]
    documents: list[Scalar] = ["x", 1, rows[0].document + "\0", *(row.document for row in rows)]

    def leaf() -> Filter:
        name, values = rng.choice((("attempt", attempts), ("document", documents)))
        some = In(name, rng.sample(values, rng.randint(0, 3)))
        return rng.choice((some, *some.children, random_filter(rng)))

    for _ in range(400):
        leaves = tuple(leaf() for _ in range(rng.randint(1, 3)))
        where = rng.choice((leaves[0], And(leaves), Or(leaves)))
        expected = {row.id for row in rows if matches(where, fields_of(row))}
        assert faiss_rows.count(connection, where) == len(expected), where
        found = faiss_rows.page(connection, where, after="", size=1000)
        assert {row.id for row in found} == expected, where
    connection.close()
