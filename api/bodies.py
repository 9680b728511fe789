"""Bodies: limited in size and time while they arrive, before anything reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import refusal

UPLOADS = b"multipart/"
CLOSE = {"connection": "close"}
"""Else the rest of a body would be read, however long it is; one that says its length may end."""


class BodyLimit:
    """Refuses bodies that are too large or too slow; uploads of files have limits of their own."""

    def __init__(self, app: ASGIApp, limit: int, seconds: float) -> None:
        self._app, self._limit, self._seconds = app, limit, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        headers = dict(scope["headers"]) if scope["type"] == "http" else {}
        upload = headers.get(b"content-type", b"").startswith(UPLOADS)
        if scope["type"] != "http" or upload:
            await self._app(scope, receive, send)
            return
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._limit:
            await refusal(self._too_large(None), scope)(scope, receive, send)
            return
        arrived, whole = 0, False
        deadline = asyncio.get_running_loop().time() + self._seconds

        async def receive_limited() -> Message:
            nonlocal arrived, whole
            if whole:  # what comes now is that the caller is gone
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                late = f"the body did not arrive within {self._seconds:g} s"
                raise HTTPException(408, late, CLOSE) from None
            arrived += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if arrived > self._limit:
                raise self._too_large(CLOSE)
            return message

        await self._app(scope, receive_limited, send)

    def _too_large(self, headers: Mapping[str, str] | None) -> HTTPException:
        return HTTPException(413, f"the body is larger than {self._limit // 2**20} MiB", headers)
