"""How many requests are done at once; what is too much is refused before anything is read of it.

Too much for the process is 503 with Retry-After (RFC 9110); 429 is for what one caller asks too
much. A stream holds its turn until it ends. Searches, answers and transfers have turns of their
own, so that slow ones do not hold up quick ones. Whether the process lives and is ready can always
be asked.
"""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from api.disconnecting import HEADER
from api.errors import error_reply
from api.lanes import Lane
from rag.errors import Overloaded
from rag.settings import Settings

KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("free", re.compile(r"GET /(healthz|readyz)$")),
    ("followers", re.compile(r"GET /v1/runs/[^/]+/events$")),
    ("transfers", re.compile(r"POST /v1/collections/[^/]+/documents\b|GET /v1/.*/original$")),
    ("answers", re.compile(r"POST /v1/(answer|chat/completions)$")),
    ("requests", re.compile(r"")),
)
"""By method and path; the first that fits."""
SHARES: dict[str, tuple[float, float]] = {
    "requests": (1.0, 1.0),
    "answers": (1.0, 1.0),
    "transfers": (0.25, 0.25),
    "followers": (4.0, 0.0),
}
"""Of the configured concurrency and queue."""


class Limits:
    """Gives each request its turn, or refuses it. `waited` in the scope's state says how long."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        serving = settings.serving
        self._lanes = {
            kind: Lane(
                most=max(1, int(serving.concurrency * turns)), queue=int(serving.queue * waiting)
            )
            for kind, (turns, waiting) in SHARES.items()
        }
        self._seconds = {"requests": serving.timeout_s, "answers": settings.answering.timeout_s}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        kind = kind_of(scope)
        if kind == "free":
            await self._app(scope, receive, send)
            return
        lane = self._lanes[kind]
        try:
            waited = await lane.enter(self._left_s(kind, scope))
        except Overloaded as refusal:
            await error_reply(refusal, scope)(scope, receive, send)
            return
        scope.setdefault("state", {})["waited"] = waited
        try:
            await self._app(scope, receive, send)
        finally:
            lane.leave()

    def _left_s(self, kind: str, scope: Scope) -> float:
        """Return how long the caller will wait; what cannot be read is the route's to refuse."""
        seconds = self._seconds.get(kind, float("inf"))
        header = dict(scope["headers"]).get(HEADER.encode())
        try:
            return seconds if header is None else min(seconds, float(header))
        except ValueError:
            return seconds


def kind_of(scope: Scope) -> str:
    """Tell which turns a request takes; `free` takes none."""
    if scope["type"] != "http":
        return "free"
    asked = f"{scope['method']} {scope['path']}"
    return next(kind for kind, fits in KINDS if fits.match(asked))
