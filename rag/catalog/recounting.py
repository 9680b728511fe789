"""Document frequencies counted again from the visible versions, to compare and to set right.

Holds the distinct terms of one generation in memory: 12 bytes each, and as much again while two
counts are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables as t

PAIR_BYTES = 8
MERGE_AT = 2_000_000
"""Pairs gathered before equal terms are added up."""
INSERTED = 10_000


@dataclass(frozen=True, slots=True)
class Count:
    """How many chunks are visible, and how many of them have each term; terms ascend."""

    chunks: int
    terms: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


def differences(connection: Connection, generation_id: str) -> tuple[int, int]:
    """Return in how many terms and chunks the statistics differ from what is visible."""
    kept, due = _kept(connection, generation_id), recount(connection, generation_id)
    terms = _added([(kept.terms, -kept.counts), (due.terms, due.counts)])[1]
    return int(np.count_nonzero(terms)), abs(kept.chunks - due.chunks)


def rewrite(connection: Connection, generation_id: str) -> None:
    """Make the statistics what is visible, in this transaction."""
    due = recount(connection, generation_id)
    mine = t.frequencies.c.generation == generation_id
    connection.execute(t.frequencies.delete().where(mine))
    rows = zip(due.terms.tolist(), due.counts.tolist(), strict=True)
    while part := [
        {"generation": generation_id, "term": term, "chunks": count}
        for term, count in islice(rows, INSERTED)
    ]:
        connection.execute(t.frequencies.insert(), part)
    connection.execute(
        t.generations.update().where(t.generations.c.id == generation_id).values(chunks=due.chunks)
    )


def is_packed(terms: bytes) -> bool:
    """Tell whether these bytes can be term counts of `statistics.pack_terms`."""
    return len(terms) % PAIR_BYTES == 0


def recount(connection: Connection, generation_id: str) -> Count:
    """Add up chunks and terms of the visible versions; counts that cannot be read are left out."""
    chunks = 0
    found: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []
    gathered = 0
    versions = sa.select(t.versions.c.terms, t.versions.c.chunks)
    for row in _streamed(connection, versions.where(t.versions.c.generation == generation_id)):
        chunks += row.chunks
        if not is_packed(row.terms):
            continue
        pairs = np.frombuffer(row.terms, "<u4").reshape(2, -1).astype(np.int64)
        found.append((pairs[0], pairs[1]))
        gathered += pairs.shape[1]
        if gathered > MERGE_AT:
            found, gathered = [_added(found)], 0
    return Count(chunks, *_added(found))


def _kept(connection: Connection, generation_id: str) -> Count:
    rows = _streamed(
        connection,
        sa.select(t.frequencies.c.term, t.frequencies.c.chunks).where(
            t.frequencies.c.generation == generation_id
        ),
    )
    pairs = np.fromiter(chain.from_iterable(rows), np.int64).reshape(-1, 2)
    chunks = connection.execute(
        sa.select(t.generations.c.chunks).where(t.generations.c.id == generation_id)
    ).scalar_one()
    return Count(chunks, pairs[:, 0], pairs[:, 1])


def _added(
    parts: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Add up the counts of equal terms."""
    empty = np.empty(0, np.int64)
    terms = np.concatenate([terms for terms, _ in parts] or [empty])
    distinct, where = np.unique(terms, return_inverse=True)
    total = np.zeros(len(distinct), np.int64)
    np.add.at(total, where, np.concatenate([counts for _, counts in parts] or [empty]))
    kept = total != 0
    return distinct[kept], total[kept]


def _streamed(connection: Connection, statement: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
    return iter(connection.execute(statement, execution_options={"yield_per": 1000}))
