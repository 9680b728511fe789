"""How many requests are done at once, over a real server: turns, refusals, exceptions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.responses import StreamingResponse

from api.limits import Limits, kind_of
from tests.api.serving import served_app, settings_of
from tests.faults.calling import Answered, Caller, Connection, calling


class Held:
    """Work that waits until it is let go."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.began = asyncio.Semaphore(0)
        self.waited: list[float] = []

    async def work(self, request: Request) -> None:
        self.began.release()
        self.waited.append(request.state.waited)
        await self.gate.wait()


@asynccontextmanager
async def limited(tmp_path: Path, **serving: Any) -> AsyncIterator[tuple[Held, Caller]]:
    """Serve an application that is limited so, with work that is held."""
    settings = settings_of(tmp_path / "data", serving=serving)
    held, app = Held(), FastAPI()

    @app.post("/v1/search")
    async def search(request: Request) -> str:
        await held.work(request)
        return "found"

    @app.post("/v1/answer")
    async def answer(request: Request) -> StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            yield "first"
            await held.work(request)
            yield "last"

        return StreamingResponse(pieces())

    @app.get("/healthz")
    async def alive() -> str:
        return "alive"

    app.add_middleware(Limits, settings=settings)
    async with (
        asyncio.timeout(20),
        served_app(app, settings) as url,
        calling(int(url.rpartition(":")[2])) as caller,
    ):
        try:
            yield held, caller
        finally:
            held.gate.set()


def ask(caller: Caller, path: str = "/v1/search") -> asyncio.Task[Answered]:
    return asyncio.ensure_future(caller.call(path, {}))


async def test_what_is_too_much_is_told_so_and_the_rest_has_its_turn(tmp_path: Path) -> None:
    async with limited(tmp_path, concurrency=2, queue=1) as (held, caller):
        asked = [ask(caller) for _ in range(5)]
        done, waiting = await asyncio.wait(asked, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 2:
            more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        for refused in (one.result() for one in done):
            assert refused.status == 503
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.json()["type"].endswith("/overloaded")
        assert len(held.waited) == 2
        held.gate.set()
        assert [one.status for one in await asyncio.gather(*waiting)] == [200] * 3
        assert held.waited[:2] == [0.0, 0.0]
        assert held.waited[2] > 0


async def test_a_stream_holds_its_turn_until_it_ends(tmp_path: Path) -> None:
    async with limited(tmp_path, concurrency=1, queue=0) as (held, caller):
        stream = await Connection.open(caller.port)
        stream.send("/v1/answer", {})
        _, headers = await stream.head()
        pieces = stream.pieces(headers)
        assert await anext(pieces) == b"first"
        assert (await ask(caller, "/v1/answer")).status == 503
        held.gate.set()
        assert [piece async for piece in pieces] == [b"last"]
        stream.leave()
        assert (await ask(caller, "/v1/answer")).status == 200


async def test_slow_answers_do_not_hold_up_searches_nor_anything_the_question_of_life(
    tmp_path: Path,
) -> None:
    async with limited(tmp_path, concurrency=1, queue=0) as (held, caller):
        slow = ask(caller, "/v1/answer")
        await held.began.acquire()
        search = ask(caller)
        await held.began.acquire()
        assert (await ask(caller)).status == 503
        assert (await caller.call("/healthz")).status == 200
        held.gate.set()
        assert [(await one).status for one in (slow, search)] == [200, 200]


async def test_the_turn_of_a_caller_who_leaves_is_free(tmp_path: Path) -> None:
    async with limited(tmp_path, concurrency=1, queue=0) as (held, caller):
        for reset in (True, False):
            stream = await Connection.open(caller.port)
            stream.send("/v1/answer", {})
            _, headers = await stream.head()
            assert await anext(stream.pieces(headers)) == b"first"
            stream.leave(reset=reset)
            held.gate.set()
            while (await ask(caller, "/v1/answer")).status == 503:
                pass  # it is noticed soon
            held.gate.clear()


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ("GET /healthz", "free"),
        ("GET /readyz", "free"),
        ("POST /healthz", "requests"),
        ("GET /healthz/more", "requests"),
        ("POST /v1/search", "requests"),
        ("GET /v1/documents/x/text", "requests"),
        ("POST /v1/answer", "answers"),
        ("POST /v1/chat/completions", "answers"),
        ("POST /v1/collections/c/documents", "transfers"),
        ("POST /v1/collections/c/documents/text", "transfers"),
        ("GET /v1/collections/c/documents", "requests"),
        ("GET /v1/documents/x/original", "transfers"),
        ("GET /v1/runs/x/events", "followers"),
        ("GET /v1/runs/x", "requests"),
    ],
)
def test_every_request_is_of_a_kind(asked: str, kind: str) -> None:
    method, path = asked.split()
    assert kind_of({"type": "http", "method": method, "path": path}) == kind
