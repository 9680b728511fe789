"""Language models behind OpenAI's protocol: vLLM, TGI, KServe, NIM, llama.cpp, OpenAI and others.

Knows fallbacks; one server is in `served`, one call in `chatting`. Only what is configured is sent,
as servers refuse what they do not know.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag.errors import Unavailable
from rag.llms.chatting import stream_chat
from rag.llms.estimating import estimate_messages
from rag.llms.served import Bearing, Prices, Served, Server
from rag.messages import Delta, Message
from rag.openai_client import Connection
from rag.ports import Folders

__all__ = ["OpenAICompatibleLLM", "stream_chat"]


class OpenAICompatibleLLM:
    """A model on a server, and others that take its place while it is unavailable."""

    class Options(BaseModel):
        """Which model, where, and what it is trusted with."""

        model_config = ConfigDict(extra="forbid")
        model: str = Field(min_length=1)
        """Name that the server knows it by."""
        connection: Connection
        """Where the server is, and how it is spoken to."""
        prices: Prices | None = None
        """`{input, output}` per million tokens; by default no costs are told."""
        fallbacks: list[Served] = []
        """Models `{model, connection, prices}` that are asked in turn while those before are
        unavailable; never after the first word."""
        context_tokens: int = Field(default=8192, ge=256)
        """Of prompt and answer together, in all of these models."""
        include_usage: bool = True
        """Ask for token counts; a server that refuses is not asked again."""
        limit_key: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
        """What the server calls the limit of an answer."""
        timeout_s: float = Field(default=120.0, gt=0)
        """Of a whole answer, with all retries and fallbacks."""
        stall_s: float = Field(default=30.0, gt=0)
        """Silence after which an answer that has begun counts as cut."""
        attempts: int = Field(default=3, ge=1)
        """Times that a failing model is asked before a fallback is; 1 retries nothing."""
        retry_budget_s: float = Field(default=15.0, gt=0)
        """Seconds in which they must begin, waits between them included."""

    def __init__(self, options: Options, folders: Folders | None = None) -> None:
        """Take the folders that every model is given, and leave them alone."""
        self.model = options.model
        self.context_tokens = options.context_tokens
        self._timeout_s, self._limit_key = options.timeout_s, options.limit_key
        bearing = Bearing(
            include_usage=options.include_usage,
            stall_s=options.stall_s,
            attempts=options.attempts,
            retry_budget_s=options.retry_budget_s,
        )
        first = Served(model=options.model, connection=options.connection, prices=options.prices)
        self._servers = [Server(served, bearing) for served in (first, *options.fallbacks)]

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Estimate what the messages take of the context; more than they do."""
        return estimate_messages(messages)

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float | None = None,
        stop: Sequence[str] = (),
    ) -> AsyncGenerator[Delta, None]:
        """Yield the answer of the first model that is available."""
        request: dict[str, Any] = {
            "messages": [{"role": m.role, "content": m.content} for m in messages],
            self._limit_key: max_tokens,
        }
        if temperature is not None:
            request["temperature"] = temperature
        if stop:
            request["stop"] = list(stop)
        end = time.monotonic() + self._timeout_s
        failures: list[Unavailable] = []
        for server in self._servers:
            if failures and time.monotonic() >= end:
                break
            try:
                first, rest = await server.begin(request, end)
            except Unavailable as exc:
                failures.append(exc)
                continue
            async with aclosing(rest):
                yield first
                async for delta in rest:
                    yield delta
            return
        raise _none_left(failures)

    async def close(self) -> None:
        """Close the connections; idempotent."""
        for server in self._servers:
            await server.close()


def _none_left(failures: Sequence[Unavailable]) -> Unavailable:
    if len(failures) == 1:
        return failures[0]
    waits = [exc.retry_after for exc in failures if exc.retry_after is not None]
    return Unavailable(
        "no model is available: " + "; ".join(exc.message for exc in failures),
        hint=failures[0].hint,
        retry_after=min(waits, default=None),
    )
