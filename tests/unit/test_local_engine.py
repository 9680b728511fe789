"""The local engine: stages in order, never far ahead, one failure ends all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from indexers.engines.local import run_local
from indexers.prepared import Embedded, Prepared
from rag.errors import Unavailable
from rag.ports import Changed
from rag.types import Document
from rag.vectors import SparseMatrix

AHEAD = 6
"""One window being stored, one in each of two queues, two embedded, one prepared."""
MANY = 50


def window(n: int) -> list[Prepared]:
    change = Changed(str(n), f"test:{n}", "fingerprint", ())
    prepared = Prepared(
        change=change,
        known=None,
        digest="digest",
        original=None,
        document=Document(""),
        parsed=b"",
        spans=(),
        sparse=SparseMatrix.from_rows([]),
        tokens=1,
    )
    return [prepared]


def number(part: Sequence[Prepared] | Embedded) -> int:
    prepared = part.window if isinstance(part, Embedded) else part
    return int(prepared[0].change.external_id)


class Stages:
    """Three stages that note what they do; one of them may fail at a window, or wait."""

    def __init__(self, count: int, *, fail: tuple[str, int] | None = None) -> None:
        self.count = count
        self.fail = fail
        self.log: list[tuple[str, int]] = []
        self.doors = {stage: asyncio.Event() for stage in ("prepare", "embed", "store")}
        for door in self.doors.values():
            door.set()

    async def windows(self) -> AsyncIterator[Sequence[Prepared]]:
        for n in range(self.count):
            await self._do("prepare", n)
            yield window(n)

    async def embed(self, part: Sequence[Prepared]) -> list[Embedded]:
        await self._do("embed", number(part))
        return [Embedded(part, np.empty((0, 4), np.float32))]

    async def store(self, part: Embedded) -> None:
        await self._do("store", number(part))

    async def run(self) -> None:
        async with asyncio.timeout(10):  # a stage that waits for ever is a failure
            await run_local(self.windows(), self.embed, self.store)

    def done(self, stage: str) -> list[int]:
        return [n for name, n in self.log if name == stage]

    async def _do(self, stage: str, n: int) -> None:
        await self.doors[stage].wait()
        if self.fail == (stage, n):
            raise Unavailable(f"{stage} {n}")
        self.log.append((stage, n))


async def settled() -> None:
    """Give every task all the turns that it can use."""
    for _ in range(20 * MANY):
        await asyncio.sleep(0)


@pytest.mark.parametrize("count", [0, 1, 2, 3, MANY])
async def test_every_window_passes_all_stages_once(count: int) -> None:
    stages = Stages(count)
    await stages.run()
    for stage in ("prepare", "embed", "store"):
        assert sorted(stages.done(stage)) == list(range(count))
    for n in range(count):
        assert [stage for stage, m in stages.log if m == n] == ["prepare", "embed", "store"]


async def test_a_window_may_become_none_or_several() -> None:
    stored: list[int] = []

    async def embed(part: Sequence[Prepared]) -> list[Embedded]:
        return [Embedded(part, np.empty((0, 4), np.float32))] * (number(part) % 3)

    async def store(part: Embedded) -> None:
        stored.append(number(part))

    await run_local(Stages(9).windows(), embed, store)
    assert sorted(stored) == [1, 2, 2, 4, 5, 5, 7, 8, 8]


@pytest.mark.parametrize(("stuck", "most"), [("store", AHEAD), ("embed", AHEAD - 2)])
async def test_no_stage_runs_far_ahead_of_a_slow_one(stuck: str, most: int) -> None:
    stages = Stages(MANY)
    stages.doors[stuck].clear()
    running = asyncio.create_task(stages.run())
    await settled()
    assert 2 < len(stages.done("prepare")) <= most
    stages.doors[stuck].set()
    await running
    assert sorted(stages.done("store")) == list(range(MANY))


async def test_two_windows_are_embedded_at_a_time() -> None:
    under_way = most = 0

    async def embed(part: Sequence[Prepared]) -> list[Embedded]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(10):
            await asyncio.sleep(0)
        under_way -= 1
        return []

    async def store(part: Embedded) -> None:
        raise AssertionError("there is nothing to store")

    await run_local(Stages(9).windows(), embed, store)
    assert most == 2


@pytest.mark.parametrize("stage", ["prepare", "embed", "store"])
@pytest.mark.parametrize("n", [0, 7])
async def test_the_first_failure_is_raised_as_itself_and_stops_the_others(
    stage: str, n: int
) -> None:
    stages = Stages(MANY, fail=(stage, n))
    with pytest.raises(Unavailable, match=f"{stage} {n}"):
        await stages.run()
    assert len(stages.done("prepare")) <= n + AHEAD
    assert n not in stages.done("store")
    log = list(stages.log)
    await settled()
    assert stages.log == log


async def test_a_failure_does_not_wait_for_a_stage_that_is_stuck() -> None:
    stages = Stages(MANY, fail=("store", 0))
    stages.doors["embed"].clear()
    running = asyncio.create_task(stages.run())
    await settled()
    stages.doors["embed"].set()
    await asyncio.sleep(0)
    stages.doors["embed"].clear()
    with pytest.raises(Unavailable, match="store 0"):
        await running


async def test_cancelling_stops_all_stages() -> None:
    stages = Stages(MANY)
    stages.doors["store"].clear()
    running = asyncio.create_task(stages.run())
    await settled()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    log = list(stages.log)
    stages.doors["store"].set()
    await settled()
    assert stages.log == log
