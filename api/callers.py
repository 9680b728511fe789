"""Who calls: known before anything of a request's body is read.

Until callers can prove who they are, only this machine is listened to, and its caller is the owner.
A browser on this machine speaks for foreign pages too, so what comes from one is refused: by the
`Origin` of the page, and by a `Host` that is not this machine (a name that a page's owner moved).
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import refusal
from rag.types import local_owner

OPEN = ("/healthz", "/readyz")
"""Probes ask for these by whatever name; they tell nothing about data."""


class Callers:
    """Puts the principal beside the request, for everything behind it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["path"] not in OPEN:
            foreign = _foreign(Headers(scope=scope))
            if foreign:
                failure = HTTPException(403, f"{foreign} is not this machine")
                await refusal(failure, scope)(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = local_owner()
        await self._app(scope, receive, send)


def _foreign(headers: Headers) -> str | None:
    """Name the header that points away from this machine, if one does."""
    if not _is_here(f"//{headers.get('host', '')}"):
        return "the Host of the request"
    origin = headers.get("origin")
    if origin is not None and not _is_here(origin):
        return "the Origin of the request"
    return None


def _is_here(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
