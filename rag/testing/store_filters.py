"""That every vector store means what `rag.filters.matches` means, in every verb.

Knows the traps that compilers of filters fell into; knows nothing of how a store compiles.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from rag.filters import (
    EVERYTHING,
    NOTHING,
    And,
    Compare,
    Eq,
    Exists,
    Filter,
    In,
    Not,
    Or,
    Value,
    matches,
)
from rag.ports import Index
from rag.testing.store_backends import Backend
from rag.testing.store_samples import (
    NAMES,
    batch,
    one_term,
    query_row,
    random_fields,
    random_filter,
)
from rag.testing.store_verbs import ids
from rag.types import Principal
from rag.vectors import Batch, Search


async def filled(index: Index, fields: list[dict[str, Value]]) -> Batch:
    """Store rows with these fields; a sparse search for term 7 finds every row."""
    rows = batch(len(fields), fields=fields, sparse=one_term(len(fields)))
    await index.upsert(rows)
    return rows


async def selected(index: Index, rows: Batch, where: Filter) -> list[int]:
    """Return the numbers of the rows that match, after all verbs agreed which."""
    found = await index.search(Search(len(rows.chunks), where, rows.dense[:1], query_row([7])))
    dense, sparse = ({c.chunk_id for c in part} for part in (found.dense, found.sparse))
    assert dense == sparse == await ids(index, where)
    assert await index.count(where) == len(dense)
    return [i for i, chunk in enumerate(rows.chunks) if chunk.id in dense]


KINDS: list[dict[str, Value]] = [
    {},
    {"f": 1},
    {"f": "1"},
    {"f": True},
    {"f": 0},
    {"f": ""},
    {"f": False},
    {"f": 1.5},
    {"f": []},
    {"f": [1, 2]},
    {"f": ["1", "a"]},
    {"f": [True]},
    {"f": [0.5, 3]},
    {"f": "true"},
]


MEANINGS: list[tuple[Filter, Sequence[int]]] = [
    (EVERYTHING, range(14)),
    (NOTHING, []),
    (In("f", ()), []),
    (Not(In("f", ())), range(14)),
    (And((NOTHING, EVERYTHING)), []),
    (Or((NOTHING, Eq("f", 1))), [1, 9]),
    (Eq("f", 1), [1, 9]),
    (Eq("f", 1.0), [1, 9]),
    (Eq("f", "1"), [2, 10]),
    (Eq("f", True), [3, 11]),
    (Eq("f", 0), [4]),
    (Eq("f", False), [6]),
    (Eq("f", ""), [5]),
    (Eq("f", "true"), [13]),
    (Exists("f"), range(1, 14)),
    (Not(Exists("f")), [0]),
    (Not(Eq("f", 1)), [0, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13]),
    (Not(Eq("f", True)), [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 12, 13]),
    (Not(Eq("f", "1")), [0, 1, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13]),
    (Not(Eq("f", 0)), [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13]),
    (Not(Eq("f", False)), [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13]),
    (Compare("f", "gt", 0), [1, 7, 9, 12]),
    (Compare("f", "ge", 0), [1, 4, 7, 9, 12]),
    (Compare("f", "lt", 1), [4, 12]),
    (Compare("f", "le", 1), [1, 4, 9, 12]),
    (And((Compare("f", "gt", 2), Compare("f", "lt", 1))), [12]),
    (Not(Compare("f", "ge", 0)), [0, 2, 3, 5, 6, 8, 10, 11, 13]),
    (Compare("f", "lt", float("inf")), [1, 4, 7, 9, 12]),
    (Compare("g", "lt", 1), []),
    (Not(Eq("g", "x")), range(14)),
    (Not(Not(Eq("f", "a"))), [10]),
]


async def test_filters_select_by_kind_and_content(backend: Backend, tmp_path: Path) -> None:
    async with backend.index(tmp_path) as index:
        rows = await filled(index, KINDS)
        for where, expected in (*MEANINGS, *reversed(MEANINGS)):  # no answer shapes the next
            assert await selected(index, rows, where) == list(expected), where


async def test_filters_delete_what_they_select(backend: Backend, tmp_path: Path) -> None:
    async with backend.index(tmp_path) as index:
        for where, expected in MEANINGS:
            rows = await filled(index, KINDS)
            gone = {rows.chunks[i].id for i in expected}
            assert await index.delete(where) == len(gone), where
            assert await ids(index) == {chunk.id for chunk in rows.chunks} - gone, where


async def test_any_name_is_only_a_name(backend: Backend, tmp_path: Path) -> None:
    async with backend.index(tmp_path) as index:
        for name in (*NAMES, "meta.x" * 40, "\U0001f9ea", "id", "rowid", "seq", "_id"):
            rows = await filled(index, [{}, {name: name}, {name: [name, "x"]}, {"other": name}])
            assert await selected(index, rows, Eq(name, name)) == [1, 2]
            assert await selected(index, rows, Exists(name)) == [1, 2]
            assert await selected(index, rows, Not(Eq(name, "x"))) == [0, 1, 3]
            assert await index.patch(Eq("other", name), {name: 3}) == 1
            assert await selected(index, rows, Compare(name, "gt", 2)) == [3]


async def test_who_is_nobody_sees_nothing(backend: Backend, tmp_path: Path) -> None:
    fields: list[dict[str, Value]] = [
        {"tenant": tenant, "subjects": subjects}
        for tenant in ("a", "b")
        for subjects in ([], ["public"], ["user:x", "group:y"])
    ]
    async with backend.index(tmp_path) as index:
        rows = await filled(index, fields)
        for subjects, seen in (((), []), (("public",), [1]), (("public", "group:y"), [1, 2])):
            scope = Principal("a", frozenset(subjects)).scope
            assert await selected(index, rows, And((scope, EVERYTHING))) == seen


async def test_random_filters_mean_what_matches_means(backend: Backend, tmp_path: Path) -> None:
    rows, expectations = sampled_filters()
    telling = sum(0 < len(expected) < len(rows.chunks) for _, expected in expectations)
    assert telling > 600, f"only {telling} of 2000 filters split the rows: too little is tested"
    async with backend.index(tmp_path, dim=2) as index:
        await index.upsert(rows)
        for number, (where, expected) in enumerate(expectations):
            found = await index.search(Search(150, where, sparse=query_row([7])))
            assert {c.chunk_id for c in found.sparse} == expected, where
            if number % 10 == 0:
                assert await index.count(where) == len(expected), where


@cache
def sampled_filters() -> tuple[Batch, list[tuple[Filter, set[str]]]]:
    """Draw 150 rows and 2,000 filters, each with the rows that it means."""
    rng = random.Random(11)
    rows = batch(150, dim=2, sparse=one_term(150))
    rows = replace(rows, fields=[random_fields(rng, chunk) for chunk in rows.chunks])
    filters = [random_filter(rng) for _ in range(2000)]
    return rows, [(where, expected_ids(rows, where)) for where in filters]


def expected_ids(rows: Batch, where: Filter) -> set[str]:
    """Ask `matches` row by row."""
    pairs = zip(rows.chunks, rows.fields, strict=True)
    return {chunk.id for chunk, fields in pairs if matches(where, fields)}
