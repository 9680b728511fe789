"""A TCP proxy that makes connections ill, with the toxics of Shopify's Toxiproxy.

What is between a caller and a server can be slow, thin, torn or gone without either being ill.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, fields
from typing import Self

CHUNK = 65536


@dataclass(slots=True)
class Toxics:
    """What is wrong with the connections now; all at rest by default."""

    down: bool = False
    """Nobody listens, and what was connected is torn."""
    latency_s: float = 0.0
    """Before anything is passed on."""
    bandwidth: float | None = None
    """Bytes each second."""
    slow_close_s: float = 0.0
    """Before the end of one side is passed on."""
    timeout_s: float | None = None
    """Nothing is passed on, and after so long the connection ends; 0 is never."""
    reset_peer_s: float | None = None
    """After so long the connection is reset."""
    slice_bytes: int | None = None
    """Data are passed on in pieces of this size."""
    limit_bytes: int | None = None
    """After so many bytes of the server the connection ends."""


@dataclass(slots=True)
class Proxy:
    """A running proxy; set its toxics with `poison`, and take all back with `heal`."""

    connect: Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
    port: int = 0
    toxics: Toxics = field(default_factory=Toxics)
    refused: int = 0
    """Connections that a toxic ended."""
    _server: asyncio.Server | None = None
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    async def poison(self, **toxics: float | bool | int | None) -> Self:
        """Make connections ill, those that are open too."""
        for name, value in toxics.items():
            setattr(self.toxics, name, value)
        if self.toxics.down:
            await self.stop()
        elif self._server is None:
            await self.start()
        return self

    async def heal(self) -> None:
        """Take all toxics back."""
        await self.poison(**{one.name: one.default for one in fields(Toxics)})

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more and tear what is connected."""
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = tuple(self._open)
        self.refused += len(tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._pass(reader, writer)
        except asyncio.CancelledError:  # the server is told to stop: it must not see this
            _reset(writer)
        finally:
            self._open.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, to_them = await self.connect()
        both = [
            asyncio.ensure_future(self._pump(reader, to_them, None)),
            asyncio.ensure_future(self._pump(theirs, writer, self.toxics.limit_bytes)),
        ]
        try:
            if (after := self.toxics.reset_peer_s) is not None:
                await asyncio.wait(both, timeout=after)
                self.refused += 1
                _reset(writer)
            elif (after := self.toxics.timeout_s) is not None:
                await asyncio.wait(both, timeout=after or None)
                self.refused += 1
            else:
                await asyncio.wait(both, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for pump in both:
                pump.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            for side in (writer, to_them):
                with suppress(OSError):
                    side.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None
    ) -> None:
        """Pass bytes on as the toxics of the moment let them."""
        passed = 0
        while data := await reader.read(self.toxics.slice_bytes or CHUNK):
            while self.toxics.timeout_s is not None:  # noqa: ASYNC110 - toxics are plain values
                await asyncio.sleep(0.01)
            await asyncio.sleep(self.toxics.latency_s)
            if self.toxics.bandwidth:
                await asyncio.sleep(len(data) / self.toxics.bandwidth)
            if limit is not None:
                data = data[: limit - passed]
                passed += len(data)
            writer.write(data)
            await writer.drain()
            if limit is not None and passed >= limit:
                self.refused += 1
                raise ConnectionError("the limit is reached")
        await asyncio.sleep(self.toxics.slow_close_s)
        with suppress(OSError):
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, AttributeError):
        opened: socket.socket = writer.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


@asynccontextmanager
async def proxied(
    connect: Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]],
) -> AsyncIterator[Proxy]:
    """Run a proxy in front of what `connect` connects to."""
    proxy = Proxy(connect)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
