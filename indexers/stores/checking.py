"""What every store refuses in the same words: names, rows and searches that do not fit.

Knows the rules of the port; knows nothing of how rows are kept.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from rag.errors import IndexMismatch, Unsupported, UserError
from rag.filters import Value
from rag.ports import Capabilities
from rag.types import Metadata
from rag.vectors import Batch, Search, SparseMatrix, check_unit_rows

NAME = re.compile(r"[a-z0-9_-]{1,100}")


def check_name(name: str) -> str:
    """Return the name of an index; raise `UserError` unless it is safe in any path or statement."""
    if not NAME.fullmatch(name):
        raise UserError(
            f"{name!r} cannot name an index",
            hint="use 1 to 100 of the characters a-z, 0-9, '_' and '-'",
        )
    return name


def check_dim(dim: int, capabilities: Capabilities) -> int:
    """Return the dimension of a new index; raise `Unsupported` when the store cannot hold it."""
    if not 1 <= dim <= capabilities.max_dim:
        raise Unsupported(f"an index has 1 to {capabilities.max_dim} dimensions, asked for {dim}")
    return dim


def check_batch(batch: Batch, dim: int) -> None:
    """Raise `IndexMismatch` unless every row fits an index of this dimension."""
    if batch.dense.shape[1] != dim:
        raise IndexMismatch(
            f"the index has dimension {dim}, the batch {batch.dense.shape[1]}",
            hint="index the collection again with the embedder that is configured now",
        )
    _check_sparse(batch.sparse)


def check_search(search: Search, dim: int, capabilities: Capabilities) -> None:
    """Raise `IndexMismatch` for vectors of another kind, `Unsupported` for a depth out of range."""
    if not 1 <= search.depth <= capabilities.max_k:
        raise Unsupported(f"a search is 1 to {capabilities.max_k} deep, asked for {search.depth}")
    if search.dense is not None:
        if search.dense.shape != (1, dim):
            raise IndexMismatch(
                f"the index takes queries of shape (1, {dim}), got {search.dense.shape}",
                hint="search with the embedder that built the index",
            )
        check_unit_rows(search.dense)
    if search.sparse is not None:
        if len(search.sparse) != 1:
            raise IndexMismatch(f"a search takes one sparse row, got {len(search.sparse)}")
        _check_sparse(search.sparse)


def _check_sparse(sparse: SparseMatrix) -> None:
    ascending = sparse.terms[1:] > sparse.terms[:-1]
    starts = sparse.indptr[1:-1]
    ascending[starts[(starts > 0) & (starts < len(sparse.terms))] - 1] = True
    if not ascending.all():
        raise IndexMismatch("the terms of a sparse row must ascend without repeats")
    if len(sparse.weights) != len(sparse.terms) or not np.isfinite(sparse.weights).all():
        raise IndexMismatch("a sparse row needs one finite weight per term")


def clean_fields(fields: Metadata) -> dict[str, Value]:
    """Copy the fields of a row; raise `IndexMismatch` for a value that no filter could compare."""
    return {name: _clean(name, value) for name, value in fields.items()}


def _clean(name: str, value: Any) -> Value:
    values = value if isinstance(value, (list, tuple)) else (value,)
    if "\0" in name or not all(map(_comparable, values)):
        raise IndexMismatch(
            f"the field {name!r} cannot hold {value!r:.80}",
            hint="values are strings without NUL, finite numbers, booleans and lists of those",
        )
    return list(values) if values is value else value


def _comparable(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return "\0" not in value if isinstance(value, str) else isinstance(value, int)
