"""What optimizing and repairing an index never change: its answers.

Knows the contract of `rag.ports.Index`; what damage a store survives is its own to test.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rag.filters import EVERYTHING, NOTHING, Compare, Eq, Filter, Not
from rag.ports import Index, IndexSpec
from rag.testing.store_backends import Backend, fresh_name, reference
from rag.testing.store_samples import (
    batch,
    one_term,
    query_row,
    random_fields,
    sparse_rows,
    unit_rows,
)
from rag.testing.store_searches import assert_same
from rag.testing.store_verbs import rows_by_id, scanned
from rag.vectors import Search

WHERES: tuple[Filter, ...] = (EVERYTHING, Not(Eq("tenant", "other")), NOTHING)


async def assert_answers(index: Index, oracle: Index, *, seed: int) -> None:
    """Compare all that can be asked, and that nothing is said to be lost."""
    rng = np.random.default_rng(seed)
    assert rows_by_id(await scanned(index)) == rows_by_id(await scanned(oracle))
    for where in WHERES:
        search = Search(7, where, unit_rows(rng, 1, 4), sparse_rows(rng, 1))
        await assert_same(index, oracle, search)
        assert (await index.search(search)).lost == 0


@pytest.mark.parametrize("verb", ["optimize", "repair"])
async def test_upkeep_changes_no_answer(backend: Backend, tmp_path: Path, verb: str) -> None:
    rng = random.Random(3)
    async with backend.index(tmp_path) as index, reference(tmp_path) as oracle:

        async def keep_up(seed: int) -> None:
            for _ in range(2):
                assert not await getattr(index, verb)()
                await assert_answers(index, oracle, seed=seed)

        await keep_up(0)
        for step in range(4):
            rows = batch(40, seed=step, first=step * 25)
            rows = replace(rows, fields=[random_fields(rng, chunk) for chunk in rows.chunks])
            for one in (index, oracle):
                await one.upsert(rows)
                await one.patch(Eq("attempt", 3 * step + 2), {"title": "patched"})
                await one.delete(Compare("attempt", "lt", 4 * step))
            await keep_up(step)
        for one in (index, oracle):
            await one.delete(EVERYTHING)
        await keep_up(9)


async def test_every_handle_sees_upkeep(shared: Backend, tmp_path: Path) -> None:
    """One optimizes and repairs while the other has the index open, and both go on writing."""
    one, other, name = shared.store(tmp_path), shared.store(tmp_path), fresh_name()
    search = Search(500, EVERYTHING, batch(1).dense, query_row([7]))
    try:
        writer = await one.create(IndexSpec(name, 4))
        reader = await other.open(name)
        for step in range(6):
            await writer.upsert(batch(20, first=step * 20, sparse=one_term(20)))
            await reader.search(search)
            await (reader.optimize() if step % 2 else writer.repair())
            await writer.optimize()
            assert await reader.delete(Eq("attempt", step * 5 + 1)) == 4
            for handle in (writer, reader):
                found = await handle.search(search)
                assert len(found.dense) == len(found.sparse) == (step + 1) * 16
    finally:
        await one.drop(name)
        await other.close()
        await one.close()
