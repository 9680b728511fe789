"""`/v1/runs`: what is being ingested and was ingested; watched and stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.cursors import read_cursor, write_cursor
from api.dependencies import Caller, Opened
from api.errors import problem_of
from api.events import begin
from api.json import dump, reply
from api.keeping import run_json
from api.paging import Cursor, Id, Limit
from api.problems import PROBLEMS
from api.schemas.keeping import RunReply, RunsReply
from api.strict import StrictRoute
from rag.catalog import runs
from rag.catalog.reporting import get_run, list_runs
from rag.runtime import Runtime
from rag.types import Principal

POLL_S = 0.5
LONGEST_S = 24 * 3600.0
"""A client that watches longer has to come again."""

router = APIRouter(tags=["runs"], responses=PROBLEMS, route_class=StrictRoute)


@router.get("/v1/runs", response_model=RunsReply)
async def list_all_runs(
    runtime: Opened,
    caller: Caller,
    collection: Annotated[
        str | None,
        Query(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Only of it."),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """List runs, newest first: uploads of the caller, and commands of the owner."""
    after = None
    if cursor is not None:
        started, run_id = read_cursor(cursor, (float, str))
        after = float(started), str(run_id)
    found, more = await runtime.catalog.read(
        list_runs, caller, limit=limit, after=after, collection=collection
    )
    page = {"data": [run_json(run) for run in found], "next": more and write_cursor(more)}
    return reply(page)


@router.get("/v1/runs/{id}", response_model=RunReply)
async def show_run(id: Id, runtime: Opened, caller: Caller) -> Response:
    """Show a run; its `counts` grow about every second while it is under way."""
    return reply(run_json(await runtime.catalog.read(get_run, id, caller)))


@router.get(
    "/v1/runs/{id}/events",
    response_class=Response,
    responses={
        200: {
            "description": "Events `progress` whenever something changed, then one `done`; the "
            "data of each is the run. `error` carries a problem.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def follow_run(id: Id, request: Request, runtime: Opened, caller: Caller) -> Response:
    """Follow a run to its end, as server-sent events."""

    def failed(failure: Exception) -> bytes:
        return _event("error", dump(problem_of(failure, request.scope)))

    return await begin(request, _events(runtime, id, caller), failed, LONGEST_S)


@router.post(
    "/v1/runs/{id}/cancel",
    status_code=202,
    response_model=RunReply,
    responses={200: {"model": RunReply, "description": "It has ended."}},
)
async def cancel_run(id: Id, runtime: Opened, caller: Caller) -> Response:
    """Stop a run: what is committed stays, the rest is left out. An ended run stays as it is."""
    await runtime.catalog.read(get_run, id, caller)  # whether the caller may know of it
    await runtime.catalog.write(runs.request_cancel, id)
    run = await runtime.catalog.read(get_run, id, caller)
    return reply(run_json(run), 200 if run.ended else 202)


async def _events(runtime: Runtime, run_id: str, caller: Principal) -> AsyncGenerator[bytes, None]:
    shown = b""
    while True:
        run = await runtime.catalog.read(get_run, run_id, caller)
        body = dump(run_json(run))
        if run.ended:
            yield _event("done", body)
            return
        if body != shown:
            yield _event("progress", body)
            shown = body
        await asyncio.sleep(POLL_S)


def _event(kind: str, data: bytes) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"
