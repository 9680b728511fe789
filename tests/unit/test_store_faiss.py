"""What the embedded store does when its files are damaged, newer, replaced or in use."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from indexers.stores.faiss import FaissIndex, FaissStore
from indexers.stores.faiss_rows import REMOVALS_KEPT
from rag.errors import DataFolderError, IndexMismatch, NotFound, Rejected
from rag.filters import EVERYTHING, Compare, Eq, In
from rag.ports import IndexSpec
from rag.testing.store_samples import batch, one_term, query_row
from rag.vectors import Search

ALL = Search(5000, EVERYTHING, sparse=query_row([7]))


def store_at(folder: Path) -> FaissStore:
    return FaissStore(FaissStore.Options(), folder)


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[FaissIndex]:
    store = store_at(tmp_path / "deep" / "folder")
    index = await store.create(IndexSpec("docs", 4))
    await index.upsert(batch(40, sparse=one_term(40)))
    yield index
    await store.close()


def edit(index: FaissIndex, statement: str) -> None:
    """Change the file behind the store's back."""
    with closing(sqlite3.connect(index.path)) as connection:
        connection.execute(statement)
        connection.commit()


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ValueError, match="nprobe"):
        FaissStore.Options.model_validate({"nprobe": 3})


# --- files ---------------------------------------------------------------------------------------


async def test_nothing_is_created_before_the_first_index(tmp_path: Path) -> None:
    store = store_at(tmp_path / "none")
    assert await store.names() == []
    with pytest.raises(NotFound):
        await store.open("docs")
    await store.drop("docs")
    await store.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_dropped_index_leaves_no_file(index: FaissIndex) -> None:
    assert (await index.search(ALL)).sparse
    store = store_at(index.path.parent)
    await store.drop("docs")
    assert list(index.path.parent.iterdir()) == []
    with pytest.raises(NotFound, match="docs"):
        await index.search(ALL)
    with pytest.raises(NotFound, match="docs"):
        await index.upsert(batch(1))


async def test_an_index_made_anew_is_not_the_old_one(index: FaissIndex) -> None:
    """Who still has the old one open goes on with the new one, without anything of the old."""
    assert len((await index.search(ALL)).sparse) == 40
    store, other = store_at(index.path.parent), store_at(index.path.parent)
    await store.drop("docs")
    with pytest.raises(NotFound, match="'docs' was dropped"):
        await index.count(EVERYTHING)
    fresh = await other.create(IndexSpec("docs", 4))
    assert await index.count(EVERYTHING) == 0
    assert (await index.search(ALL)).sparse == ()
    await index.upsert(batch(3, first=100, sparse=one_term(3)))
    assert len((await fresh.search(ALL)).sparse) == len((await index.search(ALL)).sparse) == 3
    await other.drop("docs")
    await other.create(IndexSpec("docs", 6))
    with pytest.raises(IndexMismatch, match="dimension 6, asked for 4"):
        await index.count(EVERYTHING)
    await other.close()


async def test_a_closed_index_says_so(index: FaissIndex) -> None:
    await index.close()
    with pytest.raises(Rejected, match="'docs' is closed"):
        await index.count(EVERYTHING)


async def test_a_newer_format_is_refused(index: FaissIndex) -> None:
    edit(index, "UPDATE meta SET format = 2")
    store = store_at(index.path.parent)
    with pytest.raises(DataFolderError, match="format 2"):
        await store.open("docs")
    with pytest.raises(DataFolderError, match="format 2"):
        await store.create(IndexSpec("docs", 4))


async def test_an_interrupted_creation_is_finished(tmp_path: Path) -> None:
    (tmp_path / "docs.sqlite").touch()
    store = store_at(tmp_path)
    with pytest.raises(NotFound, match="interrupted"):
        await store.open("docs")
    assert await (await store.create(IndexSpec("docs", 4))).count(EVERYTHING) == 0
    await store.close()


