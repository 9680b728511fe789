"""Turns are fair and never lost; a breaker lets nothing through while it is open but one trial."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.embedders.hashing import HashingEmbedder
from rag.errors import Overloaded, RagError, Rejected, Unavailable, UserError
from rag.guarded import GuardedCatalog, GuardedEmbedder, GuardedLLM, GuardedReranker, GuardedRows
from rag.guarding import HUNG_S, Breaker, Guard, Limit
from rag.messages import Delta, Message
from rag.retrying import Patience
from rag.settings import Dependency
from rag.testing.waiting import FakeTime
from rag.types import Role
from rag.vectors import Embedded

DEPENDENCY = Dependency(concurrency=2, queue=2, failures=3, open_s=1.0)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def broken(time: FakeTime, failures: int = 3) -> Breaker:
    return Breaker("the model", failures=failures, open_s=1.0, now=time.now)


def attempt(breaker: Breaker, outcome: BaseException | None = None) -> str:
    """Call once; tell whether it was let through."""
    called = False
    harmless = (Unavailable, Rejected, UserError, ValueError, asyncio.CancelledError)
    with suppress(*harmless), breaker.attempt():
        called = True
        if outcome is not None:
            raise outcome
    return "called" if called else "refused"


# --- limits --------------------------------------------------------------------------------------


async def test_turns_are_given_in_the_order_of_coming_and_the_rest_is_refused() -> None:
    limit, order = Limit("the model", concurrency=2, queue=3), []
    gate = asyncio.Event()

    async def work(n: int) -> None:
        async with limit.turn():
            order.append(n)
            await gate.wait()

    tasks = [asyncio.ensure_future(work(n)) for n in range(6)]
    await settle()
    assert order == [0, 1]
    with pytest.raises(Overloaded, match="too much is asked of the model") as refused:
        await tasks[5]
    assert refused.value.retry_after == 1
    gate.set()
    await asyncio.gather(*tasks[:5])
    assert order == [0, 1, 2, 3, 4]


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 4), st.none() | st.integers(0, 8)), max_size=30
    ),
    concurrency=st.integers(1, 3),
    queue=st.integers(0, 5),
)
async def test_no_turn_is_lost_whoever_leaves(
    steps: list[tuple[int, int, int | None]], concurrency: int, queue: int
) -> None:
    """Each comes some steps after the one before, works some steps, and may leave at any step."""
    limit = Limit("it", concurrency=concurrency, queue=queue)
    now = most = 0

    async def pause(count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def work(count: int) -> None:
        nonlocal now, most
        async with limit.turn():
            now += 1
            most = max(most, now)
            try:
                await pause(count)
            finally:
                now -= 1

    async def leave(task: asyncio.Task[None], count: int) -> None:
        await pause(count)
        task.cancel()

    tasks, leaving = [], []
    for come, stay, patience in steps:
        await pause(come)
        tasks.append(asyncio.ensure_future(work(stay)))
        if patience is not None:
            leaving.append(asyncio.ensure_future(leave(tasks[-1], patience)))
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks, *leaving, return_exceptions=True)
    assert most <= concurrency
    assert now == 0
    async with asyncio.timeout(10), AsyncExitStack() as held:
        for _ in range(concurrency):  # all turns are back
            await held.enter_async_context(limit.turn())


# --- breakers ------------------------------------------------------------------------------------


def test_it_opens_after_failures_in_a_row_and_closes_after_one_good_trial() -> None:
    time = FakeTime()
    breaker = broken(time)
    down = Unavailable("down")
    assert [attempt(breaker, e) for e in (down, down, None, down, down)] == ["called"] * 5
    assert breaker.closed
    attempt(breaker, down)
    assert not breaker.closed
    with pytest.raises(Unavailable, match="failed 3 times in a row and is left alone") as refused:
        breaker.check()
    assert refused.value.retry_after == 1.0
    assert attempt(breaker) == "refused"
    time.passed += 1.0
    assert attempt(breaker, down) == "called"  # a trial, in vain
    assert attempt(breaker) == "refused"
    time.passed += 1.0
    assert attempt(breaker) == "called"
    assert breaker.closed
    assert attempt(breaker) == "called"


def test_while_a_trial_is_under_way_the_others_are_refused() -> None:
    time = FakeTime()
    breaker = broken(time, failures=1)
    attempt(breaker, Unavailable("down"))
    time.passed += 1.0
    with breaker.attempt():
        assert [attempt(breaker) for _ in range(3)] == ["refused"] * 3
        time.passed += 1.0  # it hangs: somebody else may try
        assert attempt(breaker, Unavailable("down")) == "called"
        assert attempt(breaker) == "refused"
    assert breaker.closed


def test_a_trial_whose_caller_leaves_is_no_trial() -> None:
    time = FakeTime()
    breaker = broken(time, failures=1)
    attempt(breaker, Unavailable("down"))
    time.passed += 1.0
    assert attempt(breaker, asyncio.CancelledError()) == "called"
    assert not breaker.closed
    assert attempt(breaker) == "called"
    assert breaker.closed


@pytest.mark.parametrize(
    "outcome", [Rejected("no"), UserError("wrong"), ValueError("?"), asyncio.CancelledError(), None]
)
def test_what_is_no_failure_never_opens_it(outcome: BaseException | None) -> None:
    breaker = broken(FakeTime(), failures=1)
    assert [attempt(breaker, outcome) for _ in range(5)] == ["called"] * 5


def test_an_answer_of_any_kind_ends_a_row_of_failures() -> None:
    breaker = broken(FakeTime())
    for _ in range(5):
        for outcome in (Unavailable("down"), Unavailable("down"), Rejected("no")):
            assert attempt(breaker, outcome) == "called"


def test_a_call_that_hung_until_its_caller_gave_up_is_a_failure() -> None:
    time = FakeTime()
    breaker = broken(time, failures=2)
    for _ in range(2):
        with suppress(asyncio.CancelledError), breaker.attempt():
            time.passed += HUNG_S
            raise asyncio.CancelledError
    assert not breaker.closed


def test_a_stream_that_spoke_did_not_hang() -> None:
    time = FakeTime()
    breaker = broken(time, failures=1)
    with suppress(GeneratorExit), breaker.attempt() as lives:
        lives()
        time.passed += 100
        raise GeneratorExit
    assert breaker.closed
    with suppress(Unavailable), breaker.attempt() as lives:
        lives()
        raise Unavailable("cut")
    assert not breaker.closed


@given(
    events=st.lists(
        st.tuples(st.sampled_from(["down", "fine", "wait"]), st.floats(0, 3)), max_size=60
    )
)
def test_it_does_what_the_rule_says(events: list[tuple[str, float]]) -> None:
    """Compare with a model: the length of the row, and when the last failure was."""
    time = FakeTime()
    breaker = broken(time)
    row, last = 0, 0.0
    for event, seconds in events:
        if event == "wait":
            time.passed += seconds
            continue
        through = row < 3 or time.passed - last >= 1.0
        outcome = Unavailable("down") if event == "down" else None
        assert attempt(breaker, outcome) == ("called" if through else "refused")
        if through:
            row = row + 1 if outcome else 0
            last = time.passed


# --- both ----------------------------------------------------------------------------------------


async def test_an_open_breaker_refuses_before_the_queue() -> None:
    guard = Guard("the model", DEPENDENCY)
    hanging = [asyncio.ensure_future(guard.call(asyncio.Event().wait)) for _ in range(2)]
    await settle()
    for _ in range(3):
        attempt(guard.breaker, Unavailable("down"))
    async with asyncio.timeout(1):
        with pytest.raises(Unavailable, match="left alone"):
            await guard.call(asyncio.Event().wait)
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)


class Service(HashingEmbedder):
    """Everything at once that can be guarded."""

    model, context_tokens = "model", 100

    def __init__(self) -> None:
        super().__init__(self.Options(dim=8))
        self.calls = 0
        self.error: RagError | None = None
        self.closed = False

    def _called(self) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error

    async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
        self._called()
        return self._embed(texts)

    async def stream(self, messages: Sequence[Message], **_: object) -> AsyncGenerator[Delta, None]:
        try:
            yield Delta("one")
            self._called()
            yield Delta("two", finish="stop")
        finally:
            self.closed = True

    async def score(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        self._called()
        return [1.0 for _ in passages]

    async def search(self, search: object) -> str:
        self._called()
        return "found"

    async def fetch(self, ids: Sequence[str]) -> dict[str, object]:
        self._called()
        return {}

    async def read(self, work: object, *args: object) -> object:
        self._called()
        return args


@pytest.mark.parametrize("kind", ["embedder", "reranker", "search", "fetch", "catalog"])
async def test_every_port_is_refused_at_once_after_failures(kind: str) -> None:
    service, time = Service(), FakeTime()
    guard = Guard("the service", DEPENDENCY)
    guard.breaker._now = time.now
    once = Patience(timeout_s=10, attempts=1, budget_s=10, backoff_s=1)
    embedder = GuardedEmbedder(service, guard)
    reranker = GuardedReranker(service, guard, time.retrying("it"), once)  # type: ignore[arg-type]
    rows, catalog = GuardedRows(service, guard), GuardedCatalog(service, guard)  # type: ignore[arg-type]
    calls = {
        "embedder": lambda: embedder.embed(["a"], "query"),
        "reranker": lambda: reranker.score("a", ["b"]),
        "search": lambda: rows.search(None),  # type: ignore[arg-type]
        "fetch": lambda: rows.fetch(["a"]),
        "catalog": lambda: catalog.read(None, 1),  # type: ignore[arg-type]
    }
    await calls[kind]()
    service.error = Unavailable("down")
    for _ in range(10):
        with pytest.raises(Unavailable):
            await calls[kind]()
    assert service.calls == 1 + DEPENDENCY.failures
    service.error = None
    time.passed += 1.0
    await calls[kind]()
    assert service.calls == 2 + DEPENDENCY.failures


async def test_callers_who_share_a_call_share_its_failure_and_it_counts_once() -> None:
    service = Service()
    service.error = Unavailable("down")
    guard = Guard("it", Dependency(concurrency=32, queue=8, failures=2))
    embedder = GuardedEmbedder(service, guard)
    asked = [embedder.embed([f"text {n}"], "query") for n in range(30)]
    got = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(one, Unavailable) for one in got)
    assert (service.calls, guard.breaker.closed) == (1, True)


async def test_a_stream_holds_its_turn_until_it_is_closed() -> None:
    service = Service()
    llm = GuardedLLM(service, Guard("it", Dependency(concurrency=1, queue=0)))  # type: ignore[arg-type]
    async with aclosing(llm.stream([], max_tokens=1)) as first:
        assert (await anext(first)).text == "one"
        with pytest.raises(Overloaded):
            await anext(llm.stream([], max_tokens=1))
        assert not service.closed
    assert service.closed
    async with aclosing(llm.stream([], max_tokens=1)) as second:
        assert [delta.text async for delta in second] == ["one", "two"]


async def test_a_stream_that_is_cut_counts_as_a_failure() -> None:
    service = Service()
    service.error = Unavailable("cut")
    llm = GuardedLLM(service, Guard("it", Dependency(failures=1)))  # type: ignore[arg-type]
    async with aclosing(llm.stream([], max_tokens=1)) as deltas:
        assert (await anext(deltas)).text == "one"
        with pytest.raises(Unavailable, match="cut"):
            await anext(deltas)
    with pytest.raises(Unavailable, match="left alone"):
        await anext(llm.stream([], max_tokens=1))
