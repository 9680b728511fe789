"""Turns of requests: fair, bounded, and refused where they would come too late."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.lanes import FORGOTTEN_S, Lane
from rag.errors import Overloaded
from rag.testing.waiting import FakeTime


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def come(lane: Lane, left_s: float = 30.0) -> asyncio.Task[float]:
    """Let a request come; it is refused, or has its turn, or waits for it."""
    task = asyncio.ensure_future(lane.enter(left_s))
    await settle()
    return task


def refused(task: asyncio.Task[float]) -> bool:
    return task.done() and isinstance(task.exception(), Overloaded)


async def paced(time: FakeTime, seconds: float, *, queue: int = 100) -> Lane:
    """Return a lane with one turn, taken, whose requests took so long each."""
    lane = Lane(most=1, queue=queue, now=time.now)
    await lane.enter(30.0)
    for _ in range(100):
        next_one = await come(lane)
        time.passed += seconds
        lane.leave()
        await next_one
    return lane


async def test_turns_are_given_in_the_order_of_coming_and_the_rest_is_refused() -> None:
    lane = Lane(most=2, queue=3)
    tasks = [await come(lane) for _ in range(6)]
    assert [task.done() for task in tasks] == [True, True, False, False, False, True]
    assert refused(tasks[5])
    for n in range(2, 5):
        lane.leave()
        await settle()
        assert [task.done() for task in tasks[2:5]] == [m <= n for m in range(2, 5)]


@pytest.mark.parametrize(("left_s", "waiting"), [(30.0, 4), (1.0, 1), (0.3, 0)])
async def test_who_would_wait_too_long_is_refused_at_once(left_s: float, waiting: int) -> None:
    """At most a second, and no longer than leaves time for the work."""
    lane = await paced(FakeTime(), 0.24)
    tasks = [await come(lane, left_s) for _ in range(8)]
    assert [refused(task) for task in tasks] == [False] * waiting + [True] * (8 - waiting)
    told = tasks[-1].exception()
    assert isinstance(told, Overloaded)
    assert told.retry_after == pytest.approx(0.24 * (waiting + 1), rel=0.01)
    for task in tasks[:waiting]:
        task.cancel()


async def test_a_turn_that_comes_too_late_is_passed_on() -> None:
    time = FakeTime()
    lane = Lane(most=1, queue=9, now=time.now)
    await lane.enter(30.0)
    short, long = await come(lane, 2.0), await come(lane, 30.0)
    time.passed += 3.0
    lane.leave()
    await settle()
    assert refused(short)
    assert long.result() == 3.0


async def busy(time: FakeTime, *, most: int, pace_s: float) -> Lane:
    """Return a lane whose turns are all taken, and end one after the other at this pace."""
    lane = Lane(most=most, queue=100, now=time.now)
    for _ in range(most):
        await come(lane)
    for _ in range(100):
        time.passed += pace_s
        lane.leave()
        await come(lane)
    return lane


async def test_who_can_get_no_answer_in_time_gets_no_turn_either() -> None:
    """Twenty are under way, each a tenth of a second after the other: two seconds."""
    time = FakeTime()
    lane = await busy(time, most=20, pace_s=0.1)
    lane.leave()
    assert refused(await come(lane, 2.5))
    assert not refused(await come(lane, 3.0))
    for _ in range(16):
        lane.leave()
    assert not refused(await come(lane, 0.001))  # with little to do, nobody is refused


async def test_requests_side_by_side_are_not_taken_for_a_queue() -> None:
    """Each takes two seconds, however many there are: ten a second end."""
    time = FakeTime()
    lane = await busy(time, most=20, pace_s=0.1)
    for _ in range(10):
        lane.leave()
    assert not refused(await come(lane, 2.5))


async def test_an_old_pace_is_forgotten() -> None:
    time = FakeTime()
    lane = await busy(time, most=20, pace_s=5.0)
    time.passed += FORGOTTEN_S + 1
    assert not refused(await come(lane, 1.0))
    waiting = await come(lane, 1.0)
    assert not refused(waiting)
    waiting.cancel()


async def test_ends_that_come_in_bursts_are_a_pace_too() -> None:
    time = FakeTime()
    lane = Lane(most=20, queue=100, now=time.now)
    for _ in range(20):
        await come(lane)
    for _ in range(20):  # ten at once, each half second
        time.passed += 0.5
        for _ in range(10):
            lane.leave()
            await come(lane)
    assert lane._pace_s() == pytest.approx(0.05, rel=0.3)


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 4), st.none() | st.integers(0, 8)),
        max_size=30,
    ),
    most=st.integers(1, 4),
    queue=st.integers(0, 5),
)
async def test_no_turn_is_lost_whoever_leaves(
    steps: list[tuple[int, int, int | None]], most: int, queue: int
) -> None:
    """Each comes some steps after the one before, works some, and may leave at any step."""
    lane = Lane(most=most, queue=queue, now=FakeTime().now)
    now = peak = 0

    async def pause(count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def work(count: int) -> None:
        nonlocal now, peak
        await lane.enter(30.0)
        now += 1
        peak = max(peak, now)
        try:
            await pause(count)
        finally:
            now -= 1
            lane.leave()

    async def leave(task: asyncio.Task[None], count: int) -> None:
        await pause(count)
        task.cancel()

    tasks, leaving = [], []
    for coming, stay, patience in steps:
        await pause(coming)
        tasks.append(asyncio.ensure_future(work(stay)))
        if patience is not None:
            leaving.append(asyncio.ensure_future(leave(tasks[-1], patience)))
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks, *leaving, return_exceptions=True)
        assert (peak <= most, now) == (True, 0)
        await lane.enter(30.0)  # a turn is there
    assert lane._under_way == 1
