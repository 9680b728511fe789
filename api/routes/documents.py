"""`/v1/collections/{name}/documents`: hand documents over, and list what is there."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.cursors import read_cursor, write_cursor
from api.dependencies import Caller, Opened
from api.idempotency import Idempotent
from api.json import reply
from api.keeping import document_json
from api.naming import clean_name
from api.paging import CollectionPath, Cursor, Limit, existing
from api.problems import PROBLEMS
from api.queueing import Wait, followed, queue, queue_files
from api.schemas.keeping import DocumentsReply, RunReply, TextRequest, UrlRequest
from api.strict import StrictRoute
from api.uploads import MAX_FILES, Form, received, spooled
from indexers.spool import spool_of
from rag.catalog.documents import page_of_documents
from rag.errors import Rejected, UserError
from rag.given import as_fields
from rag.http.targets import target
from rag.types import Metadata

MIB = 2**20
_ENDED: dict[int | str, dict[str, Any]] = {
    200: {"model": RunReply, "description": "The run has ended (`wait=true`)."}
}
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "minItems": 1,
                            "maxItems": MAX_FILES,
                            "description": "Files, each with its name.",
                        },
                        "metadata": {
                            "type": "string",
                            "contentMediaType": "application/json",
                            "description": "A JSON object: fields for all of the files.",
                        },
                    },
                    "required": ["files"],
                    "additionalProperties": False,
                },
            }
        },
    }
}

router = APIRouter(tags=["documents"], responses=PROBLEMS, route_class=StrictRoute)


@router.post(
    "/v1/collections/{name}/documents",
    status_code=202,
    response_model=RunReply,
    responses=_ENDED,
    openapi_extra=_FORM,
)
async def upload_documents(
    name: CollectionPath,
    request: Request,
    runtime: Opened,
    caller: Caller,
    once: Idempotent,
    wait: Wait = False,
) -> Response:
    """Upload files; the run that ingests them has an id to follow.

    A document of the same name is replaced. Originals are kept until the document is deleted.
    """
    collection = await existing(runtime, caller, name)
    spool = spool_of(runtime.settings.data_dir)
    limit = runtime.settings.serving.max_upload_mb * MIB
    async with received(request, spool, max_bytes=limit) as form:
        metadata = _form_metadata(form)
        used = False

        async def work() -> Response:
            nonlocal used
            used = True
            return await queue_files(runtime, caller, collection, "files", form, spool, metadata)

        content = [part for file in form.files for part in (file.name, file.digest)]
        queued = await once.do(work, form.fields.get("metadata", ""), *content)
        if not used:
            spool.remove(form.folder)
    return await followed(queued, request, runtime, caller) if wait else queued


@router.post(
    "/v1/collections/{name}/documents/text",
    status_code=202,
    response_model=RunReply,
    responses=_ENDED,
)
async def add_text(
    name: CollectionPath,
    asked: TextRequest,
    request: Request,
    runtime: Opened,
    caller: Caller,
    once: Idempotent,
    wait: Wait = False,
) -> Response:
    """Add a document given as text; the ending of its name or `media_type` tells its format."""
    collection = await existing(runtime, caller, name)
    spool = spool_of(runtime.settings.data_dir)
    title, metadata = clean_name(asked.name), _fields(asked.metadata)

    async def work() -> Response:
        content = asked.text.encode()
        async with spooled(spool, title, content, asked.media_type or "") as form:
            return await queue_files(runtime, caller, collection, "text", form, spool, metadata)

    queued = await once.do(work, asked.model_dump_json())
    return await followed(queued, request, runtime, caller) if wait else queued


@router.post(
    "/v1/collections/{name}/documents/url",
    status_code=202,
    response_model=RunReply,
    responses=_ENDED,
)
async def add_url(
    name: CollectionPath,
    asked: UrlRequest,
    request: Request,
    runtime: Opened,
    caller: Caller,
    once: Idempotent,
    wait: Wait = False,
) -> Response:
    """Add a document from an address; the run fetches it. Only public addresses are reached."""
    collection = await existing(runtime, caller, name)
    try:
        url = str(target(asked.url).url)
    except Rejected as exc:
        raise UserError(f"url: {exc.message}", hint=exc.hint) from exc
    title = url if asked.name is None else clean_name(asked.name)
    metadata = _fields(asked.metadata)

    async def work() -> Response:
        task = {"url": url, "name": title}
        return await queue(runtime, caller, collection, "url", task, [title], metadata)

    queued = await once.do(work, asked.model_dump_json())
    return await followed(queued, request, runtime, caller) if wait else queued


@router.get("/v1/collections/{name}/documents", response_model=DocumentsReply)
async def list_documents(
    name: CollectionPath,
    runtime: Opened,
    caller: Caller,
    prefix: Annotated[
        str,
        Query(
            max_length=1000,
            pattern=r"^[^\x00]*$",
            description="Only documents whose name begins with it.",
        ),
    ] = "",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """List the documents that the caller may read, in the order of their addresses."""
    found = await existing(runtime, caller, name)
    uri, last = ("", "") if cursor is None else map(str, read_cursor(cursor, (str, str)))
    page, more = await runtime.catalog.read(
        page_of_documents,
        found.live.id,
        caller,
        limit=limit,
        after=(uri, last),
        prefix=prefix,
    )
    facts = [document_json(document) for document in page]
    return reply({"data": facts, "next": more and write_cursor(more)})


def _fields(given: dict[str, Any] | None) -> Metadata | None:
    return None if given is None else as_fields(given)


def _form_metadata(form: Form) -> Metadata | None:
    """Read the form's fields; raise `UserError` for what is not understood, or no file at all."""
    if strange := sorted(set(form.fields) - {"metadata"}):
        raise UserError(
            f"the form has the field {strange[0][:80]!r}",
            hint="files need a filename; the only field besides is `metadata`",
        )
    if not form.files:
        raise UserError("the form has no file", hint="give each file a filename")
    if "metadata" not in form.fields:
        return None
    try:
        given = orjson.loads(form.fields["metadata"])
    except orjson.JSONDecodeError as exc:
        raise UserError("the field `metadata` is not JSON") from exc
    if not isinstance(given, dict):
        raise UserError("the field `metadata` is not a JSON object")
    return as_fields(given)
