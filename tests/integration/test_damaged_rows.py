"""Damaged rows of an index: the rest is found, and answers say that something is missing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from indexers import ingest as job
from indexers.stores.faiss import FaissIndex
from rag.retrieval import Retrieval
from rag.runtime import Runtime
from rag.settings import Retrieval as RetrievalSettings
from rag.types import Query, Retrieved, local_owner


async def search(runtime: Runtime) -> Retrieved:
    retrieval = Retrieval(runtime.catalog, runtime, RetrievalSettings(), dense_weight=0.3)
    return await retrieval.search(Query("shared", "docs", local_owner()))


@pytest.mark.parametrize("searched_before", [False, True])
async def test_a_damaged_row_makes_answers_partial(
    runtime: Runtime, tmp_path: Path, searched_before: bool
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for n in range(4):
        (folder / f"page{n}.md").write_text(f"# Page {n}\n\nshared words of page {n}\n")
    collection = await job.open_collection(runtime, "default", "docs")
    await job.ingest(runtime, collection, await job.list_paths(runtime, collection, [folder], {}))
    if searched_before:  # its copy in memory is sound, what it fetches is not
        found = await search(runtime)
        assert (len(found.hits), found.partial) == (4, False)
    index = await runtime.index(collection.live)
    assert isinstance(index, FaissIndex)
    with closing(sqlite3.connect(index.path)) as connection:
        connection.execute("UPDATE rows SET text = 'something else' WHERE text LIKE '%page 2%'")
        connection.commit()
    found = await search(runtime)
    assert sorted(hit.uri[-8:] for hit in found.hits) == ["page0.md", "page1.md", "page3.md"]
    assert found.partial
    assert await index.repair() == 1
    found = await search(runtime)
    assert (len(found.hits), found.partial) == (3, False)
