"""The rows of an index as few numbers, by the attempt that they say they belong to.

A row takes 40 bytes here and an attempt about 250, so that a million rows fit in any memory. Of
texts and fields only digests stay; what they should be is judged elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from rag.filters import EVERYTHING, Filter
from rag.ports import Index
from rag.types import Metadata
from rag.vectors import Batch, SparseMatrix

ROW = struct.Struct("<QqqQQ")
MASK = 2**64 - 1


@dataclass(slots=True)
class Rows:
    """The rows of one attempt, and the sum of the digests of their terms."""

    packed: bytearray = field(default_factory=bytearray)
    terms: int = 0

    def __len__(self) -> int:
        return len(self.packed) // ROW.size

    def unpacked(self) -> list[tuple[int, int, int, int, int]]:
        """Return (identity, start, end, text, fields) of each row; all but the span are digests."""
        return list(ROW.iter_unpack(self.packed))


Held: TypeAlias = dict[int | None, Rows]
"""Rows by attempt; None for rows that name no attempt."""


async def take(
    index: Index, where: Filter = EVERYTHING, seen: Callable[[int], None] = lambda rows: None
) -> Held:
    """Read the rows that match; `seen` is told how many came."""
    held: Held = {}
    async for batch in index.scan(where):
        await asyncio.to_thread(_add, held, batch)
        seen(len(batch.chunks))
    return held


def identity(chunk_id: str, document_id: str, attempt: int, ordinal: int) -> int:
    """Digest what makes a row the one that it is."""
    return digest("\x1f".join((chunk_id, document_id, str(attempt), str(ordinal))))


def digest(text: str) -> int:
    """Return 64 bits that other texts do not have."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def digest_fields(fields: Metadata) -> int:
    """Digest the fields of a row, in whatever order."""
    return digest(json.dumps(fields, sort_keys=True))


def sum_terms(terms: npt.NDArray[np.uint32], counts: npt.NDArray[np.uint32]) -> int:
    """Digest terms that stand so many times each: the sum of what each row's terms add up to."""
    return int((_mixed(terms) * counts.astype(np.uint64)).sum())


def _add(held: Held, batch: Batch) -> None:
    sums = _row_sums(batch.sparse)
    for chunk, fields, terms in zip(batch.chunks, batch.fields, sums, strict=True):
        rows = held.setdefault(_attempt(fields), Rows())
        rows.packed += ROW.pack(
            identity(chunk.id, chunk.document_id, chunk.attempt, chunk.ordinal),
            chunk.start,
            chunk.end,
            digest(chunk.text),
            digest_fields(fields),
        )
        rows.terms = (rows.terms + terms) & MASK


def _attempt(fields: Metadata) -> int | None:
    value = fields.get("attempt")
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _row_sums(sparse: SparseMatrix) -> list[int]:
    ends = np.zeros(len(sparse.terms) + 1, np.uint64)
    np.cumsum(_mixed(sparse.terms), out=ends[1:])
    sums: list[int] = (ends[sparse.indptr[1:]] - ends[sparse.indptr[:-1]]).tolist()
    return sums


def _mixed(terms: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
    """Scatter terms over 64 bits, so that sums of other terms differ (splitmix64, Steele 2014)."""
    z = terms.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
