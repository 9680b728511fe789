"""Runs that requests ask for: queued, and waited for where the caller wants to wait."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated, Any, Literal, TypeAlias

import orjson
from fastapi import Query, Request
from starlette.responses import Response

from api.disconnecting import allowed, attended
from api.json import reply
from api.keeping import run_json
from api.uploads import Form
from indexers.spool import Spool
from rag.catalog import runs
from rag.catalog.reporting import Run, get_run
from rag.runtime import Runtime
from rag.types import Collection, Metadata, Principal, name_uuid

POLL_S = 0.1
MARGIN_S = 0.25
"""Before the deadline, so that the caller hears of the run instead of a failure."""

Wait: TypeAlias = Annotated[
    bool, Query(description="Reply when the run has ended, or with 202 at the deadline.")
]


def document_id(collection: Collection, name: str) -> str:
    """Return the id that a document which is handed over has."""
    source = name_uuid("source", collection.id, "upload", "upload")
    return name_uuid("document", source, name)


async def queue_files(
    runtime: Runtime,
    caller: Principal,
    collection: Collection,
    kind: Literal["files", "text"],
    form: Form,
    spool: Spool,
    metadata: Metadata | None,
) -> Response:
    """Leave files of the spool to a run."""
    task = {
        "place": await asyncio.to_thread(spool.place),
        "folder": form.folder.name,
        "files": [file.model_dump() for file in form.files],
    }
    names = [file.name for file in form.files]
    return await queue(runtime, caller, collection, kind, task, names, metadata)


async def queue(
    runtime: Runtime,
    caller: Principal,
    collection: Collection,
    kind: str,
    task: dict[str, Any],
    names: list[str],
    metadata: Metadata | None,
) -> Response:
    """Queue a run about documents of these names; reply 202 with the run and its place."""
    whole = {
        **task,
        "kind": kind,
        "documents": [(document_id(collection, name), name) for name in names],
        "metadata": metadata,
    }
    run_id = await runtime.catalog.write(runs.queue_run, collection.id, kind, whole, caller)
    run = await runtime.catalog.read(get_run, run_id, caller)
    return reply(run_json(run), 202, {"Location": f"/v1/runs/{run_id}"})


async def followed(
    queued: Response, request: Request, runtime: Runtime, caller: Principal
) -> Response:
    """Wait for the run that a reply is about; at the deadline, reply as it stands then."""
    run_id = orjson.loads(queued.body)["id"]
    run = await runtime.catalog.read(get_run, run_id, caller)
    seconds = allowed(request, runtime.settings.serving.timeout_s)

    async def wait() -> Run:
        nonlocal run
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds - MARGIN_S)):
                while not run.ended:
                    await asyncio.sleep(POLL_S)
                    run = await runtime.catalog.read(get_run, run_id, caller)
        return run

    run = await attended(request, wait(), seconds + 1)
    kept = {name: queued.headers[name] for name in _KEPT if name in queued.headers}
    return reply(run_json(run), 200 if run.ended else 202, kept)


_KEPT = ("location", "idempotency-replayed")
