"""An id for every request, in its reply, its problems and its log lines; headers of safety.

The outermost part of the application: what nobody foresaw becomes a problem here. `traceparent`
(W3C) stays among the request's headers for whoever calls further servers.
"""

from __future__ import annotations

import re
import uuid

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_reply

HEADER = b"x-request-id"
_SANE = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
SAFETY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
DOCS = "/docs"
"""The only page for browsers: it loads scripts, no other reply may."""


class RequestIds:
    """Takes the caller's id where it is harmless to repeat, else makes one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == HEADER), b"")
        request_id = given.decode() if _SANE.fullmatch(given) else str(uuid.uuid4())
        scope.setdefault("state", {})["request_id"] = request_id

        begun = False

        async def send_named(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                for name, value in SAFETY.items():
                    headers.setdefault(name, value)
                if scope["path"] != DOCS:
                    headers.setdefault("content-security-policy", "default-src 'none'")
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except Exception as failure:
            if begun:
                raise  # a reply that is cut must look cut
            await error_reply(failure, scope)(scope, receive, send_named)
