"""Trying again: who, how often, how long, and what the wrapped embedder lets through."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence

import numpy as np
import pytest

from rag import retrying
from rag.embedders.hashing import HashingEmbedder
from rag.embedding import RetryingEmbedder
from rag.errors import Rejected, Unavailable
from rag.retrying import Patience
from rag.runtime import Runtime
from rag.settings import Embedding
from rag.testing.waiting import FakeTime
from rag.types import Role
from rag.vectors import Embedded, Matrix

LONG = Patience(timeout_s=10.0, attempts=6, budget_s=100.0, backoff_s=1.0)


def scripted(*answers: str | Exception) -> Callable[[], Awaitable[str]]:
    """Give these answers one after the other."""
    left: Iterator[str | Exception] = iter(answers)

    async def work() -> str:
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return work


def away(times: int, *, retry_after: float | None = None) -> list[Exception]:
    return [Unavailable("away", hint="start it", retry_after=retry_after) for _ in range(times)]


async def test_what_works_is_asked_once() -> None:
    time = FakeTime()
    assert await time.retrying("it").call(scripted("yes"), LONG) == "yes"
    assert time.slept == []


async def test_waits_double_up_to_a_bound() -> None:
    time = FakeTime()
    patience = Patience(timeout_s=10, attempts=9, budget_s=1000, backoff_s=1)
    assert await time.retrying("it").call(scripted(*away(8), "yes"), patience) == "yes"
    assert time.slept == [1, 2, 4, 8, 16, 30, 30, 30]


async def test_waits_are_drawn_between_nothing_and_the_bound() -> None:
    time, rng = FakeTime(), random.Random(5)
    for _ in range(200):
        call = time.retrying("it", draw=rng.random).call(scripted(*away(1), "yes"), LONG)
        assert await call == "yes"
    assert len(time.slept) == 200
    assert 0 <= min(time.slept) < 0.05
    assert 0.95 < max(time.slept) <= 1


async def test_attempts_are_bounded() -> None:
    time = FakeTime()
    answers = scripted(*away(6), "too late")
    with pytest.raises(Unavailable) as found:
        await time.retrying("the model").call(answers, LONG)
    assert found.value.message == "the model failed 6 times in 31 s, at last: away"
    assert found.value.hint == "start it"
    assert await answers() == "too late"


async def test_one_attempt_retries_nothing_and_adds_nothing() -> None:
    once = Patience(timeout_s=10, attempts=1, budget_s=100, backoff_s=1)
    with pytest.raises(Unavailable, match=r"^away; start it$"):
        await FakeTime().retrying("it").call(scripted(*away(1)), once)


async def test_the_time_is_bounded() -> None:
    time = FakeTime()
    hurried = Patience(timeout_s=10, attempts=100, budget_s=10, backoff_s=1)
    with pytest.raises(Unavailable, match="failed 4 times in 7 s"):
        await time.retrying("it").call(scripted(*away(100)), hurried)
    assert time.slept == [1, 2, 4]  # another 8 would be over the budget


@pytest.mark.parametrize("error", [Rejected("no"), ValueError("bug"), TimeoutError("its own")])
async def test_only_what_may_pass_is_tried_again(error: Exception) -> None:
    time = FakeTime()
    with pytest.raises(type(error), match=str(error)):
        await time.retrying("it").call(scripted(error, "never"), LONG)
    assert time.slept == []


# --- asked to wait -------------------------------------------------------------------------------


async def test_the_wait_that_is_asked_for_is_kept_and_everybody_keeps_it() -> None:
    time = FakeTime()
    shared = time.retrying("it", draw=lambda: 0.5)
    assert await shared.call(scripted(*away(1, retry_after=20), "yes"), LONG) == "yes"
    assert time.passed == 20.5
    once = Patience(timeout_s=10, attempts=1, budget_s=100, backoff_s=1)
    with pytest.raises(Unavailable):
        await shared.call(scripted(*away(1, retry_after=20)), once)
    asked: list[float] = []

    async def other() -> None:
        asked.append(time.passed)

    await shared.call(other, LONG)
    assert asked == [40.5]


async def test_a_wait_longer_than_the_budget_is_not_begun() -> None:
    time = FakeTime()
    shared = time.retrying("the model")
    with pytest.raises(Unavailable, match="away") as found:
        await shared.call(scripted(*away(1, retry_after=3600)), LONG)
    assert found.value.retry_after == 3600
    asked = scripted("not asked")
    with pytest.raises(Unavailable, match="the model asked to be left alone for another") as found:
        await shared.call(asked, LONG)
    assert found.value.retry_after == 3600
    assert await asked() == "not asked"
    assert time.slept == []


# --- the share of retries ------------------------------------------------------------------------


@pytest.mark.parametrize(("failing", "most"), [(0.1, 1.15), (0.5, 1.25), (1.0, 1.25)])
async def test_retries_are_a_share_of_calls(failing: float, most: float) -> None:
    rng, time = random.Random(7), FakeTime()
    shared, attempts, calls, failed = time.retrying("it", draw=rng.random), 0, 1000, 0

    async def work() -> None:
        nonlocal attempts
        attempts += 1
        if rng.random() < failing:
            raise Unavailable("away")

    for _ in range(calls):
        try:
            await shared.call(work, LONG)
        except Unavailable:
            failed += 1
    assert attempts > calls
    assert attempts / calls <= most
    assert (failed == 0) == (failing == 0.1)


async def test_calls_that_need_no_retry_earn_only_a_reserve() -> None:
    shared, attempts = FakeTime().retrying("it"), 0
    for _ in range(1000):
        await shared.call(scripted("yes"), LONG)

    async def work() -> None:
        nonlocal attempts
        attempts += 1
        raise Unavailable("away")

    for _ in range(4):
        with pytest.raises(Unavailable):
            await shared.call(work, LONG)
    assert attempts == 4 + retrying.RESERVE


# --- deadlines -----------------------------------------------------------------------------------


async def test_what_hangs_ends_by_the_deadline_and_is_asked_again() -> None:
    time, asked = FakeTime(), 0

    async def work() -> str:
        nonlocal asked
        asked += 1
        if asked == 1:
            await time.hang()
        return "yes"

    assert await time.retrying("it").call(work, LONG) == "yes"
    assert time.passed == 10 + 1


async def test_what_always_hangs_is_named() -> None:
    time = FakeTime()
    with pytest.raises(Unavailable, match="the model gave no answer within") as found:
        await time.retrying("the model").call(time.hang, LONG)
    assert "failed 6 times in 91 s" in found.value.message  # 6 deadlines, 5 waits
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_last_deadline_ends_with_the_budget() -> None:
    time = FakeTime()
    patience = Patience(timeout_s=10, attempts=6, budget_s=15, backoff_s=1)
    with pytest.raises(Unavailable, match=r"failed 2 times in 15 s.* no answer within 4 s"):
        await time.retrying("it").call(time.hang, patience)


async def test_a_real_deadline_ends_a_real_wait() -> None:
    forever = asyncio.Event()
    patience = Patience(timeout_s=0.01, attempts=1, budget_s=1, backoff_s=1)
    with pytest.raises(Unavailable, match=r"it gave no answer within 0\.01 s"):
        await retrying.Retrying("it").call(forever.wait, patience)


async def test_a_caller_that_gives_up_is_not_held() -> None:
    time, asked = FakeTime(), asyncio.Event()

    async def work() -> None:
        asked.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(time.retrying("it").call(work, LONG))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.slept == []


# --- the embedder --------------------------------------------------------------------------------


class Spoiled(HashingEmbedder):
    """The hashing embedder with something done to its vectors."""

    def __init__(self, spoil: Callable[[Matrix], Matrix]) -> None:
        super().__init__(self.Options(dim=8))
        self.spoil = spoil

    async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
        embedded = await super().embed(texts, role)
        return Embedded(self.spoil(embedded.vectors), embedded.tokens)


@pytest.mark.parametrize("role", ["passage", "query"])
@pytest.mark.parametrize(
    ("spoil", "wrong"),
    [
        (lambda v: v[:-1], r"shape \(1, 8\) for 2 texts and dimension 8"),
        (lambda v: np.concatenate([v, v]), r"shape \(4, 8\) for 2 texts"),
        (lambda v: v[:, :-1].copy(), r"shape \(2, 7\)"),
        (lambda v: v.reshape(-1), r"shape \(16,\)"),
        (lambda v: np.full_like(v, np.nan), "squared length nan"),
        (lambda v: np.full_like(v, np.inf), "squared length inf"),
        (lambda v: v * 2, "squared length 4"),
        (lambda v: v * 0, "squared length 0"),
        (lambda v: v.astype(np.float64), "float64"),
        (lambda v: np.asfortranarray(v), "contiguous"),
    ],
    ids="fewer more narrower flat nan infinite longer zero double transposed".split(),
)
async def test_wrong_vectors_are_rejected(
    spoil: Callable[[Matrix], Matrix], wrong: str, role: Role
) -> None:
    time = FakeTime()
    embedder = RetryingEmbedder(
        Spoiled(spoil), "mine", Embedding(), retrying=time.retrying("the embedder 'mine'")
    )
    with pytest.raises(Rejected, match=rf"the embedder 'mine' gave .*{wrong}"):
        await embedder.embed(["a", "b"], role)
    assert time.slept == []


@pytest.mark.parametrize(("role", "waits"), [("passage", [2, 4, 8, 16, 30]), ("query", [0.2, 0.4])])
async def test_a_question_waits_a_tenth_as_long_and_less_often(
    role: Role, waits: list[float]
) -> None:
    class Away(HashingEmbedder):
        async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
            raise Unavailable("away")

    time = FakeTime()
    embedder = RetryingEmbedder(
        Away(Away.Options()), "mine", Embedding(), retrying=time.retrying("mine")
    )
    with pytest.raises(Unavailable, match=f"failed {len(waits) + 1} times"):
        await embedder.embed(["a"], role)
    assert time.slept == pytest.approx(waits)
    time.slept.clear()
    with pytest.raises(Unavailable, match="failed 3 times"):
        await embedder.hurried().embed(["a"], role)
    assert time.slept == pytest.approx([0.2, 0.4])


async def test_a_question_does_not_wait_for_a_service_that_wants_to_be_left_alone() -> None:
    class Busy(HashingEmbedder):
        asked = 0

        async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
            self.asked += 1
            raise Unavailable("busy", retry_after=20)

    time, inner = FakeTime(), Busy(Busy.Options())
    embedder = RetryingEmbedder(inner, "mine", Embedding(), retrying=time.retrying("mine"))
    for _ in range(2):
        with pytest.raises(Unavailable) as raised:
            await embedder.embed(["a"], "query")
        assert raised.value.retry_after == 20
    assert (inner.asked, time.slept) == (1, [])


async def test_the_runtime_hands_out_embedders_of_this_kind(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled = Spoiled(lambda v: v[:-1])
    monkeypatch.setattr("rag.runtime.make_plugin", lambda *given: spoiled)
    with pytest.raises(Rejected, match=r"the embedder 'hashing' gave vectors of shape \(0, 8\)"):
        await runtime.named_embedder("hashing").embed(["a"], "query")


async def test_the_port_is_the_embedders_own() -> None:
    inner = HashingEmbedder(HashingEmbedder.Options(dim=8))
    outer = RetryingEmbedder(inner, "mine", Embedding())
    assert (outer.fingerprint, outer.dim, outer.max_tokens) == (inner.fingerprint, 8, 256)
    assert outer.overhead_tokens == 0
    assert outer.count_tokens(["two words"]) == [2]
    assert outer.unknown_share(["x"]) == 0
    ours, theirs = await outer.embed(["a"], "query"), await inner.embed(["a"], "query")
    np.testing.assert_array_equal(ours.vectors, theirs.vectors)
    await outer.close()
