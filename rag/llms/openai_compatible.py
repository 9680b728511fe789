"""Language models behind OpenAI's protocol: vLLM, TGI, KServe, NIM, llama.cpp, OpenAI and others.

Knows prices, fallbacks and when to try again; one call is in `chatting`. Only what is configured is
sent, as servers refuse what they do not know.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag.errors import Rejected, Unavailable
from rag.llms.chatting import stream_chat
from rag.llms.estimating import estimate_messages
from rag.messages import Delta, Message, Usage
from rag.openai_client import Connection, open_openai, refusing_status
from rag.ports import Folders
from rag.retrying import Patience, Retrying

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["OpenAICompatibleLLM", "stream_chat"]

BACKOFF_S = 0.5


class Prices(BaseModel):
    """What tokens cost, per million, in any one currency."""

    model_config = ConfigDict(extra="forbid")
    input: float = Field(ge=0)
    output: float = Field(ge=0)

    def cost(self, usage: Usage) -> float:
        """Return what a generation cost."""
        read, written = usage.prompt_tokens * self.input, usage.completion_tokens * self.output
        return (read + written) / 1_000_000


class Served(BaseModel):
    """A model on a server."""

    model_config = ConfigDict(extra="forbid")
    model: str = Field(min_length=1)
    """Name that the server knows it by."""
    connection: Connection
    """Where the server is, and how it is spoken to."""
    prices: Prices | None = None
    """By default no costs are told."""


class OpenAICompatibleLLM:
    """A model on a server, and others that take its place while it is unavailable."""

    class Options(Served):
        """Which model, where, and what it is trusted with."""

        fallbacks: list[Served] = []
        """Asked in turn while those before are unavailable; never after the first word."""
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
        self._timeout_s = options.timeout_s
        self._servers = [_Server(served, options) for served in (options, *options.fallbacks)]

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
            "max_tokens": max_tokens,
        }
        if temperature is not None:
            request["temperature"] = temperature
        if stop:
            request["stop"] = list(stop)
        end = time.monotonic() + self._timeout_s
        failures: list[Unavailable] = []
        for server in self._servers:
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


class _Server:
    """One model on one server, with its connections and its patience."""

    def __init__(self, served: Served, options: OpenAICompatibleLLM.Options) -> None:
        self._served, self._options = served, options
        self._retrying = Retrying(f"the model {served.model!r}")
        self._opening = asyncio.Lock()
        self._client: AsyncOpenAI | None = None
        self._usage: bool | None = None if options.include_usage else False
        """Whether the server counts tokens for us; None while that is not known."""

    async def begin(
        self, request: dict[str, Any], end: float
    ) -> tuple[Delta, AsyncGenerator[Delta, None]]:
        """Return the first delta and the generator of the others, which the caller closes."""
        options = self._options
        budget = options.retry_budget_s + self._served.connection.timeout_s
        patience = Patience(
            timeout_s=budget,
            attempts=options.attempts,
            budget_s=min(end - time.monotonic(), budget),
            backoff_s=BACKOFF_S,
        )
        return await self._retrying.call(lambda: self._begin(request, end), patience)

    async def _begin(
        self, request: dict[str, Any], end: float
    ) -> tuple[Delta, AsyncGenerator[Delta, None]]:
        counted = self._usage is not False
        try:
            begun = await self._send(request, counted, end)
        except Rejected as exc:
            if self._usage is not None or refusing_status(exc) not in (400, 422):
                raise
            begun = await self._send(request, False, end)  # perhaps it was only that
            counted = False
        self._usage = counted
        return begun

    async def _send(
        self, request: dict[str, Any], counted: bool, end: float
    ) -> tuple[Delta, AsyncGenerator[Delta, None]]:
        deltas = self._deltas(request, counted, end)
        try:
            return await anext(deltas), deltas
        except BaseException:
            await deltas.aclose()
            raise

    async def _deltas(
        self, request: dict[str, Any], counted: bool, end: float
    ) -> AsyncGenerator[Delta, None]:
        served, options = self._served, self._options
        sent = {key: value for key, value in request.items() if key != "max_tokens"}
        sent |= {"model": served.model, options.limit_key: request["max_tokens"]}
        if counted:
            sent["stream_options"] = {"include_usage": True}
        client = await self._opened()
        total = end - time.monotonic()
        deltas = stream_chat(
            client, served.connection, sent, stall_s=options.stall_s, total_s=total
        )
        async with aclosing(deltas):
            async for delta in deltas:
                yield replace(delta, model=served.model, usage=self._priced(delta.usage))

    def _priced(self, usage: Usage | None) -> Usage | None:
        prices = self._served.prices
        if usage is None or prices is None:
            return usage
        return replace(usage, cost=prices.cost(usage))

    async def _opened(self) -> AsyncOpenAI:
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(open_openai, self._served.connection)
            return self._client

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def _none_left(failures: Sequence[Unavailable]) -> Unavailable:
    if len(failures) == 1:
        return failures[0]
    waits = [exc.retry_after for exc in failures if exc.retry_after is not None]
    return Unavailable(
        "no model is available: " + "; ".join(exc.message for exc in failures),
        hint=failures[0].hint,
        retry_after=min(waits, default=None),
    )
