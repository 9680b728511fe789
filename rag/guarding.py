"""How much is asked of one model or store at once, and when it is left alone.

A limit lets a number of calls through and a number wait in the order of their coming; a breaker
refuses at once, for a while, what has failed again and again. Knows nothing of what is called.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

from rag.errors import Overloaded, Unavailable
from rag.settings import Dependency

T = TypeVar("T")

HUNG_S = 5.0
"""A call that its caller gave up counts as a failure when it had lasted so long: a caller in a
hurry proves nothing about whom it asked."""


class Limit:
    """Turns: so many at once, so many wait for theirs, first come first served."""

    def __init__(self, what: str, *, concurrency: int, queue: int) -> None:
        self._what = what
        self._free, self._queue = concurrency, queue
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold a turn; raise `Overloaded` when too many wait already."""
        await self._take()
        try:
            yield
        finally:
            self._pass_on()

    async def _take(self) -> None:
        if self._free:
            self._free -= 1
            return
        if len(self._waiting) >= self._queue:
            raise Overloaded(
                f"too much is asked of {self._what} at once", hint="try again soon", retry_after=1
            )
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it came at the same moment
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Breaker:
    """Opens after consecutive failures; then one call at a time may try whether it is over.

    A failure is `Unavailable`, or a call that hung until its caller gave up. Whatever else comes
    back is a sign of life.
    """

    def __init__(
        self,
        what: str,
        *,
        failures: int,
        open_s: float,
        hung_s: float = HUNG_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._allowed, self._open_s, self._hung_s = failures, open_s, hung_s
        self._now = now
        self._failures = 0
        self._until = float("-inf")
        """When the next trial may begin."""

    @property
    def closed(self) -> bool:
        """Whether calls go through."""
        return self._failures < self._allowed

    def check(self) -> None:
        """Raise `Unavailable` while it is open and no trial is due."""
        left = self._until - self._now()
        if not self.closed and left > 0:
            raise Unavailable(
                f"{self._what} has failed {self._failures} times in a row and is left alone",
                hint="try again soon",
                retry_after=left,
            )

    @contextmanager
    def attempt(self) -> Iterator[Callable[[], None]]:
        """Let a call through and note how it ends; raise `Unavailable` instead while it is open.

        What is yielded notes a sign of life before the end, such as a stream's first piece.
        """
        self.check()
        if not self.closed:  # this is the trial; should it hang, another one may follow
            self._until = self._now() + self._open_s
        began = self._now()
        alive = False

        def lives() -> None:
            nonlocal alive
            alive = True
            self._failures = 0

        try:
            yield lives
        except Unavailable:
            self._failed()
            raise
        except (asyncio.CancelledError, GeneratorExit):
            if not alive and self._now() - began >= self._hung_s:
                self._failed()
            elif not self.closed:
                self._until = self._now()  # the trial found nothing out
            raise
        except Exception:
            lives()
            raise
        else:
            lives()

    def _failed(self) -> None:
        self._failures += 1
        if not self.closed:
            self._until = self._now() + self._open_s


class Guard:
    """A limit and a breaker around one dependency."""

    def __init__(self, what: str, settings: Dependency, *, hung_s: float = HUNG_S) -> None:
        """Take the name that messages give the dependency."""
        self.limit = Limit(what, concurrency=settings.concurrency, queue=settings.queue)
        self.breaker = Breaker(
            what, failures=settings.failures, open_s=settings.open_s, hung_s=hung_s
        )

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return what the work gives; raise `Unavailable` at once while it is no use to ask."""
        async with self.turn():
            return await work()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Callable[[], None]]:
        """Hold a turn for a call; what is yielded notes a sign of life before the end."""
        self.breaker.check()  # before the queue: nobody waits behind calls that hang
        async with self.limit.turn():
            with self.breaker.attempt() as lives:
                yield lives
