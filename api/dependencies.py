"""What routes ask for: the open runtime, and who calls."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from rag.runtime import Runtime
from rag.types import Principal, local_owner


def open_runtime_of(request: Request) -> Runtime:
    """Return what this process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


def caller() -> Principal:
    """Return who calls: the owner of this machine, for only this machine is listened to."""
    return local_owner()


Opened = Annotated[Runtime, Depends(open_runtime_of)]
Caller = Annotated[Principal, Depends(caller)]
