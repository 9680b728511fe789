"""`Idempotency-Key`: a request that is sent twice is done once, and gets the same reply.

The first reply is kept for a day; a request that failed is not, so it can be tried again with its
key. A key belongs to its caller.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from fastapi import Depends, Header, Request
from starlette.responses import Response

from api.dependencies import Caller, Opened
from indexers.taking import readers_of
from rag.catalog import requests
from rag.catalog.database import Catalog
from rag.catalog.requests import Kept, Key
from rag.errors import BackendError, Conflict, UserError

REPLAYED = "Idempotency-Replayed"
RETRY_S = 1.0
_KEPT = ("content-type", "location")
log = logging.getLogger("cumulo.api")


@dataclass(frozen=True, slots=True)
class Once:
    """Does the work of one request, unless it was done."""

    catalog: Catalog
    key: Key | None
    path: str

    async def do(self, work: Callable[[], Awaitable[Response]], *content: str) -> Response:
        """Do the work, or give the reply again that the same content got with the same key.

        Raise `UserError` where the key was used for something else, `Conflict` while the first
        request is under way.
        """
        if self.key is None:
            return await work()
        digest = _digest(self.path, *content)
        standing = await self.catalog.write(requests.reserve, self.key, digest)
        if isinstance(standing, Kept):
            headers = {**standing.headers, REPLAYED: "true"}
            return Response(standing.body, standing.status, headers=headers)
        if standing == "another request":
            raise UserError("this Idempotency-Key was used for another request", hint="make a new")
        if standing == "under way":
            raise Conflict("the request with this key is under way", retry_after=RETRY_S)
        try:
            response = await work()
        except BaseException:
            await asyncio.shield(self.catalog.write(requests.release, self.key, digest))
            raise
        await self._keep(self.key, digest, response)
        return response

    async def _keep(self, key: Key, digest: str, response: Response) -> None:
        headers = {name: response.headers[name] for name in _KEPT if name in response.headers}
        reply = Kept(response.status_code, headers, bytes(response.body))
        try:
            await self.catalog.write(requests.keep_reply, key, digest, reply)
        except BackendError as exc:  # done is done; the key stays taken, which errs on that side
            log.warning("a reply cannot be kept: %s", exc)


async def once_of(
    request: Request,
    runtime: Opened,
    caller: Caller,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
            description="Any name of this request; sent again with it, it is done only once.",
        ),
    ] = None,
) -> Once:
    """Read the key of a request."""
    mine = None if key is None else Key(caller.tenant, readers_of(caller)[0], key)
    return Once(runtime.catalog, mine, f"{request.method} {request.url.path}")


Idempotent = Annotated[Once, Depends(once_of)]


def _digest(*parts: str) -> str:
    digest = sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogatepass")
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()
