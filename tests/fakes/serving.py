"""Runs a fake model server under uvicorn, in a thread of its own, and watches what it is asked.

`fake("vllm", text="Hi")` is the way in. Every reply says in `x-fake` that it comes from a fake.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import uvicorn

from tests.fakes.faults import Fault

SERVERS = ("cohere", "kserve", "nim", "openai", "tei", "tgi", "vllm")


@dataclass(slots=True)
class Asked:
    """A request as it came in, and how it ended."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    """The JSON of the body; None without one."""
    raw: bytes = b""
    query: str = ""
    status: int = 0
    """0 while it is not answered."""
    sent: int = 0
    """Chunks of a stream that went out."""
    abandoned: bool = False
    """The client went before the answer was complete."""


class Refused(Exception):
    """A request that the server refuses; the server's module knows the shape."""

    def __init__(self, status: int, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.kind = status, message, kind


@dataclass(frozen=True, slots=True)
class Stream:
    """Server-sent events: each chunk is JSON, and the end is what follows them."""

    chunks: tuple[Any, ...]
    comments: bool = False
    pause_s: float = 0.0
    """Between chunks."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What makes a server itself: paths with their handlers, its base address, its errors."""

    name: str
    prefix: str
    """Of the paths that an OpenAI client adds to."""
    routes: Mapping[str, Callable[[Asked], Any]]
    """`POST /path` to a function that gives a JSON value or a `Stream`, or raises `Refused`."""
    refusal: Callable[[Refused], Any]
    """The JSON of an error."""


@dataclass
class Fake:
    """A running fake: where it is, what it was asked, and what is to go wrong."""

    name: str
    root: str
    """`http://127.0.0.1:port`."""
    base_url: str
    """What an OpenAI client is configured with."""
    requests: list[Asked] = field(default_factory=list)
    faults: deque[Fault | None] = field(default_factory=deque)
    """Taken one by one, by the next requests; None leaves a request alone."""
    ill: Callable[[Asked], Fault | None] = lambda asked: None
    """Asked about every request that no fault was queued for."""
    open: int = 0
    """Requests under way."""

    def bodies(self, path: str = "") -> list[Any]:
        """The bodies of the requests whose path ends so."""
        return [asked.body for asked in self.requests if asked.path.endswith(path)]


@asynccontextmanager
async def fake(name: str, **options: Any) -> AsyncIterator[Fake]:
    """Run the fake of one of `SERVERS`; options are those of its module's `wire`."""
    running = fake_server(name, **options)
    server = await asyncio.to_thread(running.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


@contextmanager
def fake_server(name: str, **options: Any) -> Iterator[Fake]:
    """Do the same for tests that are not async."""
    wire: Wire = import_module(f"tests.fakes.{name}").wire(**options)
    # By its protocol asyncio knows that it may send at once (TCP_NODELAY): else 40 ms a reply.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(512)
        root = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = Fake(name, root, root + wire.prefix)
        app = _App(wire, server)
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=60,
            timeout_graceful_shutdown=1,
        )
        app.server = _Brisk(config)
        thread = threading.Thread(target=app.server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            _wait_for(app.server)
            yield server
        finally:
            app.server.should_exit = app.server.force_exit = True
            thread.join(10)
            assert not thread.is_alive(), "the fake did not stop"


class _Brisk(uvicorn.Server):
    """Begins and ends at once: the usual one looks ten times a second whether it is to end."""

    async def main_loop(self) -> None:
        while not self.should_exit:  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.004)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()  # type: ignore[union-attr]
        for _ in range(1000):
            if not self.server_state.tasks and not self.server_state.connections:
                return
            await asyncio.sleep(0.001)


def _wait_for(server: uvicorn.Server) -> None:
    end = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < end, "the fake did not start"
        time.sleep(0.005)


class _App:
    """The ASGI application around a wire: records, does the faults, sends."""

    server: uvicorn.Server

    def __init__(self, wire: Wire, fake: Fake) -> None:
        self.wire, self.fake = wire, fake

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        asked = await _read(scope, receive)
        self.fake.requests.append(asked)
        self.fake.open += 1
        answering = asyncio.ensure_future(self._answer(asked, scope, send))
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            asked.abandoned = not answering.done()
        finally:
            self.fake.open -= 1
            for task in (answering, leaving):
                task.cancel()
                with suppress(asyncio.CancelledError, _Broken):
                    await task

    async def _answer(self, asked: Asked, scope: Any, send: Any) -> None:
        fault = self.fake.faults.popleft() if self.fake.faults else self.fake.ill(asked)
        fault = fault or Fault()
        await asyncio.sleep(fault.delay_s)
        if fault.hang:
            await asyncio.Event().wait()
        try:
            if fault.status is not None:
                raise Refused(fault.status, "it was told to refuse")
            value = self._handle(asked)
        except Refused as refused:
            value, status = self.wire.refusal(refused), refused.status
        else:
            status = 200
        asked.status = status
        if isinstance(value, Stream):
            await self._stream(value, asked, fault, scope, send)
            return
        if fault.reset:
            self._reset(scope)
        if status == 200 and fault.spoil is not None:
            value = fault.spoil(value)
        body = json.dumps(value, ensure_ascii=False).encode()
        headers = {"content-type": "application/json"}
        if fault.retry_after is not None:
            headers["retry-after"] = fault.retry_after
        await self._begin(send, status, headers)
        body = body[: len(body) // 2] if fault.truncate else body
        await send({"type": "http.response.body", "body": body})

    def _handle(self, asked: Asked) -> Any:
        handler = self.wire.routes.get(f"{asked.method} {asked.path}")
        if handler is None:
            raise Refused(404, f"no route {asked.method} {asked.path}")
        if asked.method == "POST":
            if not asked.headers.get("content-type", "").startswith("application/json"):
                raise Refused(415, "the content type is not application/json")
            if asked.body is None:
                raise Refused(400, "the body is no JSON")
        return handler(asked)

    async def _stream(
        self, stream: Stream, asked: Asked, fault: Fault, scope: Any, send: Any
    ) -> None:
        await self._begin(send, 200, {"content-type": "text/event-stream; charset=utf-8"})

        async def event(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        for n, chunk in enumerate(stream.chunks):
            if fault.breaks_streams and n == fault.after:
                await self._break(fault, event, scope)
                break
            if stream.comments:
                await event(b": still here\n\n")
            await event(b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n")
            asked.sent += 1
            await asyncio.sleep(stream.pause_s)
        else:
            await event(b"data: [DONE]\n\n")
        await send({"type": "http.response.body", "body": b""})

    async def _break(self, fault: Fault, event: Any, scope: Any) -> None:
        """Do to a stream what the fault says; the caller ends it properly if this returns."""
        await asyncio.sleep(0.01)  # so that what was sent before does not get lost with it
        if fault.reset:
            self._reset(scope)
        if fault.cut:
            raise _Broken
        if fault.stall:
            await asyncio.Event().wait()
        if fault.garbage:
            await event(b'data: {"choices": [{"del\n\n')
        if fault.error is not None:
            said = {"error": {"message": fault.error, "type": "server_error", "code": 500}}
            await event(b"data: " + json.dumps(said).encode() + b"\n\n")

    async def _begin(self, send: Any, status: int, headers: dict[str, str]) -> None:
        given = {**headers, "x-fake": self.wire.name}
        pairs = [(key.encode(), value.encode()) for key, value in given.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})

    def _reset(self, scope: Any) -> None:
        """End the connection with RST: the kernel sends it when nothing may linger."""
        for connection in list(self.server.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is None or transport.get_extra_info("peername") != tuple(scope["client"]):
                continue
            raw = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        raise _Broken


class _Broken(Exception):
    """Ends the application without ending the response: uvicorn closes the connection."""


async def _read(scope: Any, receive: Any) -> Asked:
    raw, more = b"", True
    while more:
        message = await receive()
        raw += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
    try:
        body = json.loads(raw) if raw else None
    except ValueError:
        body = None
    headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
    query = scope["query_string"].decode("latin-1")
    return Asked(scope["method"], scope["path"], headers, body, raw, query)


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