async def test_another_file_is_not_taken_for_an_index(tmp_path: Path) -> None:
    (tmp_path / "docs.sqlite").write_bytes(b"something else entirely" * 100)
    (tmp_path / "Other File.sqlite").touch()
    store = store_at(tmp_path)
    assert await store.names() == ["docs"]
    with pytest.raises(Rejected, match="damaged"):
        await store.open("docs")


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataFolderError, match="file"):
        await store_at(tmp_path / "file").create(IndexSpec("docs", 4))


async def test_creating_at_the_same_time(tmp_path: Path) -> None:
    stores = [store_at(tmp_path) for _ in range(8)]
    made = await asyncio.gather(*(store.create(IndexSpec("docs", 4)) for store in stores))
    for number, one in enumerate(made):
        await one.upsert(batch(4, first=4 * number))
    assert {await one.count(EVERYTHING) for one in made} == {32}
    for store in stores:
        await store.close()


# --- rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("text", "'something else'"),
        ("text", "CAST(x'fffe' AS TEXT)"),
        ("dense", "x'0000803f000000000000000000000000'"),
        ("dense", "x''"),
        ("weights", "x'00001041'"),
        ("terms", "x'08000000'"),
        ("fields", "'{}'"),
        ("fields", "'{'"),
        ("heading", "'['"),
        ("attempt", "77"),
        ("plain", "0"),
        ("digest", "x''"),
    ],
)
async def test_a_damaged_row_is_left_out(
    index: FaissIndex, caplog: pytest.LogCaptureFixture, column: str, value: str
) -> None:
    damaged, sound = batch(40).chunks[11:13]
    edit(index, f"UPDATE rows SET {column} = {value} WHERE id = '{damaged.id}'")
    for _ in range(2):
        found = await index.search(ALL)
        assert (len(found.sparse), found.lost) == (39, 1)
        assert damaged.id not in {candidate.chunk_id for candidate in found.sparse}
    assert [record.message for record in caplog.records] == [
        f"{index.path}: 1 rows are damaged and left out; run: rag doctor --fix"
    ]
    assert await index.fetch([damaged.id, sound.id]) == {sound.id: sound}
    scanned = [chunk.id async for part in index.scan(EVERYTHING) for chunk in part.chunks]
    assert (len(scanned), damaged.id in scanned) == (39, False)
    assert await index.count(EVERYTHING) == 40, "who compares both sees that one is lost"
    assert await index.patch(EVERYTHING, {"title": "x"}) == 39
    assert (await index.search(ALL)).lost == 1, "a patch must not make it look sound"
    assert await index.repair() == 1
    assert await index.repair() == 0
    found = await index.search(ALL)
    assert (len(found.sparse), found.lost, await index.count(EVERYTHING)) == (39, 0, 39)
    await index.upsert(batch(40, sparse=one_term(40)))
    assert len((await index.search(ALL)).sparse) == 40


async def test_a_row_damaged_after_it_was_read_is_not_fetched(index: FaissIndex) -> None:
    damaged = batch(40).chunks[5]
    assert len((await index.search(ALL)).sparse) == 40
    edit(index, f"UPDATE rows SET text = 'other' WHERE id = '{damaged.id}'")
    assert len((await index.search(ALL)).sparse) == 40
    assert await index.fetch([damaged.id]) == {}


async def test_writing_a_damaged_row_again_repairs_it(index: FaissIndex) -> None:
    edit(index, "UPDATE rows SET dense = x'00' WHERE attempt = 3")
    assert (await index.search(ALL)).lost == 4
    await index.upsert(batch(40, sparse=one_term(40)))
    found = await index.search(ALL)
    assert (len(found.sparse), found.lost) == (40, 0)


async def test_unreadable_fields_are_no_obstacle_to_removing_rows(index: FaissIndex) -> None:
    edit(index, "UPDATE rows SET fields = '{' WHERE attempt = 3")
    assert await index.delete(Eq("meta.ordinal", 1)) == 9
    assert await index.delete(In("attempt", [3])) == 4
    found = await index.search(ALL)
    assert (len(found.sparse), found.lost) == (27, 0)


