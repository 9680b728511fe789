"""Turns at a server: never more than it bears, less after a refusal, none lost by who leaves."""

from __future__ import annotations

import asyncio
import random

import pytest

from rag.errors import Rejected, Unavailable
from rag.wire import Turns, together


class TooMany(Exception):
    """What the client raises for 429; `told` makes it the cause."""

    status_code = 429


async def refused(turns: Turns) -> None:
    with pytest.raises(Unavailable):
        async with turns.one():
            raise Unavailable("too many") from TooMany()


@pytest.mark.parametrize("seed", range(20))
async def test_whoever_leaves_or_fails_no_turn_is_lost(seed: int) -> None:
    rng = random.Random(seed)
    turns = Turns(rng.randint(1, 5))
    done = 0

    async def call() -> None:
        nonlocal done
        async with turns.one():
            assert 1 <= turns.under_way <= turns.most
            for _ in range(rng.randint(0, 3)):
                await asyncio.sleep(0)
            if rng.random() < 0.2:
                raise Unavailable("too many") from TooMany()
            done += 1

    calls = [asyncio.ensure_future(call()) for _ in range(60)]
    for call_ in rng.sample(calls, 20):
        await asyncio.sleep(0)
        call_.cancel()
    ended = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 10)
    assert turns.under_way == 0
    assert done == ended.count(None)
    async with asyncio.timeout(5), turns.one():
        pass


async def test_refusals_halve_and_successes_bring_back() -> None:
    turns = Turns(16)
    for expected in (8.0, 4.0, 2.0, 1.0, 1.0):
        await refused(turns)
        assert turns.limit == expected
    for _ in range(200):
        async with turns.one():
            pass
    assert turns.limit == 16


async def test_another_failure_changes_nothing() -> None:
    turns = Turns(4)
    for error in (Unavailable("gone"), Rejected("wrong")):
        with pytest.raises(type(error)):
            async with turns.one():
                raise error
    assert turns.limit == 4


async def test_the_first_failure_ends_the_other_calls() -> None:
    ended = []

    async def hang() -> int:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(1)
        return 1

    async def fail() -> int:
        await asyncio.sleep(0)
        raise Rejected("no")

    with pytest.raises(Rejected):
        await together([hang(), fail(), hang()])
    assert len(ended) == 2
    assert await together([]) == []
