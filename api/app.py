"""The query API as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from rag import __version__
from rag.runtime import open_runtime
from rag.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """Make the application; the data folder is opened when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_runtime(settings) as runtime:
            app.state.runtime = runtime
            yield

    return FastAPI(title="Cumulo", version=__version__, lifespan=lifespan)
