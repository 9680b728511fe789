"""Turns for requests of one kind: first come first served, and nobody waits in vain.

Refusing at once is kinder than answering late: whoever would wait too long is told so before
anything is done, and when requests miss their deadlines, fewer are done at once. Knows no HTTP.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from rag.errors import Overloaded

LONGEST_WAIT_S = 1.0
"""Who would wait longer for a turn is refused: asking again later is sooner done."""
LOWEST = 0.25
"""Share of the turns that are always given, however many requests are late."""
FEWER, OFTEN_S = 0.8, 0.25
"""Turns are cut to this share when a request is late, but not more often than this."""
SMOOTHING = 0.1
"""Share of the newest value in averages."""


class Lane:
    """Turns: up to `most` at once, and `queue` that wait."""

    def __init__(self, *, most: int, queue: int, now: Callable[[], float] = time.monotonic) -> None:
        self._most, self._queue, self._now = most, queue, now
        self._allowed = float(most)
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._pace_s = 0.0
        """Between two requests that end while all turns are taken."""
        self._full_since = self._ended = self._cut = float("-inf")

    async def enter(self, left_s: float) -> float:
        """Take a turn for a request with so much time; return the seconds that it waited.

        Raise `Overloaded` when a turn would come too late, or came too late.
        """
        if self._free():
            self._take()
            return 0.0
        expected = (len(self._waiting) + 1) * self._pace_s
        if len(self._waiting) >= self._queue or expected > min(LONGEST_WAIT_S, left_s / 2):
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
        if waited >= left_s:
            self._give_back()
            raise self._refusal()
        return waited

    def leave(self, *, late: bool) -> None:
        """Give the turn back; `late` says that the request missed its deadline."""
        now = self._now()
        if self._under_way >= int(self._allowed):
            pace_s = now - max(self._ended, self._full_since)
            self._pace_s += (pace_s - self._pace_s) * SMOOTHING
            if not late:
                self._allowed = min(float(self._most), self._allowed + 1 / self._allowed)
        self._ended = now
        if late and now - self._cut > OFTEN_S:
            self._cut = now
            self._allowed = max(1.0, self._most * LOWEST, self._allowed * FEWER)
        self._give_back()

    def _free(self) -> bool:
        return self._under_way < int(self._allowed) and not self._waiting

    def _take(self) -> None:
        self._under_way += 1
        if self._under_way >= int(self._allowed):
            self._full_since = max(self._full_since, self._now())

    def _give_back(self) -> None:
        full_since = self._full_since
        self._under_way -= 1
        while self._waiting and self._under_way < int(self._allowed):
            turn = self._waiting.popleft()
            if not turn.done():
                self._take()
                self._full_since = full_since  # it was full all the time
                turn.set_result(None)

    def _refusal(self) -> Overloaded:
        wait_s = (len(self._waiting) + self._under_way) * self._pace_s
        return Overloaded(
            "the server has more to do than it can", hint="try again later", retry_after=wait_s
        )
