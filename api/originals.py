"""Kept originals as replies: always as an attachment, never as a page of this server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

from starlette.responses import StreamingResponse

from api.etags import headers_of, tag_of
from rag.blobs import Blobs
from rag.catalog.documents import Stored
from rag.errors import NotFound


async def original_of(originals: Blobs, document: Stored) -> StreamingResponse:
    """Send an original piece by piece; the last piece goes when all of it was found to be right.

    Raise `NotFound` where none is kept.
    """
    digest = document.original_digest
    if digest is None:
        raise NotFound(
            "no original is kept of this document", hint="its source still has it: see `uri`"
        )
    size = await asyncio.to_thread(originals.size, document.id, digest)
    pieces = originals.pieces(document.id, digest)
    first = await asyncio.to_thread(next, pieces)
    name = document.external_id.rsplit("/", 1)[-1]
    headers = {
        **headers_of(tag_of(digest)),
        "Content-Length": str(size),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return StreamingResponse(
        _sent(first, pieces), headers=headers, media_type="application/octet-stream"
    )


async def _sent(first: bytes, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
