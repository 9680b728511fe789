"""Parameters that routes share: ids in paths, pages of lists."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import Path, Query

from rag.catalog.collections import find_collection
from rag.errors import NotFound
from rag.runtime import Runtime
from rag.types import Collection, Principal

UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"

CollectionPath: TypeAlias = Annotated[
    str,
    Path(
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Name of a collection.",
        examples=["default"],
    ),
]
Id: TypeAlias = Annotated[
    str, Path(pattern=UUID, description="Id.", examples=["2b1c6a52-0a4e-5d0f-9a53-6a1f0c1d2e3f"])
]
Limit: TypeAlias = Annotated[int, Query(ge=1, le=1000, description="At most so many.")]
Cursor: TypeAlias = Annotated[
    str | None,
    Query(max_length=8000, description="`next` of the page before; the first page has none."),
]


async def existing(runtime: Runtime, caller: Principal, name: str) -> Collection:
    """Return a collection; raise `NotFound` with the way to make it."""
    found = await runtime.catalog.read(find_collection, caller.tenant, name)
    if found is None:
        raise NotFound(f"there is no collection {name!r}", hint="make it: POST /v1/collections")
    return found
