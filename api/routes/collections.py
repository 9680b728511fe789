"""`/v1/collections`: make, list, measure and delete collections."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.dependencies import Caller, Opened
from api.etags import headers_of, tag_of, unchanged
from api.idempotency import Idempotent
from api.json import JSON, dump, reply
from api.keeping import collection_json, stats_json
from api.paging import CollectionPath, existing
from api.problems import PROBLEMS
from api.schemas.keeping import (
    CollectionDeleted,
    CollectionReply,
    CollectionRequest,
    CollectionsReply,
    CollectionStats,
)
from api.strict import StrictRoute
from indexers.ingest import open_collection
from indexers.removing import remove_collection
from rag.catalog.collections import find_collection, list_collections
from rag.catalog.sizes import measure
from rag.errors import Conflict, UserError
from rag.runtime import Runtime
from rag.types import Collection

router = APIRouter(tags=["collections"], responses=PROBLEMS, route_class=StrictRoute)


@router.post(
    "/v1/collections",
    status_code=201,
    response_model=CollectionReply,
    responses={200: {"model": CollectionReply, "description": "It was there already."}},
)
async def create_collection(
    asked: CollectionRequest, runtime: Opened, caller: Caller, once: Idempotent
) -> Response:
    """Make a collection.

    Asked for again with the same settings, it is there already. What a collection was built with
    cannot be changed: another store or embedder is a conflict.
    """

    async def work() -> Response:
        _check_names(asked, runtime)
        before = await runtime.catalog.read(find_collection, caller.tenant, asked.name)
        found = before or await open_collection(
            runtime, caller.tenant, asked.name, store=asked.store, embedder=asked.embedder
        )
        _check_same(asked, found)
        place = {"Location": f"/v1/collections/{found.name}"}
        return reply(collection_json(found), 200 if before else 201, place)

    return await once.do(work, asked.model_dump_json())


@router.get("/v1/collections", response_model=CollectionsReply)
async def list_all_collections(runtime: Opened, caller: Caller) -> Response:
    """List the collections by name."""
    found = await runtime.catalog.read(list_collections, caller.tenant)
    return reply({"data": [collection_json(one) for one in found]})


@router.get("/v1/collections/{name}", response_model=CollectionReply)
async def show_collection(
    name: CollectionPath, request: Request, runtime: Opened, caller: Caller
) -> Response:
    """Show a collection and what it was built with."""
    found = await existing(runtime, caller, name)
    body = dump(collection_json(found))
    tag = tag_of(body)
    return unchanged(request, tag) or Response(body, headers=headers_of(tag), media_type=JSON)


@router.get("/v1/collections/{name}/stats", response_model=CollectionStats)
async def measure_collection(name: CollectionPath, runtime: Opened, caller: Caller) -> Response:
    """Show a collection in numbers, source by source."""
    found = await existing(runtime, caller, name)
    size = await runtime.catalog.read(measure, found)
    return reply(stats_json(found, size))


@router.delete("/v1/collections/{name}", response_model=CollectionDeleted)
async def delete_collection(name: CollectionPath, runtime: Opened, caller: Caller) -> Response:
    """Delete a collection with all its documents, vectors, texts and originals."""
    found = await existing(runtime, caller, name)
    now = time.time()
    await remove_collection(runtime, found)
    facts = {"name": name, "documents": found.documents, "unfindable": now, "gone": time.time()}
    return reply(facts)


def _check_names(asked: CollectionRequest, runtime: Runtime) -> None:
    for what, name, known in (
        ("store", asked.store, runtime.settings.stores),
        ("embedder", asked.embedder, runtime.settings.embedders),
    ):
        if name is not None and name not in known:
            among = ", ".join(sorted(known))
            raise UserError(f"there is no {what} {name!r}", hint=f"configured: {among}")


def _check_same(asked: CollectionRequest, found: Collection) -> None:
    for what, name, pinned in (
        ("store", asked.store, found.live.store),
        ("embedder", asked.embedder, found.live.embedder.name),
    ):
        if name is not None and name != pinned:
            raise Conflict(
                f"collection {found.name!r} was built with the {what} {pinned!r}, not {name!r}",
                hint="leave it out, or make another collection",
            )
