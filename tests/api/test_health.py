"""`/healthz` and `/readyz`: alive whatever happens, ready only when a question can be answered."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from rag.errors import Unavailable
from rag.runtime import Runtime
from tests.api.serving import Served, served, settings_of


async def _ready(server: Served) -> Any:
    async with server.client() as client:
        for _ in range(500):
            reply = await client.get("/readyz")
            if reply.status_code == 200:
                break
            await asyncio.sleep(0.01)
    return reply


async def test_it_is_ready_once_the_embedder_is_warm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, loading = threading.Event(), threading.Event()
    load = Runtime.named_embedder

    def slowly(runtime: Runtime, name: str) -> Any:
        asked.set()
        assert loading.wait(10)
        return load(runtime, name)

    monkeypatch.setattr(Runtime, "named_embedder", slowly)
    async with served(settings_of(tmp_path / "data")) as server, server.client() as client:
        assert await asyncio.to_thread(asked.wait, 10)
        before, alive = await client.get("/readyz"), await client.get("/healthz")
        loading.set()
        after = await _ready(server)
    assert (before.status_code, before.json()["ready"]) == (503, False)
    assert "warm" in before.json()["reason"]
    assert alive.json() == {"status": "ok"}
    assert after.json() == {"ready": True}


async def test_it_is_not_ready_while_the_catalog_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(settings_of(tmp_path / "data")) as server, server.client() as client:
        assert (await _ready(server)).status_code == 200

        async def away(*_: Any, **__: Any) -> Any:
            raise Unavailable("nobody answers at 10.0.0.7:5432")

        with monkeypatch.context() as patch:
            patch.setattr(server.runtime.catalog, "read", away)
            gone, alive = await client.get("/readyz"), await client.get("/healthz")
        back = await client.get("/readyz")
    assert gone.status_code == 503
    assert "catalog" in gone.json()["reason"]
    assert alive.status_code == back.status_code == 200


async def test_an_embedder_that_cannot_load_is_told(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path / "data", model_dir=tmp_path / "none", defaults={"embedder": "minilm"}
    )
    async with served(settings) as server, server.client() as client:
        for _ in range(500):
            reply = await client.get("/readyz")
            if "warming" not in reply.text:
                break
            await asyncio.sleep(0.01)
        alive = await client.get("/healthz")
    assert reply.status_code == 503
    assert "rag models pull" in reply.json()["reason"]
    assert alive.status_code == 200
