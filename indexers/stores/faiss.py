"""The embedded store: one SQLite file per index, searched through a mirror in memory.

Knows which thread does what; rows, mirror and their formats stand in the modules beside it. Needs
no service; several processes of one machine may share the folder.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from indexers.sqlite_lane import Lane, translated
from indexers.stores import faiss_file, faiss_rows
from indexers.stores.checking import (
    NAME,
    check_batch,
    check_dim,
    check_name,
    check_search,
)
from indexers.stores.faiss_following import SIZES, LiveMirror, Sizes
from indexers.stores.faiss_repair import repair
from indexers.stores.faiss_upkeep import optimize
from indexers.stores.row_codec import batch_of
from rag.errors import Rejected
from rag.filters import Filter
from rag.ports import Candidates, Capabilities, IndexSpec
from rag.types import Chunk, Metadata
from rag.vectors import Batch, Search

T = TypeVar("T")


class FaissStore:
    """Indexes as files of one folder, which is created with the first of them."""

    class Options(BaseModel):
        """There is nothing to configure."""

        model_config = ConfigDict(extra="forbid")

    capabilities = Capabilities(shared=True, max_dim=65_536, max_k=100_000)

    def __init__(self, options: Options, folder: Path, *, sizes: Sizes = SIZES) -> None:
        self._folder = folder
        self._sizes = sizes
        self._opened: list[FaissIndex] = []

    async def create(self, spec: IndexSpec) -> FaissIndex:
        """Create an index, or open it when it exists with the same dimension.

        One that is damaged is opened too, so that it can be repaired: its verbs say what is wrong.
        """
        path, dim = self._path(spec.name), check_dim(spec.dim, self.capabilities)
        try:
            await _in_thread(path, partial(faiss_file.initialise, path, dim))
        except Rejected:
            if not path.exists():
                raise
        return self._opened_at(path, dim)

    async def open(self, name: str) -> FaissIndex:
        """Open an index; raise `NotFound` when there is none of that name."""
        path = self._path(name)
        return self._opened_at(path, await _in_thread(path, partial(faiss_file.read_dim, path)))

    async def drop(self, name: str) -> None:
        """Remove an index and its data; a missing one is no error."""
        path = self._path(name)
        for index in self._opened:
            if index.path == path:
                await index.close()
        await _in_thread(path, partial(faiss_file.remove, path))

    async def names(self) -> list[str]:
        """List the indexes, sorted."""
        return sorted(
            path.stem for path in self._folder.glob("*.sqlite") if NAME.fullmatch(path.stem)
        )

    async def close(self) -> None:
        """Close every open index; idempotent."""
        for index in self._opened:
            await index.close()
        self._opened.clear()

    def _path(self, name: str) -> Path:
        return self._folder / f"{check_name(name)}.sqlite"

    def _opened_at(self, path: Path, dim: int) -> FaissIndex:
        self._opened = [index for index in self._opened if not index.closed]
        self._opened.append(FaissIndex(path, dim, self._sizes))
        return self._opened[-1]


class FaissIndex:
    """One generation: a thread each that writes, reads rows, owns the mirror, looks after files."""

    def __init__(self, path: Path, dim: int, sizes: Sizes) -> None:
        self.path = path
        self.closed = False
        self._dim = dim
        self._sizes = sizes
        self._mirror = LiveMirror(path, dim, sizes)
        check = partial(faiss_file.check_dim, path=path, dim=dim)
        self._lanes = tuple(Lane(path, check) for _ in range(4))
        self._writing, self._reading, self._searching, self._keeping = self._lanes

    async def upsert(self, batch: Batch) -> None:
        """Insert or replace rows by chunk id, all or none; the last of equal ids stays."""
        check_batch(batch, self._dim)
        await self._writing.run(partial(faiss_rows.upsert, batch=batch))

    async def delete(self, where: Filter) -> int:
        """Remove the rows that match; return how many."""
        return await self._writing.run(partial(faiss_rows.delete, where=where))

    async def patch(self, where: Filter, fields: Metadata) -> int:
        """Set these fields on the rows that match, keep the others; return how many."""
        return await self._writing.run(partial(faiss_rows.patch, where=where, fields=fields))

    async def search(self, search: Search) -> Candidates:
        """Return up to `depth` best rows per signal among those that match the filter."""
        check_search(search, self._dim, FaissStore.capabilities)
        return await self._searching.run(partial(self._mirror.search, search=search))

    async def fetch(self, chunk_ids: Sequence[str]) -> dict[str, Chunk]:
        """Return the chunks that exist among these ids, and are still what was written."""
        return await self._reading.run(partial(faiss_rows.fetch, chunk_ids=chunk_ids))

    async def count(self, where: Filter) -> int:
        """Count the rows that match."""
        return await self._reading.run(partial(faiss_rows.count, where=where))

    async def scan(self, where: Filter, *, size: int = 1000) -> AsyncIterator[Batch]:
        """Yield all rows that match, with fields and vectors, by chunk id.

        A row that is there all the time comes once, whatever is written meanwhile.
        """
        after = ""
        while rows := await self._reading.run(
            partial(faiss_rows.page, where=where, after=after, size=size)
        ):
            yield batch_of(rows)
            after = rows[-1].id

    async def optimize(self) -> None:
        """Write the snapshot that the next start reads, and let nothing stay of deleted rows."""
        await self._keeping.run(partial(optimize, path=self.path, dim=self._dim, sizes=self._sizes))

    async def repair(self) -> int:
        """Remove rows that are not what was written; return how many are known to be lost."""
        return await self._keeping.run_alone(partial(repair, self.path, self._dim))

    async def close(self) -> None:
        """Release files, threads and memory; idempotent."""
        self.closed = True
        for lane in self._lanes:
            await lane.close()
        self._mirror = LiveMirror(self.path, self._dim, self._sizes)


async def _in_thread(path: Path, work: Callable[[], T]) -> T:
    def translating() -> T:
        with translated(path):
            return work()

    return await asyncio.to_thread(translating)
