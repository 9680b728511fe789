"""Trying expressions in a child process, as code would that took it over."""

from __future__ import annotations

import sys

import pytest

from rag.children.pool import ChildPool

TASK = "rag.testing.child_tasks:serve"
REFUSED = {"error": "PermissionError"}
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the locks are those of Linux")


async def attempt(
    pool: ChildPool, *expressions: str, descriptor: int | None = None
) -> list[dict[str, str]]:
    """Try expressions in the child; return for each what it gave, or the name of its error."""
    call = pool.call({"do": "attempt", "expressions": expressions}, descriptor)
    return [reply.head async for reply in call]


async def gave(pool: ChildPool, expression: str, descriptor: int | None = None) -> str:
    """Return what an expression gives in the child."""
    (found,) = await attempt(pool, expression, descriptor=descriptor)
    return found["gave"]
