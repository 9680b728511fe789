"""Turns for requests of one kind: first come first served, and nobody waits in vain.

Refusing at once is kinder than answering late, and work for somebody who has given up is lost: who
would wait too long, or get no answer in time, is told so before anything is done. Knows no HTTP.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable

from rag.errors import Overloaded

LONGEST_WAIT_S = 1.0
"""Who would wait longer for a turn is refused: asking again later is sooner done."""
CAUTION = 0.7
"""Share of a request's time that it may be expected to take."""
ALWAYS = 0.25
"""Share of the turns that are given to whoever comes, whatever is expected."""
MEMORY_S, FORGOTTEN_S = 2.0, 5.0
"""How long the pace of requests counts, and after how long it is not known any more."""
KNOWN_S = 0.2
"""How long it must have been watched."""


class Lane:
    """Turns: up to `most` at once, and `queue` that wait."""

    def __init__(self, *, most: int, queue: int, now: Callable[[], float] = time.monotonic) -> None:
        self._most, self._queue, self._now = most, queue, now
        self._always = max(1, int(most * ALWAYS))
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._busy_since = self._ended_at = float("-inf")
        self._busy_s = self._ended = 0.0

    async def enter(self, left_s: float) -> float:
        """Take a turn for a request with so much time; return the seconds that it waited.

        Raise `Overloaded` when a turn would come too late, or came too late.
        """
        if self._doomed(left_s, ahead=len(self._waiting)):
            raise self._refusal()
        if self._under_way < self._most and not self._waiting:
            self._take()
            return 0.0
        wait_s = (len(self._waiting) + 1) * self._pace_s()
        if len(self._waiting) >= self._queue or wait_s > LONGEST_WAIT_S:
            raise self._refusal()
        came = self._now()
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it came at the same moment
                self._give_back()
            raise
        waited = self._now() - came
        if waited >= left_s or self._doomed(left_s - waited, ahead=-1):
            self._give_back()
            raise self._refusal()
        return waited

    def leave(self) -> None:
        """Give the turn back at the end of a request."""
        now = self._now()
        if self._under_way >= self._always:
            interval = now - max(self._ended_at, self._busy_since)
            fading = math.exp(-interval / MEMORY_S)
            self._busy_s = self._busy_s * fading + interval
            self._ended = self._ended * fading + 1
        self._ended_at = now
        self._give_back()

    def _doomed(self, left_s: float, *, ahead: int) -> bool:
        """Tell whether a request that comes after these can hardly be done in time."""
        if self._under_way < self._always:
            return False
        return (self._under_way + ahead + 1) * self._pace_s() > left_s * CAUTION

    def _pace_s(self) -> float:
        """Return the seconds between two ends of requests while there is much to do; 0: unknown.

        What many requests at once take, one after the other or side by side, is their number times
        this.
        """
        forgotten = self._now() - self._ended_at > FORGOTTEN_S
        return 0.0 if forgotten or self._busy_s < KNOWN_S else self._busy_s / self._ended

    def _take(self) -> None:
        self._under_way += 1
        if self._under_way == self._always:
            self._busy_since = self._now()

    def _give_back(self) -> None:
        self._under_way -= 1
        while self._waiting and self._under_way < self._most:
            turn = self._waiting.popleft()
            if not turn.done():
                self._take()
                turn.set_result(None)

    def _refusal(self) -> Overloaded:
        wait_s = (len(self._waiting) + self._under_way) * self._pace_s()
        return Overloaded(
            "the server has more to do than it can", hint="try again later", retry_after=wait_s
        )
