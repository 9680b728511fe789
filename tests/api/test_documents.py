"""Documents over HTTP: handed over, shown in every form, described, deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.api.serving import Served, served, settings_of

TEXT = "# Monday\n\nThe zebra crossed the street.\n\n## Later\n\nIt was raining frogs.\n"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(settings_of(tmp_path / "data")) as running:
        yield running


@pytest.fixture
async def client(server: Served) -> AsyncIterator[httpx2.AsyncClient]:
    async with server.client() as opened:
        made = await opened.post("/v1/collections", json={"name": "docs"})
        assert made.status_code == 201, made.text
        yield opened


async def add(client: httpx2.AsyncClient, name: str = "a.md", text: str = TEXT, **more: Any) -> str:
    """Add a document and return its id."""
    reply = await client.post(
        "/v1/collections/docs/documents/text?wait=true", json={"name": name, "text": text, **more}
    )
    assert reply.status_code == 200, reply.text
    run = reply.json()
    assert run["state"] == "done", run
    assert run["failures"] == []
    (document,) = run["documents"]
    return str(document["id"])


async def found(client: httpx2.AsyncClient, query: str, **more: Any) -> list[str]:
    """Return the names of the documents that a search finds."""
    asked = {"query": query, "collection": "docs", **more}
    reply = await client.post("/v1/search", json=asked)
    assert reply.status_code == 200, reply.text
    return [hit["uri"] for hit in reply.json()["hits"]]


async def test_a_text_becomes_a_document(client: httpx2.AsyncClient) -> None:
    id_ = await add(client, "notes/monday.md", metadata={"lang": "en"})
    shown = (await client.get(f"/v1/documents/{id_}")).json()
    assert (shown["name"], shown["title"]) == ("notes/monday.md", "Monday")
    assert shown["given"] == {"meta.lang": "en"}
    assert shown["metadata"]["meta.ext"] == ".md"
    assert shown["original"]
    assert await found(client, "zebra") == ["upload:notes/monday.md"]
