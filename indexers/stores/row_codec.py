"""One chunk as a row of SQLite values, with a digest that shows a flipped bit, and back.

Knows the columns; knows no statement and no connection.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from indexers.stores.checking import clean_fields
from rag.errors import IndexMismatch
from rag.filters import Value
from rag.outlines import outline_of, outlined
from rag.types import Chunk, Metadata
from rag.vectors import Batch, SparseMatrix

F4: Final = np.dtype("<f4")
U4: Final = np.dtype("<u4")


class Row(NamedTuple):
    """The columns, in order; vectors are little-endian, JSON is ASCII."""

    id: str
    document: str
    attempt: int
    ordinal: int
    start: int
    stop: int
    text: str
    heading: str
    fields: str
    dense: bytes
    terms: bytes
    weights: bytes
    plain: int
    """1 when the fields `document` and `attempt` say what the columns say."""
    digest: bytes


def rows_of(batch: Batch) -> Iterator[Row]:
    """Encode the rows of a batch, in order."""
    dense = batch.dense.astype(F4, copy=False)
    terms = batch.sparse.terms.astype(U4, copy=False)
    weights = batch.sparse.weights.astype(F4, copy=False)
    bounds = batch.sparse.indptr.tolist()
    for i, (chunk, fields) in enumerate(zip(batch.chunks, batch.fields, strict=True)):
        span = slice(bounds[i], bounds[i + 1])
        row = Row(
            chunk.id,
            chunk.document_id,
            chunk.attempt,
            chunk.ordinal,
            chunk.start,
            chunk.end,
            chunk.text,
            json.dumps(outline_of(chunk)),
            "",
            dense[i].tobytes(),
            terms[span].tobytes(),
            weights[span].tobytes(),
            0,
            b"",
        )
        yield with_fields(row, clean_fields(fields))


def with_fields(row: Row, fields: Metadata) -> Row:
    """Return the row with other fields, and the digest that goes with them."""
    document, attempt = fields.get("document"), fields.get("attempt")
    row = row._replace(
        fields=json.dumps(fields),
        plain=int(document == row.document and type(attempt) is int and attempt == row.attempt),
    )
    return row._replace(digest=_digest(row))


def sound(values: Sequence[object]) -> Row | None:
    """Read a row back; None when it is not what was written."""
    row = Row(*values)  # type: ignore[arg-type]
    try:
        return row if _digest(row) == row.digest else None
    except (TypeError, UnicodeEncodeError):  # a damaged header gives columns other types
        return None


def fields_of(row: Row) -> dict[str, Value]:
    """Decode the fields of a sound row."""
    decoded: dict[str, Value] = json.loads(row.fields)
    return decoded


def readable(fields: object) -> dict[str, Value] | None:
    """Decode fields of a row that nobody has checked; None when they cannot be fields."""
    try:
        decoded = json.loads(fields)  # type: ignore[arg-type]
        return clean_fields(decoded) if isinstance(decoded, dict) else None
    except (TypeError, ValueError, RecursionError, IndexMismatch):
        return None


def chunk_of(row: Row) -> Chunk:
    """Decode the chunk."""
    return Chunk(*row[:7], *outlined(json.loads(row.heading)))


def batch_of(rows: Sequence[Row]) -> Batch:
    """Decode one row or more."""
    return Batch(
        [chunk_of(row) for row in rows],
        [fields_of(row) for row in rows],
        dense_of(rows),
        sparse_of(rows),
    )


def dense_of(rows: Sequence[Row]) -> npt.NDArray[np.float32]:
    """Decode the dense vectors of one row or more: shape (n, dim)."""
    return np.frombuffer(b"".join([row.dense for row in rows]), F4).reshape(len(rows), -1)


def sparse_of(rows: Sequence[Row]) -> SparseMatrix:
    """Decode the sparse vectors."""
    indptr = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row.terms) // U4.itemsize for row in rows], out=indptr[1:])
    return SparseMatrix(
        indptr,
        np.frombuffer(b"".join([row.terms for row in rows]), U4),
        np.frombuffer(b"".join([row.weights for row in rows]), F4),
    )


def _digest(row: Row) -> bytes:
    id_, document, *numbers, text, heading, fields, dense, terms, weights, plain, _ = row
    texts = (id_, document, text, heading, fields)
    # The lengths stand in front, so that nothing moves from one column into the next unseen.
    lengths = (*map(len, texts), len(dense), len(terms))
    head = f"{numbers}{plain}{lengths}" + "".join(texts)
    return blake2b(b"".join((head.encode(), dense, terms, weights)), digest_size=16).digest()
