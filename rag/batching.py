"""Questions that arrive together are embedded together.

What waits while a call is under way is the next call's batch, so that nobody waits longer than
alone, and a busy model is asked less often. Knows no model, and nothing of failures but whom they
concern.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass

from rag.errors import Rejected
from rag.ports import Embedder
from rag.types import Role
from rag.vectors import Embedded

ITEMS = 32
TOKENS = 8192
"""Of one batch, as the embedder counts."""
STALLED_S = 0.1
"""A call that takes longer does not hold up those who wait: another one is made beside it."""
CALLS = 8
"""Under way at once, at most."""


@dataclass(slots=True, eq=False)
class _Waiter:
    """Somebody who wants the vector of one text."""

    text: str
    tokens: int
    vector: asyncio.Future[Embedded]


class BatchingEmbedder:
    """The embedder as questions use it. Passages, and questions that come as a list, go through."""

    def __init__(
        self,
        embedder: Embedder,
        *,
        ask: Callable[[Sequence[str], Role], Awaitable[Embedded]] | None = None,
        window_s: float = 0.0,
    ) -> None:
        """Take what embeds, another way to ask it, and how long a question waits for others."""
        self._embedder = embedder
        self._ask = ask or embedder.embed
        self._window_s = window_s
        self._waiting: deque[_Waiter] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._last = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self.fingerprint = embedder.fingerprint
        self.dim = embedder.dim
        self.max_tokens = embedder.max_tokens

    async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
        """Embed texts in order; a question that fails does not fail others beside it."""
        if role != "query" or len(texts) != 1:
            return await self._ask(texts, role)
        (tokens,) = self._embedder.count_tokens(texts)
        loop = asyncio.get_running_loop()
        waiter = _Waiter(texts[0], min(tokens, self.max_tokens), loop.create_future())
        self._waiting.append(waiter)
        if self._window_s and not self._calls:
            self._look_again(self._window_s)
        else:
            self._look()
        return await waiter.vector

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text."""
        return self._embedder.count_tokens(texts)

    @property
    def overhead_tokens(self) -> int:
        """Tokens that the prefix and the special tokens take."""
        return self._embedder.overhead_tokens

    def unknown_share(self, texts: Sequence[str]) -> float:
        """Return the share of tokens that the model cannot read."""
        return self._embedder.unknown_share(texts)

    async def close(self) -> None:
        """End what is under way and close the embedder; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        for waiter in self._waiting:
            waiter.vector.cancel()
        for call in tuple(self._calls):
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        await self._embedder.close()

    def _look(self) -> None:
        """Begin a call if somebody waits and it is time, else look again when it will be."""
        if not self._waiting or len(self._calls) == CALLS:
            return
        loop = asyncio.get_running_loop()
        left = self._last + STALLED_S - loop.time() if self._calls else 0.0
        if left > 0:
            self._look_again(left)
            return
        self._last = loop.time()
        # Of no caller's context: a call belongs to all of its callers.
        call = loop.create_task(self._call(), context=Context())
        self._calls.add(call)
        call.add_done_callback(self._ended)

    def _look_again(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._timed)

    def _timed(self) -> None:
        self._timer = None
        self._look()

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._look()

    async def _call(self) -> None:
        """Embed those who have waited longest. They are chosen now: more may have come."""
        batch = self._next()
        if not batch:
            return
        task = asyncio.current_task()
        assert task is not None
        left = len(batch)

        def one_less(vector: asyncio.Future[Embedded]) -> None:
            nonlocal left
            left -= 1
            if vector.cancelled() and left == 0:
                task.cancel()  # nobody waits any more

        for waiter in batch:
            waiter.vector.add_done_callback(one_less)
        try:
            await self._fulfil(batch)
        finally:
            for waiter in batch:
                waiter.vector.remove_done_callback(one_less)
                waiter.vector.cancel()  # none is left waiting for a call that was ended

    def _next(self) -> list[_Waiter]:
        """Take as many as fit a batch, in the order of their coming."""
        batch: list[_Waiter] = []
        texts: set[str] = set()
        tokens = 0
        while self._waiting:
            waiter = self._waiting[0]
            if waiter.vector.done():  # cancelled
                self._waiting.popleft()
                continue
            if waiter.text not in texts:
                tokens += waiter.tokens
                if texts and (len(texts) == ITEMS or tokens > TOKENS):
                    break
                texts.add(waiter.text)
            batch.append(self._waiting.popleft())
        return batch

    async def _fulfil(self, batch: Sequence[_Waiter]) -> None:
        """Give every waiter its vector or the failure."""
        by_text: dict[str, list[_Waiter]] = {}
        for waiter in sorted(batch, key=lambda w: w.tokens):
            if not waiter.vector.done():
                by_text.setdefault(waiter.text, []).append(waiter)
        if not by_text:
            return
        try:
            embedded = await self._ask(list(by_text), "query")
        except Rejected as failure:
            if len(by_text) == 1:
                _fail(batch, failure)
                return
            for alike in by_text.values():  # one of them is bad: each is asked for alone
                await self._fulfil(alike)
        except Exception as failure:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            _fail(batch, failure)
        else:
            self._hand_out(list(by_text.values()), embedded)

    def _hand_out(self, rows: Sequence[Sequence[_Waiter]], embedded: Embedded) -> None:
        """Give each its row, and its tokens: its own, and its share of what is put around them."""
        added = max(0, embedded.tokens - sum(alike[0].tokens for alike in rows)) // len(rows)
        for n, alike in enumerate(rows):
            tokens = embedded.tokens if len(rows) == 1 else alike[0].tokens + added
            for waiter in alike:
                if not waiter.vector.done():
                    waiter.vector.set_result(Embedded(embedded.vectors[n : n + 1].copy(), tokens))


def _fail(batch: Sequence[_Waiter], failure: Exception) -> None:
    for waiter in batch:
        if not waiter.vector.done():
            waiter.vector.set_exception(failure)
