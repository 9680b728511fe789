"""A request that is sent twice with its key is done once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from api.dependencies import caller
from api.idempotency import REPLAYED
from rag.catalog import requests
from rag.errors import Unavailable
from rag.runtime import Runtime
from tests.api.keeping import DOCUMENTS, STRANGERS, TEXT, check_problem, done, keeping, spooled
from tests.api.serving import Served

KEY = {"Idempotency-Key": "first-try"}
BODY = {"name": "a.md", "text": TEXT}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Served, httpx2.AsyncClient]]:
    async with keeping(tmp_path) as both:
        yield both


async def runs_of(client: httpx2.AsyncClient) -> list[str]:
    return [run["id"] for run in (await client.get("/v1/runs")).json()["data"]]


async def test_the_same_request_gets_the_same_reply(
    served: tuple[Served, httpx2.AsyncClient],
) -> None:
    _, client = served
    first = await client.post(f"{DOCUMENTS}/text", json=BODY, headers=KEY)
    assert first.status_code == 202
    assert REPLAYED not in first.headers
    again = await client.post(f"{DOCUMENTS}/text", json=BODY, headers=KEY)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers[REPLAYED] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["content-type"] == "application/json"
    waited = await client.post(f"{DOCUMENTS}/text?wait=true", json=BODY, headers=KEY)
    assert done(waited)["id"] == first.json()["id"]  # who waits, waits for the first run
    assert waited.headers[REPLAYED] == "true"
    assert len(await runs_of(client)) == 1
    other = await client.post(f"{DOCUMENTS}/text", json=BODY, headers={"Idempotency-Key": "second"})
    assert other.json()["id"] != first.json()["id"]
    check_problem(
        await client.post(f"{DOCUMENTS}/text", json={**BODY, "text": "x"}, headers=KEY),
        422,
        "another request",
    )
    made = {"name": "docs2"}
    check_problem(
        await client.post("/v1/collections", json=made, headers=KEY), 422, "another request"
    )
    for bad in ("", "a b", "x" * 256, "ä"):
        header = {"Idempotency-Key": bad.encode()}
        reply = await client.post("/v1/collections", json=made, headers=header)  # type: ignore[arg-type]
        check_problem(reply, 422, "Idempotency-Key")


async def test_a_form_is_its_files(served: tuple[Served, httpx2.AsyncClient]) -> None:
    server, client = served
    files = {"files": ("a.md", TEXT)}
    first = await client.post(DOCUMENTS, files=files, headers=KEY)
    again = await client.post(DOCUMENTS, files=files, headers=KEY)  # with another boundary
    assert again.content == first.content
    assert again.headers[REPLAYED] == "true"
    for other in (
        {"files": {"files": ("a.md", "other")}},
        {"files": {"files": ("b.md", TEXT)}},
        {"files": files, "data": {"metadata": "{}"}},
    ):
        reply = await client.post(DOCUMENTS, headers=KEY, **other)  # type: ignore[arg-type]
        check_problem(reply, 422, "another request")
    done(await client.post(f"{DOCUMENTS}?wait=true", files=files, headers=KEY))
    assert len(await runs_of(client)) == 1
    assert spooled(server) == []


async def test_a_collection_is_made_once(served: tuple[Served, httpx2.AsyncClient]) -> None:
    _, client = served
    first = await client.post("/v1/collections", json={"name": "new"}, headers=KEY)
    again = await client.post("/v1/collections", json={"name": "new"}, headers=KEY)
    assert (again.status_code, again.content) == (201, first.content)


async def test_while_the_first_is_under_way_the_second_waits(
    served: tuple[Served, httpx2.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, client = served
    embedder, begun, go = Runtime.named_embedder, asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(runtime: Runtime, name: str) -> object:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(go.wait(), loop).result(20)
        return embedder(runtime, name)

    monkeypatch.setattr(Runtime, "named_embedder", slow)
    made = {"name": "new"}
    first = asyncio.create_task(client.post("/v1/collections", json=made, headers=KEY))
    await asyncio.wait_for(begun.wait(), 20)
    second = await client.post("/v1/collections", json=made, headers=KEY)
    check_problem(second, 409, "under way")
    assert second.headers["retry-after"] == "1"
    go.set()
    assert (await first).status_code == 201
    assert (await client.post("/v1/collections", json=made, headers=KEY)).status_code == 201


async def test_what_failed_can_be_tried_again(
    served: tuple[Served, httpx2.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, client = served
    bad = await client.post("/v1/collections/later/documents/text", json=BODY, headers=KEY)
    check_problem(bad, 404)
    made = {"name": "new", "embedder": "away"}
    check_problem(await client.post("/v1/collections", json=made, headers=KEY), 422)
    with monkeypatch.context() as patched:
        patched.setattr(Runtime, "named_embedder", lambda *_: _away())
        failed = await client.post("/v1/collections", json={"name": "new"}, headers=KEY)
        check_problem(failed, 503)
    good = await client.post("/v1/collections", json={"name": "new"}, headers=KEY)
    assert good.status_code == 201
    assert REPLAYED not in good.headers


async def test_a_key_belongs_to_its_caller(served: tuple[Served, httpx2.AsyncClient]) -> None:
    server, client = served
    made = {"name": "new"}
    mine = await client.post("/v1/collections", json=made, headers=KEY)
    for stranger in STRANGERS:
        server.app.dependency_overrides[caller] = lambda stranger=stranger: replace(stranger)
        theirs = await client.post("/v1/collections", json=made, headers=KEY)
        assert REPLAYED not in theirs.headers
    server.app.dependency_overrides.clear()
    again = await client.post("/v1/collections", json=made, headers=KEY)
    assert again.content == mine.content


async def test_a_client_that_leaves_can_come_again(
    served: tuple[Served, httpx2.AsyncClient],
) -> None:
    _, client = served
    with pytest.raises(httpx2.TimeoutException):
        await client.post(
            f"{DOCUMENTS}/text?wait=true",
            json={**BODY, "text": TEXT * 2000},
            headers=KEY,
            timeout=0.4,
        )
    again = await client.post(
        f"{DOCUMENTS}/text?wait=true", json={**BODY, "text": TEXT * 2000}, headers=KEY
    )
    done(again)
    assert len(await runs_of(client)) == 1
    assert requests.KEPT_S == 24 * 3600


def _away() -> None:
    raise Unavailable("the model is away")
