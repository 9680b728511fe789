"""Routes that take JSON and nothing else: give `StrictRoute` to a router as `route_class`.

What is not declared as JSON is refused before it is read; NaN, texts that are not Unicode and trees
deeper than a thousand are malformed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import HTTPException, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from api.json import JSON


class StrictRequest(Request):
    """A request whose JSON is read by orjson."""

    async def json(self) -> Any:
        """Parse the body; raise `JSONDecodeError`."""
        return orjson.loads(await self.body())


class StrictRoute(APIRoute):
    """A route whose body is JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Read the body strictly, where the route takes one."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def run(request: Request) -> Response:
            _check_media_type(request.headers.get("content-type", ""))
            return await handle(StrictRequest(request.scope, request.receive))

        return run


def _check_media_type(header: str) -> None:
    given = header.partition(";")[0].strip().lower()
    if given == JSON or (given.startswith("application/") and given.endswith("+json")):
        return
    said = f"of the media type {given!r}" if given else "without a media type"
    raise HTTPException(415, f"the body is {said}; send {JSON}")
