"""What routes ask for: the open runtime, and who calls.

They are coroutines although they wait for nothing: others would be run in threads.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from rag.runtime import Runtime
from rag.types import Principal


async def open_runtime_of(request: Request) -> Runtime:
    """Return what this process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


async def caller(request: Request) -> Principal:
    """Return who calls."""
    principal: Principal = request.state.caller
    return principal


Opened = Annotated[Runtime, Depends(open_runtime_of)]
Caller = Annotated[Principal, Depends(caller)]
