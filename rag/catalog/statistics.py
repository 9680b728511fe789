"""Document frequencies of a generation: how many visible chunks have each term.

They change in the transaction that changes what is visible, and travel in the query's weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from rag.catalog import tables as t
from rag.vectors import SparseMatrix


def pack_terms(sparse: SparseMatrix) -> bytes:
    """Count in how many of a document's chunks each term stands, as bytes for `Write.terms`."""
    terms, counts = np.unique(sparse.terms, return_counts=True)
    return np.concatenate([terms, counts.astype(np.uint32)]).astype("<u4").tobytes()


def count_terms(
    connection: Connection, generation_id: str, deltas: Sequence[tuple[bytes, int]], chunks: int
) -> None:
    """Add to and take from the generation's document frequencies and its number of chunks."""
    terms, counts = [], []
    for packed, sign in deltas:
        half = np.frombuffer(packed, "<u4").reshape(2, -1)
        terms.append(half[0])
        counts.append(half[1].astype(np.int64) * sign)
    if terms:
        distinct, where = np.unique(np.concatenate(terms), return_inverse=True)
        change = np.zeros(len(distinct), np.int64)
        np.add.at(change, where, np.concatenate(counts))
        rows = [
            {"generation": generation_id, "term": term, "chunks": delta}
            for term, delta in zip(distinct.tolist(), change.tolist(), strict=True)
            if delta
        ]
        if rows:
            _add_frequencies(connection, rows)
    if chunks:
        connection.execute(
            t.generations.update()
            .where(t.generations.c.id == generation_id)
            .values(chunks=t.generations.c.chunks + chunks)
        )


def _add_frequencies(connection: Connection, rows: list[dict[str, object]]) -> None:
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(
        t.frequencies
    )
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["generation", "term"],
            set_={"chunks": t.frequencies.c.chunks + insert.excluded.chunks},
        ),
        rows,
    )
    connection.execute(
        t.frequencies.delete().where(
            t.frequencies.c.generation == sa.bindparam("generation_"),
            t.frequencies.c.term == sa.bindparam("term_"),
            t.frequencies.c.chunks <= 0,
        ),
        [{"generation_": row["generation"], "term_": row["term"]} for row in rows],
    )


def frequencies(connection: Connection, generation_id: str, terms: Sequence[int]) -> dict[int, int]:
    """Return in how many visible chunks each of the terms stands; absent terms are left out."""
    rows = connection.execute(_FREQUENCIES, {"generation": generation_id, "terms": list(terms)})
    return {row.term: row.chunks for row in rows}


_FREQUENCIES = sa.select(t.frequencies.c.term, t.frequencies.c.chunks).where(
    t.frequencies.c.generation == sa.bindparam("generation"),
    t.frequencies.c.term.in_(sa.bindparam("terms", expanding=True)),
)
