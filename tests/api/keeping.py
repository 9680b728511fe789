"""What tests of collections, documents and runs share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from rag.types import Principal
from tests.api.serving import Served, served, settings_of

DOCUMENTS = "/v1/collections/docs/documents"
TEXT = "# Monday\n\nThe zebra crossed the street.\n\n## Later\n\nIt was raining frogs.\n"
STRANGERS = (
    Principal("default", frozenset({"user:ann", "public"})),
    Principal("other", frozenset({"user:owner", "public"})),
)
"""Another caller of the same tenant, and a namesake of another tenant."""


@asynccontextmanager
async def keeping(
    folder: Path, **settings: Any
) -> AsyncIterator[tuple[Served, httpx2.AsyncClient]]:
    """Serve an installation with the collection `docs`."""
    async with (
        served(settings_of(folder / "data", **settings)) as server,
        server.client() as client,
    ):
        made = await client.post("/v1/collections", json={"name": "docs"})
        assert made.status_code == 201, made.text
        yield server, client


async def add(client: httpx2.AsyncClient, name: str = "a.md", text: str = TEXT, **more: Any) -> str:
    """Add a document and return its id."""
    given = {"name": name, "text": text, **more}
    return document_of(await client.post(f"{DOCUMENTS}/text?wait=true", json=given))


def document_of(reply: httpx2.Response) -> str:
    """Return the id of the one document that a finished run brought."""
    run = done(reply)
    assert run["failures"] == [], run
    (document,) = run["documents"]
    return str(document["id"])


def done(reply: httpx2.Response) -> dict[str, Any]:
    """Return a run that has come to its end."""
    assert reply.status_code == 200, reply.text
    run: dict[str, Any] = reply.json()
    assert run["state"] == "done", run
    return run


def check_problem(reply: httpx2.Response, status: int, detail: str = "") -> None:
    """Check that a reply is a problem of this status that says so."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert detail in reply.json()["detail"], reply.text


async def found(client: httpx2.AsyncClient, query: str, **more: Any) -> list[str]:
    """Return the addresses of the documents that a search finds."""
    asked = {"query": query, "collection": "docs", "mode": "sparse", **more}
    reply = await client.post("/v1/search", json=asked)
    assert reply.status_code == 200, reply.text
    return [hit["uri"] for hit in reply.json()["hits"]]


def spooled(server: Served) -> list[Path]:
    """Return what lies in the spool."""
    folder = server.runtime.settings.data_dir / "spool"
    return [path for path in folder.glob("*") if path.is_dir()]


async def until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - nobody tells when it does
            await asyncio.sleep(0.01)
