"""The end of a server: new callers are sent away kindly, and what takes too long is told so."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse

from api import draining
from api.draining import Drain, Draining, ignore_newcomers
from rag.errors import Unavailable
from tests.api.serving import served_app, settings_of
from tests.faults.calling import Caller, Connection, calling


@asynccontextmanager
async def drained(tmp_path: Path, drain: Drain) -> AsyncIterator[Caller]:
    """Serve an application that drains, with work that never ends."""
    app = FastAPI()

    @app.get("/quick")
    async def quick() -> str:
        return "done"

    @app.post("/slow")
    async def slow() -> str:
        await asyncio.Event().wait()
        raise AssertionError("unreachable: nobody sets the event")

    @app.post("/stream")
    async def stream() -> StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            yield "first"
            try:
                async with drain.ends():
                    await asyncio.Event().wait()
            except Unavailable as exc:
                yield f"error: {exc.message}"

        return StreamingResponse(pieces())

    app.add_middleware(Draining, drain=drain)
    settings = settings_of(tmp_path / "data")
    async with (
        asyncio.timeout(20),
        served_app(app, settings) as url,
        calling(int(url.rpartition(":")[2])) as caller,
    ):
        yield caller


async def test_callers_are_told_to_connect_again_and_are_served_until_then(tmp_path: Path) -> None:
    drain = Drain(60.0)
    async with drained(tmp_path, drain) as caller:
        assert "connection" not in (await caller.call("/quick")).headers
        drain.begin()
        for _ in range(2):
            reply = await caller.call("/quick")
            assert (reply.status, reply.headers["connection"]) == (200, "close")


async def test_what_takes_longer_than_the_drain_is_told_so(tmp_path: Path) -> None:
    drain = Drain(0.3)
    async with drained(tmp_path, drain) as caller:
        slow = asyncio.ensure_future(caller.call("/slow", {}))
        stream = await Connection.open(caller.port)
        stream.send("/stream", {})
        _, headers = await stream.head()
        pieces = stream.pieces(headers)
        assert await anext(pieces) == b"first"
        drain.begin()
        refused = await slow
        assert refused.status == 503
        assert refused.headers["retry-after"] == "1"
        assert "stopping" in refused.json()["detail"]
        assert [piece async for piece in pieces] == [b"error: the server is stopping"]
        stream.leave()
        assert (await caller.call("/slow", {})).status == 503  # and whoever comes now, at once


async def test_only_the_end_of_the_drain_is_translated() -> None:
    drain = Drain(60.0)
    with pytest.raises(TimeoutError):
        async with drain.ends():
            raise TimeoutError
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_endless(drain), 0.001)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the filter")
def test_a_door_that_closes_lets_nobody_in_and_keeps_who_is_in() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address) as inside:
            ignore_newcomers(listener)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.1)
            inside.sendall(b"heard")
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.recv(10) == b"heard"
                accepted.sendall(b"answered")
                assert inside.recv(10) == b"answered"


async def _endless(drain: Drain) -> None:
    async with drain.ends():
        await asyncio.Event().wait()


async def test_a_signal_begins_the_drain_and_reaches_the_server_after_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(draining, "MOMENT_S", 0.05)
    heard: asyncio.Queue[int] = asyncio.Queue()
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.put_nowait(number))
    try:
        handler = signal.getsignal(signal.SIGTERM)
        drain = Drain(60.0)
        async with asyncio.timeout(10), drain.on_signals():
            signal.raise_signal(signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(heard.get(), 0.01)
                raise AssertionError("the server heard of it at once")
            assert drain.draining
            assert await heard.get() == signal.SIGTERM
            signal.raise_signal(signal.SIGTERM)  # a second one is passed on
            assert await heard.get() == signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)
