"""Runs over HTTP: listed, followed as events, stopped, and left to workers elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from indexers import running
from indexers.ingest import open_collection
from indexers.leasing import Pace
from tests.api.keeping import DOCUMENTS, TEXT, add, check_problem, found, keeping, spooled
from tests.api.serving import Served

LONG = "".join(f"## Part {n}\n\nSentence {n} speaks of subject{n}.\n\n" for n in range(1500))


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Served, httpx2.AsyncClient]]:
    async with keeping(tmp_path) as both:
        yield both


@pytest.fixture
async def idle(tmp_path: Path) -> AsyncIterator[tuple[Served, httpx2.AsyncClient]]:
    """Serve without a worker."""
    async with keeping(tmp_path, serving={"runs": False, "timeout_s": 1.0}) as both:
        yield both


async def events(client: httpx2.AsyncClient, run: str) -> list[tuple[str, dict[str, Any]]]:
    """Follow a run; return its events, with the data of each."""
    async with client.stream("GET", f"/v1/runs/{run}/events") as reply:
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith("text/event-stream")
        text = (await reply.aread()).decode()
    found_ = []
    for block in text.strip().split("\n\n"):
        if not block.startswith(":"):
            kind, data = block.split("\n", 1)
            found_.append((kind.removeprefix("event: "), orjson.loads(data.removeprefix("data: "))))
    return found_


async def test_a_run_is_followed_to_its_end(
    served: tuple[Served, httpx2.AsyncClient],
) -> None:
    _, client = served
    queued = await client.post(f"{DOCUMENTS}/text", json={"name": "a.md", "text": TEXT})
    run = queued.json()["id"]
    seen = await events(client, run)
    assert [kind for kind, _ in seen[:-1]] == ["progress"] * (len(seen) - 1)
    kind, last = seen[-1]
    assert (kind, last["state"], last["counts"]["added"]) == ("done", "done", 1)
    assert await events(client, run) == [("done", last)]
    assert (await client.get(f"/v1/runs/{run}")).json() == last
    listed = (await client.get("/v1/runs")).json()
    assert [one["id"] for one in listed["data"]] == [run]
    check_problem(await client.get(f"/v1/runs/{'0' * 8}-0000-4000-8000-{'0' * 12}/events"), 404)
    cancelled = await client.post(f"/v1/runs/{run}/cancel")
    assert (cancelled.status_code, cancelled.json()) == (200, last)


async def test_what_waits_is_listed_and_cancelled(
    idle: tuple[Served, httpx2.AsyncClient],
) -> None:
    server, client = idle
    ids = []
    for n in range(3):
        reply = await client.post(f"{DOCUMENTS}/text", json={"name": f"{n}.md", "text": TEXT})
        assert (reply.status_code, reply.json()["state"]) == (202, "queued")
        ids.append(reply.json()["id"])
    first = (await client.get("/v1/runs", params={"limit": 2})).json()
    rest = (await client.get("/v1/runs", params={"limit": 2, "cursor": first["next"]})).json()
    assert [run["id"] for run in first["data"] + rest["data"]] == ids[::-1]
    assert rest["next"] is None
    none = await client.get("/v1/runs", params={"collection": "other"})
    assert none.json()["data"] == []
    check_problem(await client.get("/v1/runs", params={"cursor": "WyJhIl0"}), 422, "cursor")

    began = time.monotonic()
    waited = await client.post(f"{DOCUMENTS}/text?wait=true", json={"name": "a.md", "text": TEXT})
    assert waited.status_code == 202  # the deadline came first
    assert time.monotonic() - began < 10
    soon = {"X-Request-Timeout": "0.3"}
    waited = await client.post(
        f"{DOCUMENTS}/text?wait=true", json={"name": "b.md", "text": TEXT}, headers=soon
    )
    assert waited.status_code == 202

    assert len(spooled(server)) == 5
    cancelled = await client.post(f"/v1/runs/{ids[0]}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "interrupted")
    ((kind, last),) = await events(client, ids[0])
    assert (kind, last["state"], last["cancelled"]) == ("done", "interrupted", True)

    stop = asyncio.Event()  # a separate worker takes what the API left
    worker = asyncio.create_task(running.run_worker(server.runtime, name="w", stop=stop))
    assert [run["state"] for _, run in [(await events(client, one))[-1] for one in ids]] == [
        "interrupted",
        "done",
        "done",
    ]
    stop.set()
    await worker
    there = set(await found(client, "zebra"))
    assert {"upload:1.md", "upload:2.md"} <= there
    assert "upload:0.md" not in there


async def test_a_run_is_stopped_while_it_is_under_way(
    idle: tuple[Served, httpx2.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = idle
    collection = await open_collection(server.runtime, "default", "docs")
    store = type(await server.runtime.index(collection.live))
    upsert = store.upsert  # type: ignore[attr-defined]

    async def slow(*given: Any) -> None:
        await asyncio.sleep(0.5)
        await upsert(*given)

    monkeypatch.setattr(store, "upsert", slow)
    files = [("files", (f"{n}.md", LONG.replace("subject", f"s{n}x"))) for n in range(12)]
    run = (await client.post(DOCUMENTS, files=files)).json()["id"]
    stop = asyncio.Event()
    worker = asyncio.create_task(
        running.run_worker(
            server.runtime, name="w", stop=stop, pace=Pace(lease_s=30.0, beat_s=0.05)
        )
    )
    async with client.stream("GET", f"/v1/runs/{run}/events") as reply:
        async for line in reply.aiter_lines():
            if line.startswith("data: ") and orjson.loads(line[6:])["counts"].get("files"):
                break
    cancelled = await client.post(f"/v1/runs/{run}/cancel")
    assert cancelled.status_code in (200, 202)
    kind, last = (await events(client, run))[-1]
    stop.set()
    await worker
    assert (kind, last["state"]) == ("done", "interrupted")
    assert last["counts"]["files_done"] < 12
    assert spooled(server) == []


async def test_progress_grows(
    served: tuple[Served, httpx2.AsyncClient],
) -> None:
    _, client = served
    files = [("files", (f"{n}.md", LONG)) for n in range(6)]
    reply = await client.post(DOCUMENTS, files=files)
    seen = await events(client, reply.json()["id"])
    for before, after in pairwise(seen):
        for name, value in before[1]["counts"].items():
            assert after[1]["counts"][name] >= value, name
    counts = seen[-1][1]["counts"]
    assert (counts["files"], counts["files_done"]) == (6, 6)
    assert counts["bytes_done"] == counts["bytes"] == 6 * len(LONG)


async def test_a_command_shows_beside_uploads(
    served: tuple[Served, httpx2.AsyncClient], tmp_path: Path
) -> None:
    server, client = served
    await add(client)
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "page.md").write_text("# Page\n")
    await server.fill(folder, "docs")
    listed = (await client.get("/v1/runs", params={"collection": "docs"})).json()["data"]
    assert [(run["kind"], run["state"]) for run in listed] == [("ingest", "done"), ("text", "done")]
