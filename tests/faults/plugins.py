"""Plug-ins that are slow or fail when they are told to, for servers that are processes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from indexers.stores.faiss import FaissStore
from rag.embedders.hashing import HashingEmbedder
from rag.errors import Unavailable
from rag.ports import Folders, IndexSpec
from rag.types import Role
from rag.vectors import Embedded


class SerialEmbedder(HashingEmbedder):
    """The hashing embedder as a machine that reads one text at a time, in a given time."""

    class Options(HashingEmbedder.Options):
        """How slow it is."""

        text_s: float = 0.025

    def __init__(self, options: Options, folders: Folders | None = None) -> None:
        super().__init__(options, folders)
        self._text_s = options.text_s
        self._machine = asyncio.Lock()

    async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
        for _ in texts:
            async with self._machine:
                await asyncio.sleep(self._text_s)
        return self._embed(texts)


class FailingStore(FaissStore):
    """The embedded store, unavailable as long as a file is there."""

    class Options(BaseModel):
        """The file that says so."""

        model_config = ConfigDict(extra="forbid")
        down: Path

    def __init__(self, options: Options, folder: Path) -> None:
        super().__init__(FaissStore.Options(), folder)
        self._down = options.down

    def check(self) -> None:
        """Raise `Unavailable` while it is down."""
        if self._down.exists():
            raise Unavailable("the store is down")

    async def names(self) -> list[str]:
        self.check()
        return await super().names()

    async def create(self, spec: IndexSpec) -> Any:
        self.check()
        return Failing(await super().create(spec), self)


class Failing:
    """An index of it: searches fail while the store is down, what writes does not."""

    def __init__(self, index: Any, store: FailingStore) -> None:
        self._index, self._store = index, store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    async def search(self, search: Any) -> Any:
        self._store.check()
        return await self._index.search(search)

    async def fetch(self, chunk_ids: Sequence[str]) -> Any:
        self._store.check()
        return await self._index.fetch(chunk_ids)
