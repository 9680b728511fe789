"""The reference store: rows in a dict, every question answered by looking at all of them.

Slow and obviously right: the other stores are compared with it. Keeps nothing on disk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from indexers.stores.checking import (
    check_batch,
    check_dim,
    check_name,
    check_search,
    clean_fields,
)
from rag.errors import IndexMismatch, NotFound
from rag.filters import Filter, Value, matches
from rag.ports import Candidates, Capabilities, IndexSpec
from rag.types import Candidate, Chunk, Metadata
from rag.vectors import Batch, Matrix, Search, SparseMatrix


@dataclass(frozen=True, slots=True)
class Row:
    """One chunk with its fields and its two vectors."""

    chunk: Chunk
    fields: dict[str, Value]
    dense: Matrix
    terms: npt.NDArray[np.uint32]
    weights: npt.NDArray[np.float32]


class MemoryStore:
    """Indexes by name, as long as the store is open."""

    class Options(BaseModel):
        """There is nothing to configure."""

        model_config = ConfigDict(extra="forbid")

    capabilities = Capabilities(shared=False, max_dim=65_536, max_k=100_000)

    def __init__(self, options: Options, folder: Path) -> None:
        self._indexes: dict[str, MemoryIndex] = {}

    async def create(self, spec: IndexSpec) -> MemoryIndex:
        """Create an index, or open it when it exists with the same dimension."""
        name, dim = check_name(spec.name), check_dim(spec.dim, self.capabilities)
        index = self._indexes.setdefault(name, MemoryIndex(dim))
        if index.dim != dim:
            raise IndexMismatch(
                f"the index {name!r} has dimension {index.dim}, asked for {dim}",
                hint="choose another name, or drop it first",
            )
        return index

    async def open(self, name: str) -> MemoryIndex:
        """Open an index; raise `NotFound` when there is none of that name."""
        if check_name(name) not in self._indexes:
            raise NotFound(f"there is no index {name!r}")
        return self._indexes[name]

    async def drop(self, name: str) -> None:
        """Remove an index and its data; a missing one is no error."""
        self._indexes.pop(check_name(name), None)

    async def names(self) -> list[str]:
        """List the indexes, sorted."""
        return sorted(self._indexes)

    async def close(self) -> None:
        """Forget everything; idempotent."""
        self._indexes.clear()


class MemoryIndex:
    """The rows of one generation, by chunk id."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._rows: dict[str, Row] = {}

    async def upsert(self, batch: Batch) -> None:
        """Insert or replace rows by chunk id, all or none; the last of equal ids stays."""
        check_batch(batch, self.dim)
        self._rows |= {
            chunk.id: Row(chunk, clean_fields(fields), dense, *batch.sparse.row(i))
            for i, (chunk, fields, dense) in enumerate(
                zip(batch.chunks, batch.fields, batch.dense.copy(), strict=True)
            )
        }

    async def delete(self, where: Filter) -> int:
        """Remove the rows that match; return how many."""
        gone = self._matching(where)
        for row in gone:
            del self._rows[row.chunk.id]
        return len(gone)

    async def patch(self, where: Filter, fields: Metadata) -> int:
        """Set these fields on the rows that match, keep the others; return how many."""
        found = self._matching(where)
        for row in found:
            self._rows[row.chunk.id] = replace(row, fields=row.fields | clean_fields(fields))
        return len(found)

    async def search(self, search: Search) -> Candidates:
        """Return up to `depth` best rows per signal among those that match the filter."""
        check_search(search, self.dim, MemoryStore.capabilities)
        rows = self._matching(search.where)
        dense: list[tuple[Row, float]] = []
        sparse: list[tuple[Row, float]] = []
        if search.dense is not None:
            dense = [(row, float(np.dot(row.dense, search.dense[0]))) for row in rows]
        if search.sparse is not None:
            weights = dict(zip(*map(list, search.sparse.row(0)), strict=True))
            sparse = [(row, overlap(row, weights)) for row in rows]
        return Candidates(
            best(dense, search.depth),
            best([(row, score) for row, score in sparse if score > 0], search.depth),
        )

    async def fetch(self, chunk_ids: Sequence[str]) -> dict[str, Chunk]:
        """Return the chunks that exist among these ids."""
        return {id_: self._rows[id_].chunk for id_ in chunk_ids if id_ in self._rows}

    async def count(self, where: Filter) -> int:
        """Count the rows that match."""
        return len(self._matching(where))

    async def scan(self, where: Filter, *, size: int = 1000) -> AsyncIterator[Batch]:
        """Yield all rows that match, with fields and vectors, by chunk id."""
        rows = sorted(self._matching(where), key=lambda row: row.chunk.id)
        for start in range(0, len(rows), size):
            page = rows[start : start + size]
            yield Batch(
                [row.chunk for row in page],
                [clean_fields(row.fields) for row in page],
                np.stack([row.dense for row in page]),
                SparseMatrix.from_rows([(row.terms, row.weights) for row in page]),
            )

    async def optimize(self) -> None:
        """Nothing here is made for speed."""

    async def repair(self) -> int:
        """Nothing here can be damaged."""
        return 0

    async def close(self) -> None:
        """Do nothing: the rows live as long as the store."""

    def _matching(self, where: Filter) -> list[Row]:
        return [row for row in self._rows.values() if matches(where, row.fields)]


def overlap(row: Row, query: Mapping[np.uint32, np.float32]) -> float:
    """Sum the products of the weights of the terms that both have, in the order of the terms."""
    score = np.float32(0)
    for term, weight in zip(row.terms, row.weights, strict=True):
        if term in query:
            score += query[term] * weight
    return float(score)


def best(scored: Sequence[tuple[Row, float]], depth: int) -> tuple[Candidate, ...]:
    """Order by score, then by chunk id, and keep `depth`."""
    ranked = sorted(scored, key=lambda pair: (-pair[1], pair[0].chunk.id))[:depth]
    return tuple(
        Candidate(row.chunk.id, row.chunk.document_id, row.chunk.attempt, score)
        for row, score in ranked
    )
