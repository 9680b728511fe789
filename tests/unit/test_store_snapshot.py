"""The snapshot of the mirror: what is in it, whose it is, and that no damaged byte is ever used."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from indexers.sqlite_lane import connect
from indexers.stores import faiss_snapshots, faiss_upkeep
from indexers.stores.faiss import FaissIndex, FaissStore
from indexers.stores.faiss_file import snapshot_path
from indexers.stores.faiss_following import Sizes
from indexers.stores.faiss_snapshots import stored_for
from indexers.stores.snapshot_file import (
    MAGIC,
    PREFIX,
    Snapshot,
    UnusableSnapshot,
    read_snapshot,
    write_snapshot,
)
from rag.errors import Unavailable
from rag.filters import EVERYTHING, Compare, Eq, In
from rag.ports import Candidates, IndexSpec
from rag.testing.store_samples import batch, one_term, query_row
from rag.testing.vector_stores import rows_by_id, scanned
from rag.vectors import Search

ALL = Search(5000, EVERYTHING, batch(1).dense, query_row([7]))
SIZES = Sizes(tail_rows=10, tail_share=0.5, graph_rows=40)
FLIPS = int(os.environ.get("CUMULO_TEST_EXAMPLES", "256"))


def store_at(folder: Path) -> FaissStore:
    return FaissStore(FaissStore.Options(), folder, sizes=SIZES)


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[FaissIndex]:
    """Forty rows of ten documents, optimized."""
    store = store_at(tmp_path / "indexes")
    index = await store.create(IndexSpec("docs", 4))
    await index.upsert(batch(40, sparse=one_term(40)))
    await index.optimize()
    yield index
    await store.close()


async def first_search(path: Path, search: Search = ALL) -> Candidates:
    """Search as a new process does."""
    store = store_at(path.parent)
    found = await (await store.open(path.stem)).search(search)
    await store.close()
    return found


def usable(path: Path) -> bool:
    with closing(connect(path)) as connection:
        return stored_for(connection, path, 4) is not None


# --- whose it is ---------------------------------------------------------------------------------


async def test_a_start_reads_the_snapshot_and_what_changed_since(index: FaissIndex) -> None:
    before = await first_search(index.path)
    assert len(before.sparse) == 40
    # Rows that the snapshot has already are not read again: this damage is out of its sight.
    with closing(sqlite3.connect(index.path)) as connection:
        connection.execute("UPDATE rows SET digest = x'00' WHERE attempt = 5")
        connection.commit()
    assert await first_search(index.path) == before
    await index.upsert(batch(8, first=40, sparse=one_term(8)))
    await index.delete(Eq("attempt", 1))
    after = await first_search(index.path)
    assert {c.attempt for c in after.sparse} == set(range(2, 13))
    assert after.lost == 0
    snapshot_path(index.path).unlink()
    assert (await first_search(index.path)).lost == 4


async def test_it_is_written_anew_when_that_is_worth_it(index: FaissIndex) -> None:
    def written() -> tuple[int, int]:
        stored = read_snapshot(snapshot_path(index.path))
        return len(stored.arrays["seqs"]), stored.facts["seq"]

    assert written() == (40, 40)
    for expected, change in (
        ((40, 40), index.upsert(batch(20, first=40))),  # half: read beside it
        ((61, 61), index.upsert(batch(1, first=60))),
        ((61, 61), index.upsert(batch(1, first=70))),
        ((62, 62), index.delete(Eq("attempt", 2))),  # rows of it are gone: never left as it is
        ((63, 63), index.patch(Eq("attempt", 18), {"title": "x"})),
        ((63, 63), index.delete(Eq("attempt", 77))),
        ((26, 63), index.delete(Compare("attempt", "lt", 10))),  # a third is dead weight
    ):
        await change
        await index.optimize()
        await index.optimize()
        assert written() == expected
        assert usable(index.path)
    await index.delete(Compare("attempt", "lt", 14))
    await index.optimize()
    assert not snapshot_path(index.path).exists(), "few rows are read as fast"


async def test_a_running_search_takes_up_a_new_one(index: FaissIndex) -> None:
    reader = await store_at(index.path.parent).open("docs")
    assert len((await reader.search(ALL)).sparse) == 40
    await index.upsert(batch(200, first=40, sparse=one_term(200)))
    assert len((await reader.search(ALL)).sparse) == 240
    mirror = reader._mirror._mirror
    assert mirror is not None
    assert mirror.stored == 40
    await index.optimize()
    assert len((await reader.search(ALL)).sparse) == 240
    mirror = reader._mirror._mirror
    assert mirror is not None
    assert (mirror.stored, mirror._vectors._graph is not None) == (240, True)
    await reader.close()


async def test_an_index_made_anew_does_not_read_the_old_one(index: FaissIndex) -> None:
    kept = snapshot_path(index.path).read_bytes()
    store = store_at(index.path.parent)
    await store.drop("docs")
    assert list(index.path.parent.iterdir()) == []
    fresh = await store.create(IndexSpec("docs", 4))
    await fresh.upsert(batch(60, seed=5, first=500))
    snapshot_path(index.path).write_bytes(kept)
    assert {c.attempt for c in (await fresh.search(ALL)).dense} == set(range(126, 141))
    await fresh.optimize()
    assert usable(index.path)
    snapshot_path(index.path).write_bytes(kept)
    assert not usable(index.path)
    await store.close()


async def test_a_file_put_back_does_not_read_a_later_snapshot(index: FaissIndex) -> None:
    """The same numbers mean other rows once an older copy of the file has gone its own way."""
    copy = index.path.with_name("copy")
    shutil.copy(index.path, copy)  # optimize left its log empty
    await index.upsert(batch(40, first=100, sparse=one_term(40)))
    await index.optimize()
    await index.close()
    copy.replace(index.path)
    store = store_at(index.path.parent)
    again = await store.open("docs")
    await again.upsert(batch(40, first=200, sparse=one_term(40)))
    found = await again.search(ALL)
    expected = {chunk.id for first in (0, 200) for chunk in batch(40, first=first).chunks}
    assert {c.chunk_id for c in found.sparse} == expected
    await store.close()


async def test_two_snapshots_are_not_taken_for_each_other(
    index: FaissIndex, caplog: pytest.LogCaptureFixture
) -> None:
    store = store_at(index.path.parent)
    other = await store.create(IndexSpec("other", 4))
    await other.upsert(batch(40, first=100, sparse=one_term(40)))
    await other.optimize()
    one, two = snapshot_path(index.path), snapshot_path(other.path)
    third = one.with_name("third")
    one.replace(third)
    two.replace(one)
    third.replace(two)
    for path, first in ((index.path, 0), (other.path, 100)):
        found = await first_search(path)
        assert {c.chunk_id for c in found.sparse} == {c.id for c in batch(40, first=first).chunks}
    assert caplog.text.count("another state of the index") == 2
    await store.close()


# --- damage --------------------------------------------------------------------------------------


def layout(path: Path) -> list[int]:
    """Return where the header and each array begin, and where the last one ends."""
    header = int.from_bytes(path.read_bytes()[PREFIX - 4 : PREFIX], "little")
    stored = read_snapshot(path)
    sizes = [array.nbytes for array in stored.arrays.values()]
    return np.cumsum([0, PREFIX, header, *sizes]).tolist()


async def test_every_flip_is_detected(index: FaissIndex) -> None:
    path = snapshot_path(index.path)
    content, bounds = bytearray(path.read_bytes()), layout(path)
    assert bounds[-1] == len(content)
    rng = random.Random(4)
    places = {at for bound in bounds for at in (bound, bound - 1)}
    places |= set(rng.sample(range(len(content)), min(FLIPS, len(content))))
    for at in sorted(places & set(range(len(content)))):
        for bit in {rng.randrange(8), rng.randrange(8)}:
            content[at] ^= 1 << bit
            path.write_bytes(content)
            with pytest.raises(UnusableSnapshot):
                read_snapshot(path)
            content[at] ^= 1 << bit
    path.write_bytes(content)
    assert usable(index.path)


async def test_every_length_is_detected(index: FaissIndex) -> None:
    path = snapshot_path(index.path)
    content, bounds = path.read_bytes(), layout(path)
    lengths = {*bounds[:-1], *(b + 1 for b in bounds), len(content) - 1}
    lengths |= set(random.Random(5).sample(range(len(content)), min(FLIPS, len(content))))
    for length in sorted(lengths):
        path.write_bytes((content + b"\0")[:length])
        with pytest.raises(UnusableSnapshot):
            read_snapshot(path)


async def test_a_damaged_snapshot_is_ignored_and_replaced(
    index: FaissIndex, caplog: pytest.LogCaptureFixture
) -> None:
    path, before = snapshot_path(index.path), await first_search(index.path)
    content = path.read_bytes()
    for at in (0, 20, PREFIX + 3, *layout(path)[2:-1]):
        path.write_bytes(content[:at] + bytes([content[at] ^ 16]) + content[at + 1 :])
        caplog.clear()
        assert await first_search(index.path) == before
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert "the rows are read instead" in caplog.text
        await index.optimize()
        assert usable(index.path)
    path.unlink()
    path.mkdir()
    assert await first_search(index.path) == before
    path.rmdir()


def test_what_a_header_claims_is_not_believed(tmp_path: Path) -> None:
    """Neither a length nor a shape may claim memory; FAISS sees no byte of such a file."""
    path = tmp_path / "x.snapshot"
    huge = {"name": "a", "dtype": "<f4", "shape": [2**40, 384], "digest": "00" * 32}
    header = json.dumps({"facts": {}, "arrays": [huge]}).encode()
    covered = len(header).to_bytes(4, "little") + header
    for content in (
        MAGIC + sha256(covered).digest() + covered + bytes(100),
        MAGIC + bytes(32) + b"\xff\xff\xff\xff" + bytes(100),
        b"CUMULOS2" + sha256(covered).digest() + covered,
        b"",
    ):
        path.write_bytes(content)
        with pytest.raises(UnusableSnapshot):
            read_snapshot(path)


def test_arrays_of_every_kind_come_back(tmp_path: Path) -> None:
    path = tmp_path / "x.snapshot"
    arrays = {
        "empty": np.empty((0, 7), np.float32),
        "mask": np.array([True, False]),
        "strided": np.arange(20, dtype=np.int64)[::3],
        "matrix": np.ones((3, 4), np.float32),
    }
    write_snapshot(path, Snapshot({"n": 1}, arrays), temporary=tmp_path / "t")
    stored = read_snapshot(path)
    assert stored.facts == {"n": 1}
    assert stored.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert stored.arrays[name].dtype == array.dtype
        assert np.array_equal(stored.arrays[name], array)
    assert [p.name for p in tmp_path.iterdir()] == ["x.snapshot"]


# --- gone is gone --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [4, 9, 12])
async def test_nothing_is_left_of_deleted_rows(index: FaissIndex, seed: int) -> None:
    """Rows of many sizes: SQLite splits and joins pages, and leaves copies of rows behind."""
    folder, rng, first = index.path.parent, random.Random(seed), 100
    marks: dict[int, list[bytes]] = {}
    kept: set[int] = set()
    for step in range(60):
        rows = batch(rng.randint(1, 8), seed=seed, first=first)
        first += len(rows.chunks)
        chunks, fields = [], []
        for i, chunk in enumerate(rows.chunks, first):
            text, title = f"MARK-{i}-Z ", f"TITLE-{i}-Z"
            chunks.append(replace(chunk, attempt=i, text=text * rng.choice((1, 5, 40, 300, 2000))))
            fields.append({**rows.fields[i - first], "attempt": i, "title": title})
            kept.add(i)
            marks[i] = [text.encode(), title.encode(), rows.dense[i - first].tobytes()]
        await index.upsert(replace(rows, chunks=chunks, fields=fields))
        if rng.random() < 0.4:
            gone = rng.sample(sorted(kept), min(len(kept), rng.randint(1, 12)))
            await index.delete(In("attempt", gone))
            kept -= set(gone)
        if rng.random() < 0.2:
            await index.patch(In("attempt", sorted(kept)[:1]), {"meta.n": step})
        if rng.random() < 0.1:
            await index.optimize()
    await index.optimize()
    content = b"".join(path.read_bytes() for path in folder.iterdir())
    assert len(marks.keys() - kept) > 50
    for number, of_row in marks.items():
        assert [mark in content for mark in of_row] == 3 * [number in kept]


async def test_what_a_crash_left_goes_with_the_next_optimize(index: FaissIndex) -> None:
    left = index.path.with_name("docs.0123.tmp")
    left.write_bytes(b"deleted rows")
    (other := index.path.with_name("other.0123.tmp")).write_bytes(b"")
    await index.optimize()
    assert (left.exists(), other.exists()) == (False, True)


async def test_a_log_that_others_read_is_not_said_to_be_empty(
    index: FaissIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.sqlite.BUSY_TIMEOUT_S", 0.2)
    monkeypatch.setattr("rag.sqlite.LOG_TURN_S", 0.05)
    with closing(sqlite3.connect(index.path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM rows").fetchone()
        await index.delete(Eq("attempt", 1))
        with pytest.raises(Unavailable, match="read old states"):
            await index.optimize()
    await index.optimize()
    assert index.path.with_name("docs.sqlite-wal").stat().st_size == 0


# --- crashes and other processes -----------------------------------------------------------------


async def test_a_crash_before_the_rename_leaves_the_old_one(
    index: FaissIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    await index.upsert(batch(60, first=40, sparse=one_term(60)))
    temporary = index.path.with_name("docs.crash.tmp")

    def crash(path: Path, snapshot: Snapshot, *, temporary: Path) -> None:
        write_snapshot(temporary, snapshot, temporary=temporary.with_suffix(".other"))
        raise KeyboardInterrupt

    monkeypatch.setattr(faiss_snapshots, "write_snapshot", crash)
    with closing(connect(index.path)) as connection, pytest.raises(KeyboardInterrupt):
        faiss_upkeep.optimize(connection, path=index.path, dim=4, sizes=SIZES)
    monkeypatch.undo()
    assert not temporary.exists()
    assert list(index.path.parent.glob("*.tmp"))
    assert usable(index.path), "its token is still known"
    assert len((await first_search(index.path)).sparse) == 100
    await index.optimize()
    assert not list(index.path.parent.glob("*.tmp"))
    assert len(read_snapshot(snapshot_path(index.path)).arrays["seqs"]) == 100


HOLD = """
import sys, time
from pathlib import Path
from indexers.stores.faiss_file import maintained
with maintained(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


async def test_a_lock_ends_with_its_process(index: FaissIndex) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, str(index.path), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"held\n"
        waiting = asyncio.create_task(index.optimize())
        await index.upsert(batch(3, first=40, sparse=one_term(3)))
        assert len((await index.search(ALL)).sparse) == 43
        assert not waiting.done(), "another process holds the lock"
    finally:
        process.kill()
        await process.wait()
    await waiting


OPTIMIZE = """
import asyncio, sys
from pathlib import Path
from indexers.stores.faiss import FaissStore
from indexers.stores.faiss_following import Sizes
from rag.filters import Eq
from rag.testing.store_samples import batch, one_term

async def work(first):
    sizes = Sizes(tail_rows=10, tail_share=0.1, graph_rows=40)
    index = await FaissStore(FaissStore.Options(), Path(sys.argv[1]), sizes=sizes).open("docs")
    for step in range(8):
        await index.upsert(batch(20, first=first + 20 * step, sparse=one_term(20)))
        await index.delete(Eq("attempt", (first + 20 * step) // 4 + 1))
        await index.optimize()
    await index.close()

asyncio.run(work(int(sys.argv[2])))
"""


async def test_processes_optimize_at_the_same_time(index: FaissIndex) -> None:
    commands = [
        [sys.executable, "-c", OPTIMIZE, str(index.path.parent), str(first)]
        for first in (1000, 2000)
    ]
    running = [await asyncio.create_subprocess_exec(*command) for command in commands]
    ended = asyncio.gather(*(process.wait() for process in running))
    while not ended.done():
        found = {c.attempt for c in (await index.search(ALL)).sparse}
        assert found >= set(range(1, 11))
    assert await ended == [0, 0]
    assert usable(index.path)
    assert len((await first_search(index.path)).sparse) == 40 + 2 * 8 * 16
    assert rows_by_id(await scanned(index)).keys() == {
        c.chunk_id for c in (await index.search(ALL)).sparse
    }
