"""The one retry policy of the house: who tries again, how often, how long.

Looks only at `Unavailable`. Waits grow and are drawn at random, so that callers who failed
together do not return together; a share of calls bounds retries, so that an outage is not
amplified. Knows nothing of what is called.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from rag.errors import Unavailable

T = TypeVar("T")

SHARE = 0.2
"""Retries that each call earns for those that fail."""
RESERVE = 10.0
"""Retries that can be saved up, and are there at the start."""
LONGEST_S = 30.0
"""Between two attempts, unless the other side asks for more."""


@dataclass(frozen=True, slots=True)
class Patience:
    """What a caller bears with."""

    timeout_s: float
    """Of one attempt; then it counts as hung."""
    attempts: int
    """At most, the first included."""
    budget_s: float
    """Of all attempts and the waits between them."""
    backoff_s: float
    """Longest first wait; it doubles."""
    pause_s: float = float("inf")
    """Of a wait that the other side asks for; when it asks for more, this is given up at once."""


class Retrying:
    """Calls one dependency, whose callers share its pauses and its allowance of retries."""

    def __init__(
        self,
        what: str,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        timeout: Callable[[float], AbstractAsyncContextManager[asyncio.Timeout]] = asyncio.timeout,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Take the name that messages give the dependency; the rest is for tests."""
        self._what = what
        self._now, self._sleep, self._timeout, self._draw = now, sleep, timeout, draw
        self._allowance = RESERVE
        self._paused_until = float("-inf")

    async def call(self, work: Callable[[], Awaitable[T]], patience: Patience) -> T:
        """Return what the work gives; try again while it is `Unavailable` and patience lasts."""
        began = self._now()
        end = began + patience.budget_s
        self._allowance = min(self._allowance + SHARE, RESERVE)
        for attempt in count(1):
            await self._pause(min(end, self._now() + patience.pause_s))
            try:
                return await self._once(work, min(patience.timeout_s, end - self._now()))
            except Unavailable as exc:
                if exc.retry_after is not None:
                    self._paused_until = max(self._paused_until, self._now() + exc.retry_after)
                longest = min(LONGEST_S, patience.backoff_s * 2 ** (attempt - 1))
                again = max(self._now(), self._paused_until) + self._draw() * longest
                asked = self._paused_until - self._now() > patience.pause_s
                spent = attempt >= patience.attempts or self._allowance < 1
                if spent or asked or again >= end:
                    raise self._given_up(exc, attempt, self._now() - began) from exc
                self._allowance -= 1
                await self._sleep(again - self._now())
        raise AssertionError("unreachable: the loop has no end")

    async def _pause(self, end: float) -> None:
        """Wait while the other side wants to be left alone; raise at once when that is too long."""
        while (left := self._paused_until - self._now()) > 0:
            if self._paused_until >= end:
                raise Unavailable(
                    f"{self._what} asked to be left alone for another {left:.0f} s",
                    hint="try again later",
                    retry_after=left,
                )
            await self._sleep(left)

    async def _once(self, work: Callable[[], Awaitable[T]], timeout_s: float) -> T:
        try:
            async with self._timeout(timeout_s) as deadline:
                return await work()
        except TimeoutError as exc:
            if not deadline.expired():  # the work's own, about something else
                raise
            raise Unavailable(
                f"{self._what} gave no answer within {timeout_s:.3g} s", hint="is it overloaded?"
            ) from exc

    def _given_up(self, last: Unavailable, attempts: int, seconds: float) -> Unavailable:
        if attempts == 1:
            return last
        return Unavailable(
            f"{self._what} failed {attempts} times in {seconds:.0f} s, at last: {last.message}",
            hint=last.hint,
            retry_after=last.retry_after,
        )
