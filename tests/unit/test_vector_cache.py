"""The vector cache: what is embedded how often, what is shared, what is thrown away first."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from indexers.cached_embedder import CachedEmbedder
from indexers.vector_cache import VectorCache
from rag.embedders.hashing import HashingEmbedder
from rag.embedding import RetryingEmbedder
from rag.errors import Rejected, Unavailable
from rag.settings import Embedding
from rag.types import Role
from rag.vectors import Embedded, Matrix

DIM = 8
ROW = DIM * 4 + 8  # and a checksum


class Counting(HashingEmbedder):
    """The hashing embedder, with a book of what it was asked and a door that can be shut."""

    def __init__(self, name: str = "one") -> None:
        super().__init__(self.Options(dim=DIM))
        self.fingerprint = name
        self.asked: Counter[str] = Counter()
        self.called = asyncio.Event()
        self.door = asyncio.Event()
        self.door.set()

    async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
        assert role == "passage"
        self.asked.update(texts)
        self.called.set()
        await self.door.wait()
        return await super().embed(texts, role)


class Spoiling(HashingEmbedder):
    """The hashing embedder with something done to its vectors."""

    def __init__(self, spoil: Callable[[Matrix], Matrix]) -> None:
        super().__init__(self.Options(dim=DIM))
        self.spoil = spoil

    async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
        embedded = await super().embed(texts, role)
        return Embedded(self.spoil(embedded.vectors), embedded.tokens)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "vectors.sqlite"


@pytest.fixture
async def cache(path: Path) -> AsyncIterator[VectorCache]:
    opened = VectorCache(path, max_bytes=2**20)
    yield opened
    await opened.close()


def kept(path: Path) -> dict[bytes, int]:
    """Return the keys in the file with the bytes of their vectors."""
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT key, length(vector) FROM vectors"))


async def _turn(cache: VectorCache) -> None:
    """Let every other task ask the file, get its answer and go on from there."""
    await asyncio.sleep(0)
    await cache.claim([])
    await asyncio.sleep(0)


async def embed(cached: CachedEmbedder, texts: Sequence[str], owner: str = "d") -> Embedded:
    """Embed texts of one document."""
    return await cached.embed_passages(texts, [owner] * len(texts))


async def plain(texts: Sequence[str]) -> Matrix:
    embedder = HashingEmbedder(HashingEmbedder.Options(dim=DIM))
    return (await embedder.embed(texts, "passage")).vectors


# --- embedded once -------------------------------------------------------------------------------


@pytest.mark.parametrize("with_file", [True, False])
async def test_each_distinct_text_is_embedded_once(cache: VectorCache, with_file: bool) -> None:
    embedder = Counting()
    cached = CachedEmbedder(embedder, cache if with_file else None, "acme")
    texts = ["b", "a", "b", "c", "a", ""]
    embedded = await embed(cached, texts)
    np.testing.assert_array_equal(embedded.vectors, await plain(texts))
    assert embedded.tokens == 3  # of the three texts that have a word, once each
    assert embedder.asked == Counter({"b": 1, "a": 1, "c": 1, "": 1})


async def test_a_second_run_embeds_what_is_new(cache: VectorCache, path: Path) -> None:
    await embed(CachedEmbedder(Counting(), cache, "acme"), ["a", "b"])
    await cache.close()
    reopened, embedder = VectorCache(path, max_bytes=2**20), Counting()
    embedded = await embed(CachedEmbedder(embedder, reopened, "acme"), ["b", "c", "a"])
    np.testing.assert_array_equal(embedded.vectors, await plain(["b", "c", "a"]))
    assert (embedder.asked, embedded.tokens) == (Counter({"c": 1}), 1)
    await reopened.close()


async def test_no_texts_ask_nobody(cache: VectorCache) -> None:
    embedder = Counting()
    embedded = await embed(CachedEmbedder(embedder, cache, "acme"), [])
    assert embedded.vectors.shape == (0, DIM)
    assert not embedder.called.is_set()


async def test_more_texts_than_one_statement_takes(cache: VectorCache) -> None:
    texts = [f"text {n}" for n in range(1201)]
    await embed(CachedEmbedder(Counting(), cache, "acme"), texts)
    embedder = Counting()
    embedded = await embed(CachedEmbedder(embedder, cache, "acme"), texts)
    np.testing.assert_array_equal(embedded.vectors, await plain(texts))
    assert not embedder.asked


@pytest.mark.parametrize("with_file", [True, False])
async def test_what_is_under_way_is_awaited(cache: VectorCache, with_file: bool) -> None:
    embedder = Counting()
    embedder.door.clear()
    cached = CachedEmbedder(embedder, cache if with_file else None, "acme")
    wanted = (["a", "b"], ["b", "c"], ["c", "a"], ["a"])
    first = asyncio.create_task(embed(cached, wanted[0]))
    await embedder.called.wait()
    others = [asyncio.create_task(embed(cached, texts)) for texts in wanted[1:]]
    embedder.door.set()
    results = await asyncio.gather(first, *others)
    for texts, embedded in zip(wanted, results, strict=True):
        np.testing.assert_array_equal(embedded.vectors, await plain(texts))
    assert embedder.asked == Counter("abc")
    assert sum(embedded.tokens for embedded in results) == 3


async def test_a_waiter_that_gives_up_ends_only_itself(cache: VectorCache) -> None:
    embedder = Counting()
    embedder.door.clear()
    cached = CachedEmbedder(embedder, cache, "acme")
    first = asyncio.create_task(embed(cached, ["a"]))
    await embedder.called.wait()
    waiter = asyncio.create_task(embed(cached, ["a"]))
    await _turn(cache)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    embedder.door.set()
    np.testing.assert_array_equal((await first).vectors, await plain(["a"]))


async def test_tenants_and_models_share_nothing(cache: VectorCache, path: Path) -> None:
    pairs = [("acme", "one"), ("acme", "two"), ("other", "one"), ("acme\0one", ""), ("acm", "eone")]
    for tenant, fingerprint in pairs:
        embedder = Counting(fingerprint)
        await embed(CachedEmbedder(embedder, cache, tenant), ["same"])
        assert embedder.asked == Counter(["same"])
    assert len(kept(path)) == len(pairs)
    assert b"same" not in path.read_bytes()  # the text itself is not kept


# --- eviction ------------------------------------------------------------------------------------


async def test_the_file_stays_under_its_limit(path: Path) -> None:
    cache = VectorCache(path, max_bytes=20 * ROW)
    cached = CachedEmbedder(Counting(), cache, "acme")
    for start in range(0, 200, 7):
        texts = [f"text {n}" for n in range(start, start + 7)]
        embedded = await embed(cached, texts)
        np.testing.assert_array_equal(embedded.vectors, await plain(texts))
        assert 0 < sum(kept(path).values()) <= 20 * ROW
    await cache.close()


async def test_the_longest_unused_go_first(path: Path) -> None:
    cache = VectorCache(path, max_bytes=10 * ROW)
    await cache.put({bytes([n]): bytes(ROW - 8) for n in range(10)})
    with closing(sqlite3.connect(path)) as connection, connection:  # as if days had passed
        for n in range(10):
            connection.execute("UPDATE vectors SET used = ? WHERE key = ?", (100 - n, bytes([n])))
    assert list(await cache.claim([("d", bytes([9]))])) == [bytes([9])]  # the oldest is used today
    await cache.put({bytes([20]): bytes(ROW - 8)})
    assert sorted(kept(path)) == [bytes([n]) for n in (0, 1, 2, 3, 4, 5, 6, 9, 20)]
    await cache.close()


async def test_a_limit_of_nothing_keeps_nothing(path: Path) -> None:
    cache = VectorCache(path, max_bytes=0)
    embedder = Counting()
    cached = CachedEmbedder(embedder, cache, "acme")
    for _ in range(2):
        np.testing.assert_array_equal((await embed(cached, ["a"])).vectors, await plain(["a"]))
    assert (embedder.asked, kept(path)) == (Counter({"a": 2}), {})
    await cache.close()


# --- failures ------------------------------------------------------------------------------------


async def test_bad_vectors_are_refused_and_not_kept(cache: VectorCache, path: Path) -> None:
    spoiling = RetryingEmbedder(Spoiling(lambda v: v * 2), "mine", Embedding())
    cached = CachedEmbedder(spoiling, cache, "acme")
    for _ in range(2):  # nothing is left under way for the second to wait for
        with pytest.raises(Rejected, match="vector 0 has squared length 4, not 1"):
            await embed(cached, ["a", "b"])
    assert kept(path) == {}


async def test_a_failing_embedder_fails_its_waiters_and_may_be_asked_again(
    cache: VectorCache,
) -> None:
    class Failing(Counting):
        broken = True

        async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
            embedded = await super().embed(texts, role)
            if self.broken:
                raise Unavailable("the model is away")
            return embedded

    embedder = Failing()
    embedder.door.clear()
    cached = CachedEmbedder(embedder, cache, "acme")
    first = asyncio.create_task(embed(cached, ["a", "b"]))
    await embedder.called.wait()
    waiter = asyncio.create_task(embed(cached, ["b"]))
    await _turn(cache)
    embedder.door.set()
    for task in (first, waiter):
        with pytest.raises(Unavailable, match="the model is away"):
            await task
    assert embedder.asked == Counter("ab")
    embedder.broken = False
    np.testing.assert_array_equal(
        (await embed(cached, ["b", "a"])).vectors, await plain(["b", "a"])
    )


async def test_a_damaged_file_is_replaced(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_bytes(b"something else " * 500)
    cache = VectorCache(path, max_bytes=2**20)
    await embed(CachedEmbedder(Counting(), cache, "acme"), ["a"])
    assert "is damaged" in caplog.text
    assert len(kept(path)) == 1
    await cache.close()
    await cache.close()


async def test_a_place_that_takes_no_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    cache = VectorCache(tmp_path / "cache" / "vectors.sqlite", max_bytes=2**20)
    with pytest.raises(Unavailable, match="delete the file"):
        await embed(CachedEmbedder(Counting(), cache, "acme"), ["a"])
    await cache.close()


async def test_a_flipped_bit_costs_only_time(cache: VectorCache, path: Path) -> None:
    await embed(CachedEmbedder(Counting(), cache, "acme"), ["a", "b"])
    with closing(sqlite3.connect(path)) as connection, connection:
        (key, vector) = connection.execute("SELECT key, vector FROM vectors").fetchone()
        flipped = bytes([vector[0], *vector[1:-1], vector[-1] ^ 1])
        connection.execute("UPDATE vectors SET vector = ? WHERE key = ?", (flipped, key))
    embedder = Counting()
    embedded = await embed(CachedEmbedder(embedder, cache, "acme"), ["a", "b"])
    np.testing.assert_array_equal(embedded.vectors, await plain(["a", "b"]))
    assert embedder.asked.total() == 1


# --- owners --------------------------------------------------------------------------------------


async def test_vectors_go_with_the_last_document_that_had_them(
    cache: VectorCache, path: Path
) -> None:
    cached = CachedEmbedder(Counting(), cache, "acme")
    await embed(cached, ["mine", "shared"], "one")
    await embed(cached, ["shared", "other"], "two")
    vectors = await plain(["mine", "shared", "other"])
    await cache.forget(["one"])
    content = path.read_bytes()  # not a byte is left, and nothing waits in the log
    assert [row.tobytes() in content for row in vectors] == [False, True, True]
    assert await cache.owners() == {"two"}
    await cache.forget(["two", "nobody"])
    content = path.read_bytes() + path.with_name(f"{path.name}-wal").read_bytes()
    assert [row.tobytes() in content for row in vectors] == [False, False, False]
    assert await cache.owners() == set()


async def test_a_file_without_owners_is_emptied(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE vectors (key BLOB PRIMARY KEY, vector BLOB, used INTEGER)")
        connection.execute("INSERT INTO vectors VALUES (x'01', x'02', 1)")
    cache = VectorCache(path, max_bytes=2**20)
    assert await cache.owners() == set()
    assert kept(path) == {}
    await cache.close()


async def test_forgetting_makes_no_file(path: Path) -> None:
    cache = VectorCache(path, max_bytes=2**20)
    await cache.forget(["one"])
    assert await cache.owners() == set()
    assert not path.exists()
    await cache.close()


async def test_several_runs_may_open_a_new_cache_at_once(tmp_path: Path) -> None:
    for n in range(20):
        caches = [VectorCache(tmp_path / str(n) / "vectors.sqlite", 10**6) for _ in range(4)]
        await asyncio.gather(*(c.put({bytes([i]): b"four"}) for i, c in enumerate(caches)))
        assert set(await caches[0].claim([("d", bytes([i])) for i in range(4)])) == {
            b"\0",
            b"\1",
            b"\2",
            b"\3",
        }
        for cache in caches:
            await cache.close()
