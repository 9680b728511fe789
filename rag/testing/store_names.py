"""What every vector store does with names: create, open, list, drop, refuse.

Knows the contract of `rag.ports.VectorStore`; what is in an index stands in the other modules.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import IndexMismatch, NotFound, Unsupported, UserError
from rag.filters import EVERYTHING
from rag.ports import IndexSpec
from rag.testing.store_backends import Backend, fresh_name
from rag.testing.store_samples import batch


async def test_create_opens_what_exists(backend: Backend, tmp_path: Path) -> None:
    store, name = backend.store(tmp_path), fresh_name()
    try:
        await (await store.create(IndexSpec(name, 4))).upsert(batch(3))
        again = await store.create(IndexSpec(name, 4, filterable=("meta.lang",)))
        assert await again.count(EVERYTHING) == 3
        with pytest.raises(IndexMismatch):
            await store.create(IndexSpec(name, 5))
        assert await (await store.open(name)).count(EVERYTHING) == 3
    finally:
        await store.drop(name)
        await store.close()


async def test_missing_indexes(backend: Backend, tmp_path: Path) -> None:
    store, name = backend.store(tmp_path), fresh_name()
    assert name not in await store.names()
    with pytest.raises(NotFound):
        await store.open(name)
    await store.drop(name)
    await store.close()
    await store.close()


async def test_names_are_sorted(backend: Backend, tmp_path: Path) -> None:
    store, made = backend.store(tmp_path), [f"{fresh_name()}-{i}_x" for i in (2, 0, 1)]
    try:
        for name in made:
            await store.create(IndexSpec(name, 2))
        names = await store.names()
        assert names == sorted(names)
        assert set(made) <= set(names)
        await store.drop(made[0])
        assert set(made) & set(await store.names()) == set(made[1:])
    finally:
        for name in made:
            await store.drop(name)
        await store.close()


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "a/b", "A", "a b", "é", "a.b", "x" * 200, "a\0"]
)
async def test_unsafe_names_are_refused(backend: Backend, tmp_path: Path, name: str) -> None:
    store = backend.store(tmp_path)
    with pytest.raises(UserError):
        await store.create(IndexSpec(name, 4))
    with pytest.raises(UserError):
        await store.open(name)
    with pytest.raises(UserError):
        await store.drop(name)
    await store.close()


async def test_dimensions_out_of_range_are_refused(backend: Backend, tmp_path: Path) -> None:
    store = backend.store(tmp_path)
    for dim in (0, -1, store.capabilities.max_dim + 1):
        with pytest.raises(Unsupported):
            await store.create(IndexSpec(fresh_name(), dim))
    await store.close()


async def test_a_dropped_index_leaves_nothing(backend: Backend, tmp_path: Path) -> None:
    store, name = backend.store(tmp_path), fresh_name()
    try:
        await (await store.create(IndexSpec(name, 4))).upsert(batch(3))
        await store.drop(name)
        with pytest.raises(NotFound):
            await store.open(name)
        index = await store.create(IndexSpec(name, 6))
        assert await index.count(EVERYTHING) == 0
        await index.upsert(batch(2, dim=6))
        assert await index.count(EVERYTHING) == 2
    finally:
        await store.drop(name)
        await store.close()
