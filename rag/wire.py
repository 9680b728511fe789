"""Requests to a model server as plain JSON, for what the official client has no method for.

One connection for embeddings and rerankers of every flavour: its keys, headers and failures are
those of `rag.openai_client`. Asks less at once while the server says that it is too much.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from rag.errors import BackendError, ConfigError, Rejected, Unavailable
from rag.openai_client import Connection, open_openai, refusing_status, told

if TYPE_CHECKING:
    from openai import AsyncOpenAI

T = TypeVar("T")

TOO_LARGE = (400, 413, 422)
"""Statuses with which servers refuse a request of too many or too long texts; llama.cpp: 500."""
LARGEST = 256 * 2**20
"""Bytes of an answer: a batch of 2,048 texts of 4,096 dimensions in decimal has 170 MB."""
QUICK = 2**18
"""Bytes that are parsed at once; more in a thread, so that nobody else waits."""
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
        import orjson

        client = await self._client()
        async with self.turns.one():
            content = await self._exchange(client, path, {**body, **self.connection.extra_body})
        try:
            if len(content) < QUICK:
                return orjson.loads(content)
            return await asyncio.to_thread(orjson.loads, content)
        except orjson.JSONDecodeError as exc:
            raise Unavailable(f"{self.connection.who} answered {path} with no valid JSON") from exc

    async def _exchange(self, client: AsyncOpenAI, path: str, request: dict[str, Any]) -> bytes:
        """Return the body of the answer, as far as it is of a size that can be one."""
        import httpx2
        from openai import Omit
        from openai._constants import RAW_RESPONSE_HEADER

        # Without a key the client must be told with each request that none is meant to be sent.
        names = {name.lower() for name in self.connection.headers}
        keyless = self.connection.api_key is None and "authorization" not in names
        headers: dict[str, str | Omit] = {RAW_RESPONSE_HEADER: "stream"}
        headers.update({"Authorization": Omit()} if keyless else {})
        content = bytearray()
        with told(self.connection):
            response = await client.post(
                path, cast_to=httpx2.Response, body=request, options={"headers": headers}
            )
            async with aclosing(response):
                async for piece in response.aiter_bytes():
                    content += piece
                    if len(content) > LARGEST:
                        raise Rejected(f"the answer of {self.connection.who} is too large")
        return bytes(content)

    async def close(self) -> None:
        """Close the connections; idempotent."""
        self._closed = True
        if self._opening is not None:
            with suppress(ConfigError):  # then there is nothing to close
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
        self.under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a turn, take it, and learn from how it ends."""
        while self.under_way >= int(self.limit):
            await self._turn()
        self.under_way += 1
        try:
            yield
            self.limit = min(float(self.most), self.limit + 1 / self.limit)
        except Unavailable as exc:
            if too_much(exc):
                self.limit = max(1.0, self.limit / 2)
            raise
        finally:
            self.under_way -= 1
            self._wake()

    async def _turn(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            self._wake()  # it may have been this one's turn
            raise

    def _wake(self) -> None:
        for _ in range(min(int(self.limit) - self.under_way, len(self._waiting))):
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)


async def together(
    calls: Sequence[Coroutine[Any, Any, T]],
    *,
    bears: Callable[[BackendError], bool] = lambda error: False,
) -> list[T]:
    """Return what the calls give, in order; the first failure ends the others.

    A failure that `bears` accepts is raised when the others have ended by themselves.
    """
    tasks = [asyncio.ensure_future(call) for call in calls]
    borne: BackendError | None = None
    try:
        for finished in asyncio.as_completed(tasks):
            try:
                await finished
            except BackendError as exc:
                if not bears(exc):
                    raise
                borne = borne or exc
        if borne is not None:
            raise borne
        return [task.result() for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def too_much(error: BackendError) -> bool:
    """Return whether a server refused a request because of too many others."""
    return refusing_status(error) in TOO_MUCH


def too_large(error: BackendError) -> bool:
    """Return whether a server refused a request in a way that a smaller one may not be.

    Servers do not agree on how they say so; half a request costs little to try.
    """
    status = refusing_status(error)
    return status in TOO_LARGE or (status == 500 and "too large" in error.message)
