"""What outlives a store object: rows after reopening, and writes that others see at once.

Knows stores that keep their rows, and those that claim to be shared between processes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from rag.errors import RagError
from rag.filters import EVERYTHING, Compare, Eq
from rag.ports import Index, IndexSpec
from rag.testing import store_process
from rag.testing.store_backends import Backend, fresh_name
from rag.testing.store_samples import batch, one_term, query_row
from rag.testing.store_verbs import rows_by_id, scanned
from rag.vectors import Search


async def test_rows_outlive_the_store(lasting: Backend, tmp_path: Path) -> None:
    rows, name = batch(40, sparse=one_term(40)), fresh_name()
    search = Search(15, Compare("meta.ordinal", "ge", 1), rows.dense[:1], query_row([7]))
    store = lasting.store(tmp_path)
    index = await store.create(IndexSpec(name, 4))
    await index.upsert(rows)
    await index.patch(Eq("attempt", 3), {"title": "patched"})
    await index.delete(Eq("attempt", 2))
    before, stored = await index.search(search), rows_by_id(await scanned(index))
    await index.close()
    await index.close()
    await store.close()
    store = lasting.store(tmp_path)
    try:
        assert name in await store.names()
        index = await store.open(name)
        assert await index.search(search) == before
        assert rows_by_id(await scanned(index)) == stored
        assert await index.count(Eq("title", "patched")) == 4
    finally:
        await store.drop(name)
        await store.close()


async def seen(index: Index, title: str = "") -> tuple[int, int]:
    """Count the rows, and those with the title, as searches see them."""
    wheres = (EVERYTHING, Eq("title", title))
    found = [await index.search(Search(5000, w, sparse=query_row([7]))) for w in wheres]
    return len(found[0].sparse), len(found[1].sparse)


async def test_two_handles_see_each_other(shared: Backend, tmp_path: Path) -> None:
    one, other, name = shared.store(tmp_path), shared.store(tmp_path), fresh_name()
    try:
        writer = await one.create(IndexSpec(name, 4))
        reader = await other.open(name)
        for step in range(5):
            rows = batch(8, first=step * 8, sparse=one_term(8))
            await writer.upsert(rows)
            assert await seen(reader) == (step * 4 + 8, 0)
            assert await reader.delete(Eq("document", rows.chunks[0].document_id)) == 4
            assert await seen(writer) == (step * 4 + 4, 0)
        assert await reader.patch(Compare("attempt", "ge", 8), {"title": "new"}) == 8
        assert await seen(writer, "new") == (20, 8)
    finally:
        await one.drop(name)
        await other.close()
        await one.close()


async def test_a_dropped_index_takes_no_more_rows(shared: Backend, tmp_path: Path) -> None:
    one, other, name = shared.store(tmp_path), shared.store(tmp_path), fresh_name()
    try:
        await one.create(IndexSpec(name, 4))
        stale = await other.open(name)
        await stale.upsert(batch(4))
        await one.drop(name)
        assert not await survives(stale)
        fresh = await one.create(IndexSpec(name, 4))
        assert not await survives(stale) or await fresh.count(EVERYTHING) == 4
    finally:
        await one.drop(name)
        await other.close()
        await one.close()


async def survives(index: Index) -> bool:
    """Try to write; what is refused must be refused with an error of the house."""
    try:
        await index.upsert(batch(4))
    except RagError:
        return False
    return True


async def test_processes_share_an_index(shared: Backend, tmp_path: Path) -> None:
    """Three writers at once, two of them other processes: nobody's rows are lost or unseen."""
    store, name = shared.store(tmp_path), fresh_name()
    step = store_process.STEP
    try:
        index = await store.create(IndexSpec(name, 4))
        await index.upsert(batch(step, sparse=one_term(step)))
        assert await seen(index) == (step, 0)
        await asyncio.gather(
            run_writer(shared, tmp_path, name, first=step, count=5 * step),
            run_writer(shared, tmp_path, name, first=6 * step, count=5 * step),
            store_process.write(shared, tmp_path, name, first=11 * step, count=5 * step),
        )
        assert await seen(index, "patched") == (step + 15 * (step - 4), 15 * 4)
        assert await index.count(EVERYTHING) == step + 15 * (step - 4)
    finally:
        await store.drop(name)
        await store.close()


async def run_writer(backend: Backend, folder: Path, name: str, *, first: int, count: int) -> None:
    """Run `store_process` to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", store_process.__name__, backend.name, json.dumps(dict(backend.options))),
        *(str(folder), name, str(first), str(count)),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
