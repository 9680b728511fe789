"""One model on one server: its connections, its prices and the patience that it is given.

Knows when a call is tried again, which is never after its first word; the call itself is in
`chatting`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from rag.errors import Rejected
from rag.llms.chatting import stream_chat
from rag.messages import Delta, Usage
from rag.openai_client import Connection, open_openai, refusing_status
from rag.retrying import Patience, Retrying

if TYPE_CHECKING:
    from openai import AsyncOpenAI

Begun: TypeAlias = tuple[Delta, AsyncGenerator[Delta, None]]
"""The first delta and the generator of the others, which must be closed."""

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

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: str = Field(min_length=1)
    connection: Connection
    prices: Prices | None = None


@dataclass(frozen=True, slots=True)
class Bearing:
    """What is borne with from a server; see the options of the plug-in."""

    include_usage: bool
    stall_s: float
    attempts: int
    retry_budget_s: float


class Server:
    """A model that can be asked."""

    def __init__(self, served: Served, bearing: Bearing) -> None:
        self._served, self._bearing = served, bearing
        self._retrying = Retrying(f"the model {served.model!r}")
        self._opening = asyncio.Lock()
        self._client: AsyncOpenAI | None = None
        self._usage: bool | None = None if bearing.include_usage else False
        """Whether the server counts tokens for us; None while that is not known."""

    async def begin(self, request: Mapping[str, Any], end: float) -> Begun:
        """Send a request until it is answered; raise as `stream_chat` does, or the last failure.

        `end` is a time of the monotonic clock, for the whole answer.
        """
        bearing = self._bearing
        budget = bearing.retry_budget_s + self._served.connection.timeout_s
        patience = Patience(
            timeout_s=budget,
            attempts=bearing.attempts,
            budget_s=min(end - time.monotonic(), budget),
            backoff_s=BACKOFF_S,
        )
        return await self._retrying.call(lambda: self._begin(request, end), patience)

    async def _begin(self, request: Mapping[str, Any], end: float) -> Begun:
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

    async def _send(self, request: Mapping[str, Any], counted: bool, end: float) -> Begun:
        deltas = self._deltas(request, counted, end)
        try:
            return await anext(deltas), deltas
        except BaseException:
            await deltas.aclose()
            raise

    async def _deltas(
        self, request: Mapping[str, Any], counted: bool, end: float
    ) -> AsyncGenerator[Delta, None]:
        served = self._served
        sent = {"model": served.model, **request}
        if counted:
            sent["stream_options"] = {"include_usage": True}
        client = await self._opened()
        total = end - time.monotonic()
        deltas = stream_chat(
            client, served.connection, sent, stall_s=self._bearing.stall_s, total_s=total
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
        """Close the connections; idempotent."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()
