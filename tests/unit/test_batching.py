"""Questions embedded together get what they would get alone, whoever fails or leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import batching
from rag.batching import BatchingEmbedder
from rag.embedders.hashing import HashingEmbedder
from rag.errors import Rejected, Unavailable
from rag.types import Role
from rag.vectors import Embedded

WORDS = st.sampled_from(["one", "two words", "now three words", "bad", "four words in it", ""])
somebody: ContextVar[str] = ContextVar("somebody", default="nobody")


class Gated(HashingEmbedder):
    """The hashing embedder, whose calls pass a gate; it refuses every batch with a bad text."""

    def __init__(self, *, opened: bool = True) -> None:
        super().__init__(self.Options(dim=16))
        self.gate = asyncio.Event()
        if opened:
            self.gate.set()
        self.calls: list[list[str]] = []
        self.called = asyncio.Semaphore(0)
        self.cancelled = 0
        self.closed = False
        self.down = False
        self.asked_by: list[str] = []

    async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
        self.calls.append(list(texts))
        self.asked_by.append(somebody.get())
        self.called.release()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.down:
            raise Unavailable("down")
        if "bad" in texts and role == "query":
            raise Rejected("bad text")
        return self._embed(texts)

    async def close(self) -> None:
        self.closed = True


async def ask(embedder: BatchingEmbedder, text: str) -> Embedded | str:
    """Embed a question; return a failure's message."""
    try:
        return await embedder.embed([text], "query")
    except (Rejected, Unavailable) as exc:
        return exc.message


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


@given(
    arrivals=st.lists(
        st.tuples(WORDS, st.integers(0, 3), st.none() | st.integers(0, 6)), max_size=40
    ),
    down=st.booleans(),
)
async def test_whoever_stays_gets_what_it_would_get_alone(
    arrivals: list[tuple[str, int, int | None]], down: bool
) -> None:
    """Each arrives some steps after the one before, and some leave after some steps."""
    inner = Gated()
    inner.down = down
    embedder = BatchingEmbedder(inner)
    oracle = HashingEmbedder(HashingEmbedder.Options(dim=16))
    asked: list[tuple[str, asyncio.Task[Embedded | str]]] = []
    leaving: list[asyncio.Task[None]] = []

    async def leave(task: asyncio.Task[Embedded | str], steps: int) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()

    for text, pause, stay in arrivals:
        for _ in range(pause):
            await asyncio.sleep(0)
        task = asyncio.ensure_future(ask(embedder, text))
        asked.append((text, task))
        if stay is not None:
            leaving.append(asyncio.ensure_future(leave(task, stay)))
    await asyncio.gather(*leaving)
    async with asyncio.timeout(10):
        for text, task in asked:
            got = (await asyncio.gather(task, return_exceptions=True))[0]
            if isinstance(got, asyncio.CancelledError):
                continue
            if down:
                assert got == "down"
            elif text == "bad":
                assert got == "bad text"
            else:
                assert isinstance(got, Embedded)
                alone = await oracle.embed([text], "query")
                np.testing.assert_array_equal(got.vectors, alone.vectors)
                assert got.tokens == alone.tokens
    await embedder.close()


async def test_those_who_wait_are_the_next_batch_in_the_order_of_their_coming() -> None:
    inner = Gated(opened=False)
    embedder = BatchingEmbedder(inner)
    tasks = [asyncio.ensure_future(ask(embedder, "first"))]
    await settle()
    tasks += [asyncio.ensure_future(ask(embedder, f"text {n % 40}")) for n in range(50)]
    await settle()
    assert inner.calls == [["first"]]
    inner.gate.set()
    await asyncio.gather(*tasks)
    assert [sorted(call) for call in inner.calls[1:]] == [
        sorted(f"text {n}" for n in range(batching.ITEMS)),
        sorted(f"text {n % 40}" for n in range(batching.ITEMS, 50)),
    ]
    await embedder.close()


