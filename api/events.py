"""Replies as server-sent events, which end when the caller goes away.

The first event is waited for before the reply begins, so that what fails at once has a status of
its own; after that a failure is an event. A stream that just ends is whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.disconnecting import Gone, allowed, disconnected, ended
from api.draining import Drain
from rag.errors import Late

QUIET_S = 10.0
"""After so long without an event a comment says that the stream is alive."""
COMMENT = b": waiting\n\n"


class EventStream(Response):
    """A reply of events; `begin` makes one."""

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        first: asyncio.Future[bytes],
        on_failure: Callable[[Exception], bytes],
        deadline: float,
    ) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._events, self._first = events, first
        self._on_failure, self._deadline = on_failure, deadline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until they end or the caller is gone."""
        pump = asyncio.ensure_future(self._pump(send, scope["app"].state.drain))
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            await asyncio.wait({pump, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await ended(pump, gone, self._first)
            await self._events.aclose()
        if not pump.cancelled():
            pump.result()

    async def _pump(self, send: Send, drain: Drain) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        try:
            async with drain.ends():
                async for event in self._lively():
                    await send({"type": "http.response.body", "body": event, "more_body": True})
        except asyncio.CancelledError:
            raise
        except Exception as failure:  # noqa: BLE001 - whatever it is, the caller must hear of it
            event = self._on_failure(failure)
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _lively(self) -> AsyncIterator[bytes]:
        """Yield the events, and comments while there is none."""
        loop, coming = asyncio.get_running_loop(), self._first
        while True:
            left = self._deadline - loop.time()
            await asyncio.wait({coming}, timeout=max(0.0, min(QUIET_S, left)))
            if coming.done():
                try:
                    yield coming.result()
                except StopAsyncIteration:
                    return
                coming = self._first = asyncio.ensure_future(_next(self._events))
            elif loop.time() >= self._deadline:
                raise Late("the deadline passed before the answer was whole")
            else:
                yield COMMENT


async def begin(
    request: Request,
    events: AsyncGenerator[bytes, None],
    on_failure: Callable[[Exception], bytes],
    seconds: float,
) -> EventStream:
    """Start a stream; raise what fails before the first event, if that comes soon."""
    deadline = asyncio.get_running_loop().time() + allowed(request, seconds)
    first = asyncio.ensure_future(_next(events))
    gone = asyncio.ensure_future(disconnected(request.receive))
    try:
        await asyncio.wait({first, gone}, timeout=QUIET_S, return_when=asyncio.FIRST_COMPLETED)
        if gone.done() or (first.done() and first.exception() is not None):
            await ended(first)
            await events.aclose()
            if first.cancelled():
                raise Gone("the caller went away")
            first.result()
    except asyncio.CancelledError:
        await ended(first)
        await events.aclose()
        raise
    finally:
        await ended(gone)
    return EventStream(events, first, on_failure, deadline)


async def _next(events: AsyncGenerator[bytes, None]) -> bytes:
    return await anext(events)
