"""Which vector stores are installed, and how a test opens one.

Knows the entry points; knows nothing of what is tested. The store named `memory` is the reference.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from rag.ports import Capabilities, Index, IndexSpec, VectorStore

GROUP: Final = "cumulo.vector_stores"
REFERENCE: Final = "memory"


@dataclass(frozen=True)
class Backend:
    """An installed store by name, with the options that a test run gives it."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def store(self, folder: Path) -> VectorStore:
        """Build the store as the platform does; nothing is opened or created yet."""
        (point,) = entry_points(group=GROUP, name=self.name)
        kind = point.load()
        store: VectorStore = kind(kind.Options(**self.options), folder)
        return store

    @property
    def capabilities(self) -> Capabilities:
        """What the store claims."""
        return self.store(Path("never-created")).capabilities

    @asynccontextmanager
    async def index(self, folder: Path, *, dim: int = 4) -> AsyncIterator[Index]:
        """Open an empty index, and drop it at the end."""
        store, name = self.store(folder), fresh_name()
        try:
            yield await store.create(IndexSpec(name, dim))
        finally:
            await store.drop(name)
            await store.close()


def installed() -> list[str]:
    """Return the names of the stores that are installed, sorted."""
    return sorted(entry_points(group=GROUP).names)


def fresh_name() -> str:
    """Return the name of an index that no other test has, on a server that many share."""
    return f"test-{uuid.uuid4().hex}"


@asynccontextmanager
async def reference(folder: Path, *, dim: int = 4) -> AsyncIterator[Index]:
    """Open an empty index of the store that the others are compared with."""
    async with Backend(REFERENCE).index(folder, dim=dim) as index:
        yield index
