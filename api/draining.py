"""The end of a process that serves: nothing is lost that it has taken on.

After SIGTERM it says that it is not ready, goes on serving for a moment while callers move away,
then listens no more, finishes what is under way, and cuts off what takes too long, saying so.
"""

from __future__ import annotations

import asyncio
import ctypes
import signal
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import FrameType
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_reply
from rag.errors import Unavailable

MOMENT_S = 1.0
"""From SIGTERM until nobody is listened to: replies tell callers to close their connections."""
CLOSING_S = 0.2
"""Before that no new connections are let in, so that none is in the door when it closes."""
SO_ATTACH_FILTER = 26
"""Of Linux; Python has no name for it."""


class Drain:
    """Knows whether the process is ending, and when it is over for those still under way."""

    def __init__(self, drain_s: float) -> None:
        self.draining = False
        self.listener: socket.socket | None = None
        """What is listened to, where no other process listens to it too."""
        self._drain_s = drain_s
        self._over = False
        self._under_way: set[asyncio.Timeout] = set()

    def begin(self) -> None:
        """Start to end: what is under way has `drain_s` from now."""
        if not self.draining:
            self.draining = True
            asyncio.get_running_loop().call_later(self._drain_s, self._end)

    @asynccontextmanager
    async def ends(self) -> AsyncIterator[asyncio.Timeout]:
        """Cancel the work inside at the end of the drain, and raise `Unavailable` from it.

        Rescheduling what is yielded does not matter after work has got out of reach: `release`.
        """
        try:
            async with asyncio.timeout(None) as timer:
                self._under_way.add(timer)
                if self._over:
                    timer.reschedule(0)
                try:
                    yield timer
                finally:
                    self.release(timer)
        except TimeoutError:
            if not timer.expired():  # the work's own, about something else
                raise
            raise Unavailable(
                "the server is stopping", hint="ask again: another one answers", retry_after=1
            ) from None

    def release(self, timer: asyncio.Timeout) -> None:
        """Let what `ends` gave alone: it ends by itself."""
        self._under_way.discard(timer)

    @asynccontextmanager
    async def on_signals(self) -> AsyncIterator[None]:
        """Drain on SIGTERM, or SIGINT, before the server's own handlers hear of it.

        A second signal is passed on at once. In a thread that gets no signals, nothing happens.
        """
        loop = asyncio.get_running_loop()
        servers: dict[signal.Signals, Any] = {}
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                servers[number] = signal.getsignal(number)
                if callable(servers[number]):
                    loop.add_signal_handler(number, self._signalled, number, servers[number])
        except (ValueError, RuntimeError, NotImplementedError):
            servers.clear()
        try:
            yield
        finally:
            for number, handler in servers.items():
                if callable(handler):
                    loop.remove_signal_handler(number)
                    signal.signal(number, handler)

    def _signalled(
        self, number: signal.Signals, server: Callable[[int, FrameType | None], None]
    ) -> None:
        again = self.draining
        self.begin()
        moment_s = 0.0 if again or number == signal.SIGINT else min(MOMENT_S, self._drain_s / 2)
        loop = asyncio.get_running_loop()
        if moment_s > CLOSING_S and self.listener is not None:
            loop.call_later(moment_s - CLOSING_S, ignore_newcomers, self.listener)
        loop.call_later(moment_s, server, number, None)

    def _end(self) -> None:
        self._over = True
        now = asyncio.get_running_loop().time()
        for timer in self._under_way:
            timer.reschedule(now)


def ignore_newcomers(listener: socket.socket) -> None:
    """Let the kernel drop requests for connections, while those that it accepted are served.

    A socket that is closed resets what it accepted and nobody took: its callers could not know
    whether they were heard. Who is ignored tries again, and is refused when nobody listens. Where
    the kernel has no such filter, nothing happens.
    """
    # Classic BPF on the TCP header: drop segments whose flags (byte 13) have SYN (2), keep others.
    program = ((0x30, 0, 0, 13), (0x45, 0, 1, 2), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    with suppress(OSError):
        listener.setsockopt(
            socket.SOL_SOCKET,
            SO_ATTACH_FILTER,
            struct.pack("HP", len(program), ctypes.addressof(code)),
        )


class Draining:
    """Tells callers to close their connections, and ends what has not begun to reply in time."""

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self._app, self._drain = app, drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        drain = self._drain

        async def send_parting(message: Message) -> None:
            if message["type"] == "http.response.start":
                drain.release(timer)  # a stream has an end of its own
                if drain.draining:
                    headers = [*message.get("headers", ()), (b"connection", b"close")]
                    message = {**message, "headers": headers}
            await send(message)

        try:
            async with drain.ends() as timer:
                await self._app(scope, receive, send_parting)
        except Unavailable as failure:
            await error_reply(failure, scope)(scope, receive, send)
