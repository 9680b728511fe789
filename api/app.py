"""The query API as an ASGI application: who comes first, and which routes there are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from api.bodies import BodyLimit
from api.callers import Callers
from api.documenting import document, name_of
from api.draining import Drain, Draining
from api.errors import install_errors
from api.limits import Limits
from api.readiness import Readiness
from api.request_ids import RequestIds
from api.routes import ROUTERS
from indexers.running import worker_task
from rag import __version__
from rag.runtime import open_runtime
from rag.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """Make the application; the data folder is opened when it starts."""

    drain = Drain(settings.serving.drain_s)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            runtime = await stack.enter_async_context(open_runtime(settings))
            app.state.runtime = runtime
            app.state.readiness = Readiness(runtime, drain)
            await stack.enter_async_context(app.state.readiness.warming())
            if settings.serving.runs:
                await stack.enter_async_context(worker_task(runtime))
            await stack.enter_async_context(drain.on_signals())
            yield

    app = FastAPI(
        title="Cumulo",
        version=__version__,
        lifespan=lifespan,
        redoc_url=None,
        generate_unique_id_function=name_of,
    )
    app.state.drain = drain
    document(app)
    install_errors(app)
    for router in ROUTERS:
        app.include_router(router)
    # Added last comes first: named, let go on while the process ends, known, given a turn, read.
    serving = settings.serving
    app.add_middleware(BodyLimit, limit=serving.max_body_mb * 2**20, seconds=serving.timeout_s)
    app.add_middleware(Limits, settings=settings)
    app.add_middleware(Callers)
    app.add_middleware(Draining, drain=drain)
    app.add_middleware(RequestIds)
    return app
