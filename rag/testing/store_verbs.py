"""What every index does with rows: write, change, remove, read back.

Knows the contract of `rag.ports.Index`; searching stands in `store_searches`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from rag.errors import IndexMismatch
from rag.filters import EVERYTHING, Compare, Eq, Exists, Filter, In, Not, kind
from rag.ports import Index
from rag.testing.store_backends import Backend
from rag.testing.store_samples import batch, one_term, query_row, random_fields
from rag.types import Metadata
from rag.vectors import Batch, Search, SparseMatrix


async def scanned(index: Index, where: Filter = EVERYTHING, *, size: int = 1000) -> list[Batch]:
    """Read all batches of a scan."""
    parts = [part async for part in index.scan(where, size=size)]
    assert all(1 <= len(part.chunks) <= size for part in parts), "an empty or oversized batch"
    return parts


async def ids(index: Index, where: Filter = EVERYTHING) -> set[str]:
    """Return the chunk ids that a scan gives."""
    return {chunk.id for part in await scanned(index, where) for chunk in part.chunks}


def rows_by_id(batches: Sequence[Batch]) -> dict[str, tuple[Any, ...]]:
    """Take batches apart into comparable rows; kinds of values are part of what is compared."""
    return {
        chunk.id: (
            chunk,
            exactly(part.fields[i]),
            part.dense[i].tobytes(),
            part.sparse.row(i)[0].tobytes(),
            part.sparse.row(i)[1].tobytes(),
        )
        for part in batches
        for i, chunk in enumerate(part.chunks)
    }


def exactly(fields: Metadata) -> dict[str, object]:
    """Return fields in which 1 and `True` differ."""
    return {
        name: [(kind(v), v) for v in value] if isinstance(value, list) else (kind(value), value)
        for name, value in fields.items()
    }


# --- writing -------------------------------------------------------------------------------------


async def test_upsert_replaces_by_id(backend: Backend, tmp_path: Path) -> None:
    first, other = batch(6, sparse=one_term(6)), batch(6, seed=1, sparse=one_term(6, term=8))
    changed = replace(
        other,
        chunks=[replace(chunk, text=f"new {chunk.text}", attempt=99) for chunk in other.chunks],
        fields=[{**fields, "meta.new": True} for fields in other.fields],
    )
    async with backend.index(tmp_path) as index:
        await index.upsert(first)
        await index.search(Search(3, EVERYTHING, sparse=query_row([7])))
        await index.upsert(changed)
        assert await index.count(EVERYTHING) == 6
        assert rows_by_id(await scanned(index)) == rows_by_id([changed])
        found = await index.search(Search(10, EVERYTHING, sparse=query_row([8]), exact=True))
        assert {(c.chunk_id, c.attempt) for c in found.sparse} == {(c.id, 99) for c in other.chunks}
        assert not (await index.search(Search(10, EVERYTHING, sparse=query_row([7])))).sparse


async def test_the_last_of_equal_ids_stays(backend: Backend, tmp_path: Path) -> None:
    rows = batch(2)
    twice = replace(rows, chunks=[replace(chunk, id=rows.chunks[0].id) for chunk in rows.chunks])
    async with backend.index(tmp_path) as index:
        await index.upsert(twice)
        assert await index.count(EVERYTHING) == 1
        assert (await index.fetch([rows.chunks[0].id]))[rows.chunks[0].id] == twice.chunks[1]


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "a\0b", None, {"a": 1}, [[1]], ["a", None], b"x"]
)
async def test_a_bad_row_refuses_the_whole_batch(
    backend: Backend, tmp_path: Path, value: Any
) -> None:
    before = batch(3)
    after = batch(8, seed=1)
    bad = replace(after, fields=[*after.fields[:-1], {**after.fields[-1], "meta.bad": value}])
    async with backend.index(tmp_path) as index:
        await index.upsert(before)
        with pytest.raises(IndexMismatch):
            await index.upsert(bad)
        with pytest.raises(IndexMismatch):
            await index.patch(EVERYTHING, {"meta.bad": value})
        assert rows_by_id(await scanned(index)) == rows_by_id([before])


async def test_vectors_that_do_not_fit_are_refused(backend: Backend, tmp_path: Path) -> None:
    before = batch(3)
    nan, shuffled = one_term(3, weight=float("nan")), one_term(3)
    shuffled = SparseMatrix(
        np.array([0, 2, 4, 6]),
        np.array([1, 2, 3, 4, 6, 5], np.uint32),
        np.ones(6, np.float32),
    )
    async with backend.index(tmp_path) as index:
        await index.upsert(before)
        for bad in (
            batch(3, dim=5, seed=1),
            batch(3, dim=3, seed=1),
            batch(3, seed=1, sparse=nan),
            batch(3, seed=1, sparse=shuffled),
        ):
            with pytest.raises(IndexMismatch):
                await index.upsert(bad)
        assert rows_by_id(await scanned(index)) == rows_by_id([before])


async def test_no_rows_are_no_error(backend: Backend, tmp_path: Path) -> None:
    async with backend.index(tmp_path) as index:
        await index.upsert(batch(0))
        assert await index.count(EVERYTHING) == 0
        assert await scanned(index) == []
        assert await index.delete(EVERYTHING) == 0
        assert await index.patch(EVERYTHING, {"title": "x"}) == 0
        found = await index.search(
            Search(5, EVERYTHING, dense=batch(1).dense, sparse=query_row([7]))
        )
        assert (found.dense, found.sparse) == ((), ())


async def test_delete_removes_what_matches(backend: Backend, tmp_path: Path) -> None:
    rows = batch(20, sparse=one_term(20))
    search = Search(50, Not(Eq("title", "x")), dense=rows.dense[:1], sparse=query_row([7]))
    async with backend.index(tmp_path) as index:
        await index.upsert(rows)
        assert len((await index.search(search)).dense) == 20
        assert await index.delete(Eq("attempt", 4)) == 4
        found = await index.search(search)
        left = {1, 2, 3, 5}
        assert {c.attempt for c in found.dense} == {c.attempt for c in found.sparse} == left
        assert await index.delete(In("attempt", [2, 4, 77])) == 4
        assert await index.delete(In("attempt", [2, 4, 77])) == 0
        assert await index.delete(Eq("document", rows.chunks[0].document_id)) == 4
        assert await index.delete(Compare("meta.ordinal", "lt", 1)) == 2
        assert await ids(index) == {rows.chunks[i].id for i in (9, 10, 11, 17, 18, 19)}
        assert await index.delete(EVERYTHING) == 6
        assert await index.count(EVERYTHING) == 0


async def test_a_condition_on_text_does_not_meet_numbers(backend: Backend, tmp_path: Path) -> None:
    """Reserved fields have columns of their own in some stores; they mean what `matches` says."""
    rows = batch(8)
    odd = [{**fields, "attempt": "1", "document": 5} for fields in rows.fields[:4]]
    async with backend.index(tmp_path) as index:
        await index.upsert(replace(rows, fields=[*odd, *rows.fields[4:]]))
        first, second = rows.chunks[0].document_id, rows.chunks[4].document_id
        assert await index.count(Eq("attempt", 1)) == 0
        assert await index.count(Eq("attempt", "1")) == 4
        assert await index.count(Eq("attempt", 2.0)) == 4
        assert await index.count(In("attempt", ["2", True, 2.5])) == 0
        assert await index.count(In("document", [first, second])) == 4
        assert await index.count(Eq("document", 5)) == 4
        assert await index.delete(In("attempt", [1, 2])) == 4
        assert await index.delete(Eq("document", first)) == 0


async def test_patch_keeps_the_other_fields(backend: Backend, tmp_path: Path) -> None:
    rows = batch(12, sparse=one_term(12))
    document = rows.chunks[4].document_id
    changes: Metadata = {"subjects": ["group:new", "user:b"], "meta.added": 1.5, "title": "日本"}
    expected = rows_by_id(
        [
            replace(
                rows,
                fields=[
                    {**fields, **changes} if chunk.document_id == document else fields
                    for chunk, fields in zip(rows.chunks, rows.fields, strict=True)
                ],
            )
        ]
    )
    async with backend.index(tmp_path) as index:
        await index.upsert(rows)
        search = Search(
            20, Eq("subjects", "group:new"), dense=rows.dense[:1], sparse=query_row([7])
        )
        assert (await index.search(search)).sparse == ()
        assert await index.patch(Eq("document", document), changes) == 4
        assert await index.patch(Eq("meta.added", 2), {"title": "nobody"}) == 0
        assert rows_by_id(await scanned(index)) == expected
        found = await index.search(search)
        patched = {chunk.id for chunk in rows.chunks[4:8]}
        assert {c.chunk_id for c in found.dense} == {c.chunk_id for c in found.sparse} == patched
        assert await index.count(Eq("subjects", "user:owner")) == 8
        assert await index.count(Not(Exists("meta.added"))) == 8


# --- reading back --------------------------------------------------------------------------------


async def test_fetch_returns_what_exists(backend: Backend, tmp_path: Path) -> None:
    rows, others = batch(10), batch(3, first=50)
    async with backend.index(tmp_path) as index:
        await index.upsert(rows)
        asked = [others.chunks[0].id, *(chunk.id for chunk in rows.chunks), rows.chunks[0].id]
        assert await index.fetch(asked) == {chunk.id: chunk for chunk in rows.chunks}
        assert await index.fetch([]) == {}
        assert await index.fetch([others.chunks[1].id]) == {}


async def test_scan_yields_every_row_once_and_unchanged(backend: Backend, tmp_path: Path) -> None:
    rng = random.Random(3)
    rows = batch(25, dim=7)
    rows = replace(rows, fields=[random_fields(rng, chunk) for chunk in rows.chunks])
    async with backend.index(tmp_path, dim=7) as index:
        await index.upsert(rows)
        orders = []
        for size in (1, 7, 25, 1000):
            parts = await scanned(index, size=size)
            orders.append([chunk.id for part in parts for chunk in part.chunks])
            assert len(orders[-1]) == 25
            assert rows_by_id(parts) == rows_by_id([rows])
        assert all(order == orders[0] for order in orders), "the order depends on the batch size"
        assert await ids(index, Eq("tenant", "other")) == {
            chunk.id
            for chunk, fields in zip(rows.chunks, rows.fields, strict=True)
            if fields["tenant"] == "other"
        }


async def test_what_is_read_is_not_what_is_kept(backend: Backend, tmp_path: Path) -> None:
    rows, subjects = batch(2), ["a"]
    mine = [{**fields, "subjects": subjects} for fields in rows.fields]
    async with backend.index(tmp_path) as index:
        await index.upsert(replace(rows, fields=mine))
        subjects.append("b")
        (part,) = await scanned(index)
        cast("list[str]", part.fields[0]["subjects"]).append("c")
        assert await index.count(In("subjects", ["b", "c"])) == 0
