"""What every vector store does with names and rows: create, open, drop, write, read back.

Knows the contract of `rag.ports.VectorStore` and `Index`; searching stands in `store_searches`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.errors import IndexMismatch, NotFound, Unsupported, UserError
from rag.filters import EVERYTHING, Compare, Eq, Exists, Filter, In, Not, Value, kind
from rag.ports import Index, IndexSpec
from rag.testing.store_backends import Backend, fresh_name
from rag.testing.store_samples import batch, one_term, plain_fields, query_row, random_fields
from rag.types import Batch, Chunk, Metadata, Search, SparseMatrix


async def scanned(index: Index, where: Filter = EVERYTHING, *, size: int = 1000) -> Batch:
    """Read all rows through `scan` and join its batches."""
    parts = [part async for part in index.scan(where, size=size)]
    assert all(1 <= len(part.chunks) <= size for part in parts), "empty or oversized batch"
    assert parts, "no rows"
    return Batch(
        [chunk for part in parts for chunk in part.chunks],
        [fields for part in parts for fields in part.fields],
        np.concatenate([part.dense for part in parts]),
        SparseMatrix.from_rows([part.sparse.row(i) for part in parts for i in range(len(part))])
        if False
        else SparseMatrix.from_rows(
            [part.sparse.row(i) for part in parts for i in range(len(part.chunks))]
        ),
    )
