"""Sends calls on an event loop: what `AsyncCumulo` stands on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Generic, TypeVar

import httpx2

from rag.client.call import Call, Listing, Page
from rag.client.errors import CumuloError
from rag.client.events import LAST, Feed
from rag.client.kept import RunReply
from rag.client.trying import Patience, Pause, Send, Steps, attempts, ended
from rag.client.wire import Server, arguments, cut, failure, refused

T = TypeVar("T")


class AsyncStream(Generic[T]):
    """Events as they come. Closing it, or leaving its `with`, ends the work on the server too."""

    def __init__(self, events: AsyncGenerator[T, None]) -> None:
        self._events = events

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        return await anext(self._events)

    async def __aenter__(self) -> AsyncStream[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        await self._events.aclose()


@dataclass(frozen=True, slots=True)
class AsyncSender:
    """An open connection pool, and how much its user bears with."""

    http: httpx2.AsyncClient
    server: Server
    patience: Patience

    def within(self, timeout_s: float) -> AsyncSender:
        """Return the same with another limit of time."""
        return replace(self, patience=replace(self.patience, timeout_s=timeout_s))

    async def perform(self, call: Call[T]) -> T:
        """Send it, as often as is sensible, and read the reply."""
        return call.read(await self._take(attempts(call, self.patience)))

    async def wait(self, run_id: str, timeout_s: float | None) -> RunReply:
        """Wait until a run has ended."""
        return await self._take(ended(run_id, self.patience, timeout_s=timeout_s))

    async def pages(self, listing: Listing[T]) -> AsyncGenerator[T, None]:
        """Yield what is listed, page after page."""
        call: Call[Page[T]] | None = listing.first
        while call is not None:
            page = call.read(await self._take(attempts(call, self.patience)))
            for one in page.data:
                yield one
            call = listing.after(page)

    def stream(self, feed: Feed[T]) -> AsyncStream[T]:
        """Open a stream when its first event is asked for."""
        return AsyncStream(self._events(feed))

    async def _events(self, feed: Feed[T]) -> AsyncGenerator[T, None]:
        response = await self._take(attempts(feed.call, self.patience, stream=True))
        try:
            async for event in httpx2.EventSource(response):
                found = feed.read(event)
                if found is not None:
                    yield found
                if event.event == LAST:
                    return
        except httpx2.HTTPError as exc:
            raise failure(exc, self.server) from exc
        finally:
            await response.aclose()
        raise cut()

    async def _take(self, steps: Steps[T]) -> T:
        """Take the steps one after the other."""
        response: httpx2.Response | None = None
        try:
            step = next(steps)
            while True:
                try:
                    response = await self._step(step)
                except CumuloError as exc:
                    step = steps.throw(exc)
                else:
                    step = steps.send(response)
        except StopIteration as end:
            value: T = end.value
            return value

    async def _step(self, step: Send | Pause) -> httpx2.Response | None:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        with ExitStack() as files:
            request = self.http.build_request(**arguments(step, files))
            try:
                response = await self.http.send(request, stream=step.stream)
                if not response.is_success:
                    await response.aread()
                    await response.aclose()
            except httpx2.HTTPError as exc:
                raise failure(exc, self.server) from exc
        if not response.is_success:
            raise refused(response)
        return response
