"""Requests to a model server as plain JSON, for what the official client has no method for.

One connection for embeddings and rerankers of every flavour: its keys, headers and failures are
those of `rag.openai_client`. Asks less at once while the server says that it is too much.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from rag.errors import BackendError, Unavailable
from rag.openai_client import Connection, open_openai, refusing_status, told

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai._types import RequestOptions

T = TypeVar("T")

TOO_LARGE = (400, 413, 422)
"""Statuses with which servers refuse a request of too many or too long texts; llama.cpp: 500."""
TOO_MUCH = (429, 503)
"""Statuses with which they refuse one of too many requests at once."""


class Wire:
    """Posts JSON below a base address; opened on first use."""

    def __init__(self, connection: Connection, *, concurrency: int) -> None:
        self.connection = connection
        self.turns = Turns(concurrency)
        self._opening: asyncio.Task[AsyncOpenAI] | None = None
        self._closed = False

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the answer to a request; raise `Unavailable` or `Rejected`.

        An answer that is no JSON counts as unavailable: something stood between us and the model.
        """
        import httpx2
        import orjson
        from openai import Omit

        client = await self._client()
        request = {**body, **self.connection.extra_body}
        names = {name.lower() for name in self.connection.headers}
        keyless = self.connection.api_key is None and "authorization" not in names
        # Without a key the client must be told with each request that none is meant to be sent.
        options: RequestOptions = {"headers": {"Authorization": Omit()}} if keyless else {}
        async with self.turns.one():
            with told(self.connection):
                response = await client.post(
                    path, cast_to=httpx2.Response, body=request, options=options
                )
        try:
            return orjson.loads(response.content)
        except orjson.JSONDecodeError as exc:
            raise Unavailable(f"{self.connection.who} answered {path} with no valid JSON") from exc

    async def close(self) -> None:
        """Close the connections; idempotent."""
        self._closed = True
        if self._opening is not None:
            await (await self._opening).close()

    async def _client(self) -> AsyncOpenAI:
        if self._closed:
            raise Unavailable(f"the connection to {self.connection.who} is closed")
        if self._opening is None:
            opening = asyncio.to_thread(open_openai, self.connection)
            self._opening = asyncio.ensure_future(opening)
        return await asyncio.shield(self._opening)


class Turns:
    """How many calls may be under way: half as many after a refusal, slowly more again."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self._under_way = 0
        self._free = asyncio.Condition()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a turn, take it, and learn from how it ends."""
        async with self._free:
            await self._free.wait_for(lambda: self._under_way < int(self.limit))
            self._under_way += 1
        try:
            yield
            self.limit = min(float(self.most), self.limit + 1 / self.limit)
        except Unavailable as exc:
            if refusing_status(exc) in TOO_MUCH:
                self.limit = max(1.0, self.limit / 2)
            raise
        finally:
            self._under_way -= 1
            async with self._free:
                self._free.notify_all()


async def together(calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Return what the calls give, in order; the first failure ends the others."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def too_large(error: BackendError) -> bool:
    """Return whether a server refused a request in a way that a smaller one may not be.

    Servers do not agree on how they say so; half a request costs little to try.
    """
    status = refusing_status(error)
    return status in TOO_LARGE or (status == 500 and "too large" in error.message)
