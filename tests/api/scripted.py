"""A server that replies as a test says, request by request; and both clients asked alike."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import uvicorn

from rag.client import AsyncCumulo, Cumulo

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that arrived, and when (seconds of the monotonic clock)."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent back; after `body` the connection breaks off, or nothing more comes."""

    status: int = 200
    body: bytes | Json = b""
    headers: Json = field(default_factory=dict)
    then: str = "end"
    """`end`, `cut`, or `hang` until the client is gone."""


@dataclass(slots=True)
class Script:
    """Replies in order, the last one again and again; what was asked; who hung up."""

    replies: list[Reply]
    seen: list[Seen] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        raw, query = scope["raw_path"].decode(), scope["query_string"].decode()
        self.seen.append(Seen(scope["method"], raw, query, headers, bytes(body), time.monotonic()))
        reply = self.replies[min(len(self.seen), len(self.replies)) - 1]
        await self._reply(reply, receive, send)

    async def _reply(self, reply: Reply, receive: Any, send: Any) -> None:
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        headers = {"content-type": "application/json", **reply.headers}
        if reply.then == "cut":
            headers["content-length"] = str(len(content) + 1)
        raw = [(name.encode(), str(value).encode()) for name, value in headers.items()]
        if reply.then != "silent":
            await send({"type": "http.response.start", "status": reply.status, "headers": raw})
            more = reply.then == "hang"
            await send({"type": "http.response.body", "body": content, "more_body": more})
        if reply.then in ("hang", "silent"):
            while (await receive())["type"] != "http.disconnect":
                pass
            self.gone.set()


def problem(status: int, kind: str, **more: Any) -> Json:
    """Return a problem document."""
    kind = f"https://cumulo.dev/problems/{kind}"
    return {"type": kind, "title": "Title", "status": status, "detail": "It failed.", **more}


def events(*told: tuple[str, Json]) -> bytes:
    """Return server-sent events, with a comment before the first."""
    lines = [f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in told]
    return (": waiting\n\n" + "".join(lines)).encode()


@asynccontextmanager
async def scripted(*replies: Reply) -> AsyncIterator[tuple[str, Script]]:
    """Serve a script; give its address, and what it saw."""
    script = Script(list(replies))
    async with listening(script) as url:
        yield url, script


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[str]:
    """Serve any ASGI application without a lifespan; it ends at once, unlike a real server."""
    config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    opened = config.bind_socket()
    await server.startup(sockets=[opened])
    try:
        yield f"http://127.0.0.1:{opened.getsockname()[1]}"
    finally:
        for listener in server.servers:
            listener.close()
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        opened.close()
        await asyncio.gather(*server.server_state.tasks, return_exceptions=True)


Ask: TypeAlias = Callable[..., Awaitable[Any]]
"""`ask("documents.list", "handbook")`: lists and streams come as lists."""


@asynccontextmanager
async def asking(kind: str, url: str, **options: Any) -> AsyncIterator[Ask]:
    """Give one of the clients, `sync` or `async`; both are asked in the same way."""
    within = options.pop("within", None)
    if kind == "sync":
        with Cumulo(url, **options) as client:
            asked: Any = client if within is None else client.within(within)
            yield lambda name, *args, **more: asyncio.to_thread(_whole, asked, name, args, more)
    else:
        async with AsyncCumulo(url, **options) as client_:
            awaited: Any = client_ if within is None else client_.within(within)
            yield lambda name, *args, **more: _awaited(awaited, name, args, more)


def _whole(client: Any, name: str, args: Any, more: Any) -> Any:
    value = _method(client, name)(*args, **more)
    return list(value) if hasattr(value, "__next__") else value


async def _awaited(client: Any, name: str, args: Any, more: Any) -> Any:
    value = _method(client, name)(*args, **more)
    return await value if inspect.isawaitable(value) else [one async for one in value]


def _method(client: Any, name: str) -> Any:
    for part in name.split("."):
        client = getattr(client, part)
    return client