async def test_a_batch_is_bounded_by_tokens_but_never_empty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batching, "TOKENS", 5)
    inner = Gated(opened=False)
    embedder = BatchingEmbedder(inner)
    texts = ["a b c", "d e", "f", "g h i j k l m", "n"]
    tasks = [asyncio.ensure_future(ask(embedder, text)) for text in texts]
    inner.gate.set()
    await asyncio.gather(*tasks)
    assert inner.calls == [["d e", "a b c"], ["f"], ["g h i j k l m"], ["n"]]
    await embedder.close()


async def test_a_call_that_nobody_waits_for_is_ended() -> None:
    inner = Gated(opened=False)
    embedder = BatchingEmbedder(inner)
    first = [asyncio.ensure_future(ask(embedder, text)) for text in ("a", "b")]
    await settle()
    left = asyncio.ensure_future(ask(embedder, "c"))
    await settle()
    left.cancel()
    first[0].cancel()
    await settle()
    assert inner.cancelled == 0
    first[1].cancel()
    await settle()
    assert inner.cancelled == 1
    inner.gate.set()
    assert isinstance(await ask(embedder, "d"), Embedded)
    assert inner.calls == [["a", "b"], ["d"]]  # who left while waiting was never asked for
    await embedder.close()


async def test_a_call_that_stalls_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batching, "STALLED_S", 0.01)
    inner = Gated(opened=False)
    embedder = BatchingEmbedder(inner)
    stalled = asyncio.ensure_future(ask(embedder, "stalled"))
    await settle()
    other = asyncio.ensure_future(ask(embedder, "other"))
    async with asyncio.timeout(5):
        await inner.called.acquire()
        await inner.called.acquire()
    stalled.cancel()
    inner.gate.set()
    assert isinstance(await other, Embedded)
    await embedder.close()


async def test_no_more_calls_are_under_way_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "STALLED_S", 0.0)
    inner = Gated(opened=False)
    embedder = BatchingEmbedder(inner)
    tasks = []
    for n in range(batching.CALLS + 3):
        tasks.append(asyncio.ensure_future(ask(embedder, f"text {n}")))
        await settle()
    assert len(inner.calls) == batching.CALLS
    inner.gate.set()
    assert all(isinstance(got, Embedded) for got in await asyncio.gather(*tasks))
    await embedder.close()


async def test_with_a_window_the_first_waits_for_others() -> None:
    inner = Gated()
    embedder = BatchingEmbedder(inner, window_s=0.05)
    first = asyncio.ensure_future(ask(embedder, "first"))
    await settle()
    assert inner.calls == []
    await asyncio.gather(first, ask(embedder, "second"))
    assert inner.calls == [["first", "second"]]
    await embedder.close()


async def test_passages_and_lists_go_through_as_they_are() -> None:
    inner = Gated()
    embedder = BatchingEmbedder(inner)
    await embedder.embed(["a", "b", "a"], "query")
    await embedder.embed(["bad"], "passage")
    assert inner.calls == [["a", "b", "a"], ["bad"]]
    await embedder.close()


async def test_a_call_carries_the_context_of_no_caller() -> None:
    inner = Gated()
    embedder = BatchingEmbedder(inner)
    somebody.set("caller")
    await embedder.embed(["a"], "query")
    assert inner.asked_by == ["nobody"]
    await embedder.close()


async def test_closing_ends_what_is_under_way_and_what_waits() -> None:
    inner = Gated(opened=False)
    embedder = BatchingEmbedder(inner)
    tasks = [asyncio.ensure_future(ask(embedder, "a"))]
    await settle()
    tasks.append(asyncio.ensure_future(ask(embedder, "b")))
    await settle()
    await embedder.close()
    got = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError) for one in got)
    assert (inner.cancelled, inner.closed) == (1, True)
    await embedder.close()


async def test_the_port_is_the_embedders_own() -> None:
    inner = HashingEmbedder(HashingEmbedder.Options(dim=8))
    outer = BatchingEmbedder(inner)
    assert (outer.fingerprint, outer.dim, outer.max_tokens) == (inner.fingerprint, 8, 256)
    assert outer.overhead_tokens == 0
    assert outer.count_tokens(["two words"]) == [2]
    assert outer.unknown_share(["x"]) == 0
