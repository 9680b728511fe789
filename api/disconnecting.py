"""Work that ends with its caller: done, late, or the caller gone, whichever comes first.

A caller that goes away is noticed at once, also before the first byte of a reply: work is a task
beside another one that waits for `http.disconnect`. Cancelling the work ends what it waits for.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.types import Receive

from rag.errors import Late, RagError, UserError

T = TypeVar("T")
HEADER = "x-request-timeout"


class Gone(RagError):
    """The caller went away; nobody reads the reply."""


async def disconnected(receive: Receive) -> None:
    """Return when the caller is gone. The body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def attended(request: Request, work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Do the work while the caller waits, at most for so long.

    Raise `Late` after the deadline, which callers can shorten by `X-Request-Timeout` (seconds).
    """
    try:
        seconds = allowed(request, seconds)
    except RagError:
        work.close()
        raise
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(disconnected(request.receive))
    try:
        await asyncio.wait({task, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if gone.done():
            raise Gone("the caller went away")
        raise Late(f"it was not done within {seconds:g} s", hint="ask for less, or allow more time")
    finally:
        await ended(task, gone)


async def ended(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait until they have let go of everything."""
    for task in tasks:
        if not task.done():
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def allowed(request: Request, seconds: float) -> float:
    """Return the seconds that a request has from now: what it asks for, but no more than these.

    Time spent in the queue counts. Raise `UserError` when the header is no number above 0.
    """
    header = request.headers.get(HEADER)
    if header is not None:
        try:
            asked = float(header)
        except ValueError:
            asked = math.nan
        if not asked > 0:
            raise UserError(f"{HEADER} is {header[:20]!r}", hint="give seconds, such as 2.5")
        seconds = min(seconds, asked)
    waited: float = request.scope.get("state", {}).get("waited", 0.0)
    return max(0.0, seconds - waited)
