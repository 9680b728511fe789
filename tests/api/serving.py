"""The real application under a real server, on a free port of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.serving import address, listen
from indexers import ingest as job
from rag.runtime import Runtime
from rag.settings import Settings, load_settings
from rag.types import DEFAULT_TENANT


@dataclass(frozen=True, slots=True)
class Served:
    """A running server."""

    url: str
    app: FastAPI

    @property
    def runtime(self) -> Runtime:
        """What it has open, to look behind the wire."""
        opened: Runtime = self.app.state.runtime
        return opened

    def client(self, **options: Any) -> httpx2.AsyncClient:
        """Return a client for it."""
        return httpx2.AsyncClient(base_url=self.url, timeout=30.0, **options)

    async def fill(self, folder: Path, collection: str = "default") -> None:
        """Ingest a folder into it."""
        runtime = self.runtime
        found = await job.open_collection(runtime, DEFAULT_TENANT, collection)
        listings = await job.list_paths(runtime, found, [folder], {})
        await job.ingest(runtime, found, listings)


def settings_of(data_dir: Path, **given: Any) -> Settings:
    """Return settings for tests: the hashing embedder, any free port."""
    defaults = {"embedder": "hashing", **given.pop("defaults", {})}
    serving = {"port": 0, **given.pop("serving", {})}
    return load_settings(data_dir=data_dir, defaults=defaults, serving=serving, **given)


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[Served]:
    """Serve the application of these settings in this process."""
    app = create_app(settings)
    async with served_app(app, settings) as url:
        yield Served(url, app)


@asynccontextmanager
async def served_app(app: Any, settings: Settings) -> AsyncIterator[str]:
    """Serve any ASGI application; give its address."""
    opened = listen(settings.serving)
    config = uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server._serve(sockets=[opened]))
    while not server.started:
        if serving.done():
            serving.result()
            raise RuntimeError("the server ended before it began")
        await asyncio.sleep(0.005)
    try:
        yield address(opened)
    finally:
        server.should_exit = True
        await serving
        opened.close()
