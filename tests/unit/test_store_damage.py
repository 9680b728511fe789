"""Files that are damaged at random: a clear error or fewer rows, never a wrong one, then repaired.

Every trial prints its seed when it fails; `CUMULO_TEST_EXAMPLES` says how many there are.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
from collections.abc import Awaitable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from indexers.stores.faiss import FaissIndex, FaissStore
from indexers.stores.faiss_following import Sizes, follow
from indexers.stores.faiss_mirror import Mirror
from rag.errors import RagError, Rejected
from rag.filters import EVERYTHING, Eq, In
from rag.ports import Candidates, IndexSpec
from rag.testing.store_samples import batch, query_row
from rag.testing.vector_stores import rows_by_id, scanned
from rag.types import Candidate, Chunk
from rag.vectors import Batch, Search

T = TypeVar("T")
DIM = 8
TRIALS = int(os.environ.get("CUMULO_TEST_EXAMPLES", "12"))
PAGE = 16384
PARTS = (".sqlite", ".sqlite-wal", ".sqlite-shm", ".snapshot")
QUERY = Search(1000, EVERYTHING, batch(1, dim=DIM, seed=99).dense, query_row([0, 2**32 - 1]))


def store_at(folder: Path) -> FaissStore:
    return FaissStore(FaissStore.Options(), folder, sizes=Sizes(tail_rows=100))


class Written:
    """Every version of every row that was ever committed, and how many are there in the end."""

    def __init__(self) -> None:
        self.versions: dict[str, list[tuple[Any, ...]]] = {}
        self.rows = 0

    def note(self, rows: Batch) -> Batch:
        patched = replace(rows, fields=[{**fields, "title": "patched"} for fields in rows.fields])
        for version in (rows, patched):
            for row_id, row in rows_by_id([version]).items():
                self.versions.setdefault(row_id, []).append(row)
        return rows

    def has(self, row_id: str, row: tuple[Any, ...]) -> bool:
        return row in self.versions[row_id]

    def has_chunk(self, chunk: Chunk) -> bool:
        return any(chunk == row[0] for row in self.versions[chunk.id])

    def has_candidate(self, found: Candidate) -> bool:
        return any(
            (found.document_id, found.attempt) == (row[0].document_id, row[0].attempt)
            and found.score
            == pytest.approx(float(np.frombuffer(row[2], np.float32) @ QUERY.dense[0]), abs=1e-5)  # type: ignore[index]
            for row in self.versions[found.chunk_id]
        )


@pytest.fixture
async def written(tmp_path: Path) -> tuple[Path, Written]:
    """An index with several pages of everything: rows, overflow, indexes, free pages, a log."""
    folder, known = tmp_path / "sound", Written()
    store = store_at(folder / "open")
    index = await store.create(IndexSpec("docs", DIM))
    for step in range(5):
        await index.upsert(known.note(batch(80, dim=DIM, seed=step, first=60 * step)))
        await index.delete(In("attempt", range(15 * step + 2, 15 * step + 7)))
    await index.optimize()
    await index.upsert(known.note(batch(60, dim=DIM, seed=9, first=200)))
    await index.patch(Eq("attempt", 60), {"title": "patched"})
    known.rows = await index.count(EVERYTHING)
    shutil.copytree(folder / "open", folder / "copy")  # the log is still there
    await store.close()
    return folder / "copy", known


def damage(rng: random.Random, folder: Path) -> str:
    """Change one of the files; say how."""
    part = rng.choices(PARTS, (12, 4, 1, 1))[0]
    path = folder / f"docs{part}"
    content = bytearray(path.read_bytes())
    at = rng.randrange(len(content))
    if part == ".sqlite" and rng.random() < 0.5:  # where pages say what is in them
        at = at // PAGE * PAGE + rng.randrange(200)
    match rng.randrange(6):
        case 0:
            del content[at:]
            how = "cut"
        case 1:
            content[at : at + rng.randrange(1, 600)] = b""
            how = "shifted"
        case 2:
            content[at : at + 64] = rng.randbytes(64)
            how = "overwritten"
        case 3:
            start = at // PAGE * PAGE
            content[start : start + PAGE] = bytes(PAGE)
            how = "a page blank"
        case _:
            content[at] ^= 1 << rng.randrange(8)
            how = "flipped"
    path.write_bytes(content)
    return f"{part} {how} at {at}"


async def allowed(asked: Awaitable[T]) -> T | None:
    """Return the answer, or None for an error of ours; any other one ends the test."""
    try:
        return await asked
    except RagError:
        return None


async def check(index: FaissIndex, known: Written) -> tuple[Candidates | None, list[Batch] | None]:
    """Ask everything; whatever is answered must be what was written."""
    found = await allowed(index.search(QUERY))
    if found is not None:
        ids = [candidate.chunk_id for candidate in found.dense]
        assert len(ids) == len(set(ids))
        assert all(known.has_candidate(candidate) for candidate in found.dense)
        assert {c.chunk_id for c in found.sparse} <= set(known.versions)
    chunks = await allowed(index.fetch(list(known.versions)))
    assert all(known.has_chunk(chunk) and chunk.id == id_ for id_, chunk in (chunks or {}).items())
    parts = await allowed(scanned(index))
    for row_id, row in rows_by_id(parts or []).items():
        assert known.has(row_id, row)
    await allowed(index.count(EVERYTHING))
    await allowed(index.count(Eq("meta.ordinal", 1)))
    return found, parts


async def trial(rng: random.Random, folder: Path, known: Written) -> bool:
    """Ask a damaged copy, repair it, ask again; tell whether any damage was noticed."""
    store = store_at(folder)
    await allowed(store.open("docs"))
    index = await store.create(IndexSpec("docs", DIM))
    found, parts = await check(index, known)
    count = sum(len(part.chunks) for part in parts or [])
    noticed = found is None or parts is None or found.lost > 0 or count < known.rows
    if rng.random() < 0.3:  # writing to it may fail, but must not make it worse
        await allowed(index.patch(Eq("meta.ordinal", 2), {"title": "patched"}))
        await allowed(index.optimize())
        await check(index, known)
    lost = await index.repair()
    assert lost >= 0
    assert await index.repair() == 0
    found, parts = await check(index, known)
    assert found is not None
    assert parts is not None
    count = sum(len(part.chunks) for part in parts)
    assert (found.lost, len(found.dense), await index.count(EVERYTHING)) == (0, count, count)
    whole = known.note(batch(80, dim=DIM, seed=4, first=240))
    await index.upsert(whole)
    await index.optimize()
    assert rows_by_id([whole]).items() <= rows_by_id(await scanned(index)).items()
    await store.close()
    return noticed


async def test_random_damage(written: tuple[Path, Written], tmp_path: Path) -> None:
    sound, known = written
    noticed = []
    for number in range(TRIALS):
        seed = number if "CUMULO_TEST_EXAMPLES" not in os.environ else random.randrange(2**32)
        rng, folder = random.Random(seed), tmp_path / str(seed)
        shutil.copytree(sound, folder)
        how = damage(rng, folder)
        try:
            noticed.append(await trial(rng, folder, known))
        except BaseException as exc:
            exc.add_note(f"seed {seed}: {how}")
            raise
        shutil.rmtree(folder)
    assert sum(noticed) > TRIALS / 5, "too few of the damages were any"


# --- known damage --------------------------------------------------------------------------------


async def damaged_index(folder: Path) -> FaissIndex:
    """Make an index whose rows are sound and whose structure is not: one tree lies."""
    store = store_at(folder)
    index = await store.create(IndexSpec("docs", DIM))
    await index.upsert(batch(120, dim=DIM))
    await index.optimize()
    with closing(sqlite3.connect(index.path)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = 'CREATE INDEX rows_attempt ON rows (ordinal)' "
            "WHERE name = 'rows_attempt'"
        )
        connection.commit()
    return index


async def test_nothing_is_lost_that_is_written_during_a_repair(tmp_path: Path) -> None:
    index = await damaged_index(tmp_path)
    stored = index.path.stat().st_ino
    writer = await store_at(tmp_path).open("docs")
    first = 200

    async def write() -> None:
        nonlocal first
        while not repairing.done():
            await writer.upsert(batch(5, dim=DIM, first=first))
            first += 5

    repairing = asyncio.create_task(index.repair())
    await write()
    assert await repairing == 0, "every row could be read"
    assert index.path.stat().st_ino != stored, "it was not repaired by a new file"
    expected = rows_by_id(
        [batch(120, dim=DIM), *(batch(5, dim=DIM, first=i) for i in range(200, first, 5))]
    )
    for handle in (index, writer, await store_at(tmp_path).open("docs")):
        assert rows_by_id(await scanned(handle)) == expected
        found = await handle.search(QUERY)
        assert {c.chunk_id for c in found.dense} == expected.keys()
        await handle.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["docs.lock", "docs.sqlite"]


async def test_an_unreadable_index_starts_empty(tmp_path: Path) -> None:
    path = tmp_path / "docs.sqlite"
    path.write_bytes(b"something else entirely" * 100)
    store = store_at(tmp_path)
    index = await store.create(IndexSpec("docs", DIM))
    for asked in (index.count(EVERYTHING), index.search(QUERY), index.upsert(batch(1, dim=DIM))):
        with pytest.raises(Rejected, match="rag doctor --fix"):
            await asked
    assert await index.repair() == 0
    assert await index.count(EVERYTHING) == 0
    await index.upsert(batch(30, dim=DIM))
    assert len((await index.search(QUERY)).dense) == 30
    await store.close()


async def test_a_damaged_dimension_is_no_other_dimension(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    index = await store.create(IndexSpec("docs", DIM))
    await index.upsert(batch(30, dim=DIM))
    for value in ("9", "-1", "'x'", "1e300"):
        with closing(sqlite3.connect(index.path)) as connection:
            connection.execute(f"UPDATE meta SET dim = {value}")
            connection.commit()
        with pytest.raises(Rejected, match="rag doctor --fix"):
            await store_at(tmp_path).open("docs")
        again = await store_at(tmp_path).create(IndexSpec("docs", DIM))
        assert await again.repair() == 0
        assert rows_by_id(await scanned(again)) == rows_by_id([batch(30, dim=DIM)])
        await again.close()
    await store.close()


def row_numbers(content: bytes) -> Iterator[int]:
    """Find the numbers of rows in the leaves of tables, where they are below 128."""
    for base in range(PAGE, len(content), PAGE):
        if content[base] == 13 and content[base + 3 : base + 5] != b"\0\0":
            for cell in range(int.from_bytes(content[base + 3 : base + 5], "big")):
                at = base + 8 + 2 * cell
                at = base + int.from_bytes(content[at : at + 2], "big")
                while content[at] > 127:  # the length of the row, in bytes of seven bits
                    at += 1
                yield at + 1


async def test_a_row_out_of_its_place_is_left_out(tmp_path: Path) -> None:
    """A damaged row number must neither hide the rows after it nor those still to come."""
    store = store_at(tmp_path)
    index = await store.create(IndexSpec("docs", DIM))
    await index.upsert(batch(30, dim=DIM))
    with closing(sqlite3.connect(index.path)) as connection:
        mirror = Mirror(DIM, removal=0)
        mirror.seq = 25
        follow(connection, mirror)
        assert (len(mirror), mirror.seq) == (5, 30)
    await index.close()
    content = bytearray(index.path.read_bytes())
    (at,) = [at for at in row_numbers(content) if content[at] == 16]
    content[at] = 126
    index.path.write_bytes(content)
    again = await store.open("docs")
    found = await again.search(QUERY)
    assert (len(found.dense), found.lost) == (29, 1)
    await again.upsert(batch(5, dim=DIM, first=30))
    assert len((await again.search(QUERY)).dense) == 34
    await again.repair()
    assert (await again.search(QUERY)).lost == 0
    await store.close()


async def test_an_index_that_lies_changes_no_other_row(tmp_path: Path) -> None:
    """The tree of documents leads from one document to the rows of another."""
    store = store_at(tmp_path)
    index = await store.create(IndexSpec("docs", DIM))
    rows = batch(8, dim=DIM)
    one, other = rows.chunks[0].document_id, rows.chunks[4].document_id
    crossed = [replace(c, text=other if c.document_id == one else one) for c in rows.chunks]
    rows = replace(rows, chunks=crossed)
    await index.upsert(rows)
    await index.close()
    for statement in (
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX rows_document ON rows (text)' "
        "WHERE name = 'rows_document'",
        "REINDEX",
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX rows_document ON rows (document)' "
        "WHERE name = 'rows_document'",
    ):
        with closing(sqlite3.connect(index.path)) as connection:
            connection.execute("PRAGMA writable_schema=ON")
            connection.execute(statement)
            connection.commit()
    again = await store.open("docs")
    assert await again.patch(Eq("document", one), {"title": "x"}) == 0
    assert await again.delete(Eq("document", one)) == 0
    assert await again.repair() == 0
    assert rows_by_id(await scanned(again)) == rows_by_id([rows])
    assert await again.delete(Eq("document", one)) == 4
    await store.close()


async def test_a_scan_ends_whatever_the_index_says(tmp_path: Path) -> None:
    """The leaves of the tree of ids stand in another order."""
    store = store_at(tmp_path)
    index = await store.create(IndexSpec("docs", DIM))
    rows = batch(1200, dim=DIM)
    rows = replace(rows, chunks=[replace(chunk, text="") for chunk in rows.chunks])
    await index.upsert(rows)
    await index.close()
    content, ids = bytearray(index.path.read_bytes()), [c.id.encode() for c in rows.chunks]
    first_ids = {
        base: min(id_ for id_ in ids if id_ in content[base : base + PAGE])
        for base in range(PAGE, len(content), PAGE)
        if content[base] == 10 and sum(id_ in content[base : base + PAGE] for id_ in ids) > 100
    }
    assert len(first_ids) > 3
    _, one, other, *_ = sorted(first_ids, key=first_ids.__getitem__)
    first, second = content[one : one + PAGE], content[other : other + PAGE]
    content[one : one + PAGE], content[other : other + PAGE] = second, first
    index.path.write_bytes(content)
    again = await store.open("docs")
    for size in (30, 300, 500, 700, 900):
        seen: list[str] = []
        async for part in again.scan(EVERYTHING, size=size):
            seen += [chunk.id for chunk in part.chunks]
            assert len(seen) == len(set(seen))
        assert 0 < len(seen) < 1200
    assert await again.repair() == 0
    assert rows_by_id(await scanned(again)) == rows_by_id([rows])
    await store.close()