async def test_values_that_sqlite_cannot_keep_are_refused(index: FaissIndex) -> None:
    rows = batch(2, first=100)
    for bad in (
        replace(rows.chunks[1], text="half a pair: \ud83e"),
        replace(rows.chunks[1], attempt=2**70),
    ):
        with pytest.raises(Rejected, match="cannot be stored"):
            await index.upsert(replace(rows, chunks=[rows.chunks[0], bad]))
    assert await index.count(EVERYTHING) == 40


async def test_numbers_of_any_size_in_fields(index: FaissIndex) -> None:
    rows = batch(4, sparse=one_term(4))
    sizes = (2**53 + 1, float(2**53), 2**70, -(2**63) - 1)
    fields = [{**f, "meta.n": n, "attempt": n} for f, n in zip(rows.fields, sizes, strict=True)]
    await index.delete(EVERYTHING)
    await index.upsert(replace(rows, fields=fields))
    for name in ("meta.n", "attempt"):
        for number, size in enumerate(sizes):
            found = await index.search(replace(ALL, where=Eq(name, size)))
            assert [c.chunk_id for c in found.sparse] == [rows.chunks[number].id]
            assert await index.count(Eq(name, size)) == 1
        assert await index.count(Compare(name, "gt", 2**53)) == 2


async def test_a_row_is_scanned_once_while_it_is_written(index: FaissIndex) -> None:
    seen: list[str] = []
    async for part in index.scan(EVERYTHING, size=7):
        seen += [chunk.id for chunk in part.chunks]
        await index.patch(EVERYTHING, {"title": f"after {len(seen)}"})
    assert sorted(seen) == sorted(chunk.id for chunk in batch(40).chunks)
    assert len(seen) == 40


# --- following the file --------------------------------------------------------------------------


async def test_searches_see_whole_batches_only(index: FaissIndex) -> None:
    async def write() -> None:
        for step in range(1, 16):
            await index.upsert(batch(40, first=40 * step, sparse=one_term(40)))

    async def look() -> list[int]:
        sizes = []
        while not writing.done():
            sizes.append(len((await index.search(ALL)).sparse))
        return sizes

    writing = asyncio.create_task(write())
    sizes = await look()
    await writing
    assert sizes
    assert sizes == sorted(sizes)
    assert all(size % 40 == 0 for size in sizes)
    assert len((await index.search(ALL)).sparse) == 640


async def test_a_mirror_that_missed_removals_starts_anew(index: FaissIndex) -> None:
    assert len((await index.search(ALL)).sparse) == 40
    await index.delete(Eq("attempt", 1))
    edit(index, "DELETE FROM removed")
    await index.delete(Eq("attempt", 2))
    found = {c.attempt for c in (await index.search(ALL)).sparse}
    assert found == set(range(3, 11))


async def test_the_log_of_removals_stays_short(index: FaissIndex) -> None:
    edit(
        index,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100500) "
        "INSERT INTO removed (seq) SELECT -i FROM n",
    )
    await index.delete(Eq("attempt", 1))
    with closing(sqlite3.connect(index.path)) as connection:
        (kept,) = connection.execute("SELECT count(*) FROM removed").fetchone()
    assert kept == REMOVALS_KEPT
    assert len((await index.search(ALL)).sparse) == 36


INGEST = """
import asyncio, sys
from pathlib import Path
from indexers.stores.faiss import FaissStore
from rag.filters import In
from rag.ports import IndexSpec
from rag.testing.store_samples import batch

async def ingest():
    store = FaissStore(FaissStore.Options(), Path(sys.argv[1]))
    index = await store.create(IndexSpec("docs", 4))
    await index.upsert(batch(100))
    assert await index.delete(In("attempt", [1, 2])) == 8
    await store.close()

asyncio.run(ingest())
print("faiss" in sys.modules)
"""


def test_ingestion_builds_no_mirror(tmp_path: Path) -> None:
    command = [sys.executable, "-c", INGEST, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("False\n", 0), done.stderr
