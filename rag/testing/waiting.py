"""Time for tests of waiting: it passes only when somebody sleeps or hangs, and costs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NoReturn

from rag.retrying import Retrying


class FakeTime:
    """A clock, a sleep and a deadline that belong together."""

    def __init__(self) -> None:
        self.passed = 0.0
        """Seconds since the start."""
        self.slept: list[float] = []
        self._deadlines: dict[asyncio.Task[object] | None, tuple[float, asyncio.Timeout]] = {}

    def now(self) -> float:
        """Return the seconds since the start."""
        return self.passed

    async def sleep(self, seconds: float) -> None:
        """Let time pass, and others run."""
        self.slept.append(seconds)
        self.passed += seconds
        await asyncio.sleep(0)

    @asynccontextmanager
    async def timeout(self, seconds: float) -> AsyncIterator[asyncio.Timeout]:
        """Bound a block, as `asyncio.timeout` does; only `hang` reaches the bound."""
        async with asyncio.timeout(None) as timer:
            self._deadlines[asyncio.current_task()] = self.passed + seconds, timer
            try:
                yield timer
            finally:
                del self._deadlines[asyncio.current_task()]

    async def hang(self) -> NoReturn:
        """Never return: the deadline of the task that asks passes."""
        at, timer = self._deadlines[asyncio.current_task()]
        self.passed = max(self.passed, at)
        timer.reschedule(asyncio.get_running_loop().time())
        await asyncio.get_running_loop().create_future()
        raise AssertionError("unreachable: nobody ends the future")

    def retrying(self, what: str, *, draw: Callable[[], float] = lambda: 1.0) -> Retrying:
        """Make the retry policy of something with this time; by default all waits are longest."""
        return Retrying(what, now=self.now, sleep=self.sleep, timeout=self.timeout, draw=draw)
