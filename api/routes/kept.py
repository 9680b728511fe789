"""`/v1/documents/{id}`: one document, all that is kept of it, and what proves that it is gone."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.dependencies import Caller, Opened
from api.etags import headers_of, tag_of, unchanged
from api.json import JSON, dump, reply
from api.keeping import chunk_json, document_json, receipt_json
from api.originals import original_of
from api.paging import Id, Limit
from api.problems import PROBLEMS
from api.schemas.keeping import ChunksReply, DocumentReply, MetadataRequest, ReceiptReply
from api.strict import StrictRoute
from indexers.describing import describe, tidy
from indexers.removing import remove_document
from rag.catalog import receipts, versions
from rag.catalog.documents import get_document
from rag.errors import BackendError, Conflict, Rejected
from rag.given import as_fields
from rag.parsed import unpack_document
from rag.runtime import Runtime
from rag.types import Chunk, Principal, chunk_id

TRIES = 3
"""Times that a document may change while its chunks are read."""
_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The text.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file as it was handed over.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The caller has it already (`If-None-Match`)."}
}

router = APIRouter(tags=["documents"], responses=PROBLEMS, route_class=StrictRoute)


@router.get("/v1/documents/{id}", response_model=DocumentReply, responses={**_NOT_MODIFIED})
async def show_document(id: Id, request: Request, runtime: Opened, caller: Caller) -> Response:
    """Show a document."""
    body = dump(document_json(await runtime.catalog.read(get_document, id, caller)))
    tag = tag_of(body)
    return unchanged(request, tag) or Response(body, headers=headers_of(tag), media_type=JSON)


@router.get(
    "/v1/documents/{id}/text", response_class=Response, responses={**_TEXT, **_NOT_MODIFIED}
)
async def show_text(id: Id, request: Request, runtime: Opened, caller: Caller) -> Response:
    """Show the text that a document was parsed to: offsets of citations count its characters."""
    stored = await runtime.catalog.read(get_document, id, caller)
    tag = tag_of(stored.text_digest)

    def read() -> bytes:
        packed = runtime.texts.get(stored.id, stored.text_digest)
        return unpack_document(packed).text.encode("utf-8", "replace")

    if (known := unchanged(request, tag)) is not None:
        return known
    text = await asyncio.to_thread(read)
    return Response(text, headers=headers_of(tag), media_type="text/plain; charset=utf-8")


@router.get("/v1/documents/{id}/chunks", response_model=ChunksReply)
async def list_chunks(
    id: Id,
    runtime: Opened,
    caller: Caller,
    limit: Limit = 100,
    after: Annotated[
        int, Query(ge=-1, le=2**31, description="Ordinal of the last chunk of the page before.")
    ] = -1,
) -> Response:
    """List the chunks of a document, in the order of its text."""
    chunks, more = await _chunks(runtime, caller, id, after + 1, limit)
    last = chunks[-1].ordinal if more else None
    return reply({"data": [chunk_json(chunk) for chunk in chunks], "next": last})


@router.get(
    "/v1/documents/{id}/original", response_class=Response, responses={**_BYTES, **_NOT_MODIFIED}
)
async def fetch_original(id: Id, request: Request, runtime: Opened, caller: Caller) -> Response:
    """Fetch the file that was handed over, byte for byte; of sources that can be asked, none."""
    stored = await runtime.catalog.read(get_document, id, caller)
    known = unchanged(request, tag_of(stored.original_digest or ""))
    return known or await original_of(runtime.originals, stored)


@router.put("/v1/documents/{id}/metadata", response_model=DocumentReply)
async def give_metadata(
    id: Id, asked: MetadataRequest, runtime: Opened, caller: Caller
) -> Response:
    """Give a document metadata, in place of what was given before.

    They stand above what the file says of itself, filters see them at once, and they stay when the
    document is ingested again.
    """
    given = as_fields(asked.metadata)
    stored = await runtime.catalog.read(get_document, id, caller)
    if await describe(runtime, id, given):
        await tidy(runtime, caller.tenant, stored.collection)
    return reply(document_json(await runtime.catalog.read(get_document, id, caller)))


@router.delete("/v1/documents/{id}", response_model=ReceiptReply)
async def delete_document(id: Id, runtime: Opened, caller: Caller) -> Response:
    """Delete a document: it is unfindable at once, and the receipt says since when nothing is left.

    Where `gone` is null, a store was away; the rest goes with the next write into the collection.
    """
    stored = await runtime.catalog.read(get_document, id, caller)
    try:
        receipt = await remove_document(runtime, caller.tenant, stored)
    except BackendError:
        found = await runtime.catalog.read(
            receipts.list_receipts, caller.tenant, document_id=id, limit=1
        )
        if not found:
            raise
        receipt = found[0]
    return reply(receipt_json(receipt))


@router.get("/v1/receipts/{id}", response_model=ReceiptReply)
async def show_receipt(id: Id, runtime: Opened, caller: Caller) -> Response:
    """Show the receipt of a deletion."""
    return reply(receipt_json(await runtime.catalog.read(receipts.get_receipt, caller.tenant, id)))


async def _chunks(
    runtime: Runtime, caller: Principal, document_id: str, start: int, limit: int
) -> tuple[list[Chunk], bool]:
    """Return chunks of one version, checked again after they were read; tell whether more follow.

    Raise `NotFound`, also when the document went meanwhile.
    """
    for _ in range(TRIES):
        await runtime.catalog.read(get_document, document_id, caller)
        version = await runtime.catalog.read(versions.live_version, document_id)
        index = await runtime.index(version.generation)
        wanted = [
            chunk_id(version.generation.id, document_id, version.attempt, ordinal)
            for ordinal in range(start, min(start + limit, version.chunks))
        ]
        found = await index.fetch(wanted)
        await runtime.catalog.read(get_document, document_id, caller)
        after = await runtime.catalog.read(versions.live_version, document_id)
        if after.attempt != version.attempt:
            continue
        if len(found) < len(wanted):
            raise Rejected("chunks of this document are damaged", hint="run: rag doctor --fix")
        return [found[name] for name in wanted], start + limit < version.chunks
    raise Conflict("the document changes all the time", retry_after=1)
