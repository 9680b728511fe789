"""Ports with a guard in front: what questions go through, and nothing else.

Ingestion has time and a patience of its own; it is not refused because questions are.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt
from sqlalchemy.engine import Connection

from rag.batching import BatchingEmbedder
from rag.embedding import RetryingEmbedder
from rag.guarding import Guard
from rag.messages import Delta, Message
from rag.ports import LLM, Candidates, Embedder, Reranker
from rag.retrieval import Reading, Rows
from rag.retrying import Patience, Retrying
from rag.types import Chunk, Role
from rag.vectors import Embedded, Search

P = ParamSpec("P")
T = TypeVar("T")


class GuardedEmbedder:
    """An embedder for questions: callers take turns, and share calls, which may fail."""

    def __init__(self, embedder: Embedder, guard: Guard, *, window_s: float = 0.0) -> None:
        """Take what embeds; work that somebody waits for is not tried again for long."""
        hurried = embedder.hurried() if isinstance(embedder, RetryingEmbedder) else embedder
        self._embedder = BatchingEmbedder(hurried, ask=self._ask, window_s=window_s)
        self._asked = hurried
        self._guard = guard
        self.fingerprint = embedder.fingerprint
        self.dim = embedder.dim
        self.max_tokens = embedder.max_tokens

    async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
        """Embed texts in order; raise `Unavailable` at once while it is no use to ask."""
        self._guard.breaker.check()
        async with self._guard.limit.turn():
            return await self._embedder.embed(texts, role)

    async def _ask(self, texts: Sequence[str], role: Role) -> Embedded:
        with self._guard.breaker.attempt():
            return await self._asked.embed(texts, role)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text."""
        return self._asked.count_tokens(texts)

    @property
    def overhead_tokens(self) -> int:
        """Tokens that the prefix and the special tokens take."""
        return self._asked.overhead_tokens

    def unknown_share(self, texts: Sequence[str]) -> float:
        """Return the share of tokens that the model cannot read."""
        return self._asked.unknown_share(texts)

    async def close(self) -> None:
        """End what is under way and close the embedder; idempotent."""
        await self._embedder.close()


class GuardedReranker:
    """A reranker; what is unavailable is asked again, but not for long."""

    def __init__(
        self, reranker: Reranker, guard: Guard, retrying: Retrying, patience: Patience
    ) -> None:
        self._reranker, self._guard = reranker, guard
        self._retrying, self._patience = retrying, patience

    async def score(self, query: str, passages: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return one score per passage; raise `Unavailable` at once while it is no use to ask."""
        return await self._guard.call(
            lambda: self._retrying.call(
                lambda: self._reranker.score(query, passages), self._patience
            )
        )

    async def close(self) -> None:
        """Close the reranker; idempotent."""
        await self._reranker.close()


class GuardedLLM:
    """A language model; an answer under way holds its turn until it ends."""

    def __init__(self, llm: LLM, guard: Guard) -> None:
        self._llm, self._guard = llm, guard
        self.model = llm.model
        self.context_tokens = llm.context_tokens

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Count what the messages take of `context_tokens`."""
        return self._llm.count_tokens(messages)

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float | None = None,
        stop: Sequence[str] = (),
    ) -> AsyncGenerator[Delta, None]:
        """Yield the answer; raise `Unavailable` at once while it is no use to ask."""
        async with self._guard.turn() as lives:
            answer = self._llm.stream(
                messages, max_tokens=max_tokens, temperature=temperature, stop=stop
            )
            async with aclosing(answer) as deltas:
                async for delta in deltas:
                    lives()
                    yield delta

    async def close(self) -> None:
        """Close the model; idempotent."""
        await self._llm.close()


class GuardedRows:
    """An index, as far as searches need it."""

    def __init__(self, rows: Rows, guard: Guard) -> None:
        self._rows, self._guard = rows, guard

    async def search(self, search: Search) -> Candidates:
        """Search; raise `Unavailable` at once while it is no use to ask."""
        return await self._guard.call(lambda: self._rows.search(search))

    async def fetch(self, chunk_ids: Sequence[str]) -> dict[str, Chunk]:
        """Fetch; raise `Unavailable` likewise."""
        return await self._guard.call(lambda: self._rows.fetch(chunk_ids))


class GuardedCatalog:
    """The catalog, as far as searches need it."""

    def __init__(self, catalog: Reading, guard: Guard) -> None:
        self._catalog, self._guard = catalog, guard

    async def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Read; raise `Unavailable` at once while it is no use to ask."""
        return await self._guard.call(lambda: self._catalog.read(work, *args, **kwargs))
