"""A caller of the API that can be rude: it leaves in the middle, resets, and keeps an eye on time.

Plain HTTP/1.1 over asyncio streams, since clients made for use hide what is looked at here.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

SEARCH = "/v1/search"


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply, whole, and how long it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    def json(self) -> Any:
        """Return the body's value."""
        return json.loads(self.body)


@dataclass(slots=True)
class Caller:
    """Calls one server over connections that are kept; it opens as many as it needs."""

    port: int
    _idle: list[Connection] = field(default_factory=list)

    async def call(self, path: str, body: Any = None, **headers: str) -> Answered:
        """Post a body, or get; raise `OSError` or `EOFError` when no whole reply comes."""
        connection = self._idle.pop() if self._idle else await Connection.open(self.port)
        try:
            answered = await connection.call(path, body, headers)
        except BaseException:
            connection.leave()
            raise
        if answered.headers.get("connection") == "close":
            connection.leave()
        else:
            self._idle.append(connection)
        return answered

    def leave(self) -> None:
        """Close the connections."""
        for connection in self._idle:
            connection.leave()
        self._idle.clear()


@dataclass(slots=True)
class Connection:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used: bool = False
    """A reply came over it before: then it may end at any moment."""

    @staticmethod
    async def open(port: int) -> Connection:
        """Connect; raise `ConnectionRefusedError` when nobody listens."""
        return Connection(*await asyncio.open_connection("127.0.0.1", port, limit=2**24))

    async def call(self, path: str, body: Any, headers: Mapping[str, str]) -> Answered:
        """Send a request and read the whole reply."""
        began = time.monotonic()
        self.send(path, body, headers)
        status, found = await self.head()
        content = b"".join([piece async for piece in self.pieces(found)])
        self.used = True
        return Answered(status, found, content, time.monotonic() - began)

    def send(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> None:
        """Send a request."""
        content = b"" if body is None else json.dumps(body).encode()
        named = {key.replace("_", "-"): value for key, value in (headers or {}).items()}
        lines = [
            f"{'GET' if body is None else 'POST'} {path} HTTP/1.1",
            "host: localhost",
            f"content-length: {len(content)}",
            "content-type: application/json",
            *(f"{key}: {value}" for key, value in named.items()),
        ]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read the status and the headers."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in head[1:] if line)
        return int(head[0].split()[1]), {key.lower(): value for key, value in pairs}

    async def pieces(self, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        if headers.get("transfer-encoding") != "chunked":
            yield await self.reader.readexactly(int(headers.get("content-length", "0")))
            return
        while True:
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            piece = (await self.reader.readexactly(size + 2))[:-2]
            if not piece:
                return
            yield piece

    def leave(self, *, reset: bool = False) -> None:
        """Go away, politely or with a reset."""
        with suppress(OSError, AttributeError):
            if reset:
                opened: socket.socket = self.writer.get_extra_info("socket")
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.close()


@asynccontextmanager
async def calling(port: int) -> AsyncIterator[Caller]:
    """Yield a caller; its connections are closed at the end."""
    caller = Caller(port)
    try:
        yield caller
    finally:
        caller.leave()


async def paced(
    caller: Caller,
    body: Callable[[], Any],
    *,
    rate: float,
    seconds: float,
    path: str = SEARCH,
    **headers: str,
) -> list[tuple[float, Answered | Exception]]:
    """Call at a rate that does not wait for replies; return (when it was sent, what came)."""
    began = time.monotonic()
    calls: list[asyncio.Task[tuple[float, Answered | Exception]]] = []

    async def one() -> tuple[float, Answered | Exception]:
        at = time.monotonic() - began
        try:
            return at, await caller.call(path, body(), **headers)
        except (OSError, EOFError) as exc:
            return at, exc

    while (n := len(calls)) < rate * seconds:
        await asyncio.sleep(began + n / rate - time.monotonic())
        calls.append(asyncio.ensure_future(one()))
    return list(await asyncio.gather(*calls))
