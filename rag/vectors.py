"""Vectors and what carries them: matrices are float32 and C-contiguous with rows of length one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from rag.errors import IndexMismatch
from rag.filters import Filter
from rag.types import Chunk, Metadata

Matrix: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SparseMatrix:
    """Rows of (term, weight) pairs: row i is `terms[indptr[i]:indptr[i+1]]`, terms ascending."""

    indptr: npt.NDArray[np.int64]
    terms: npt.NDArray[np.uint32]
    weights: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def row(self, i: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
        """Return the terms and weights of one row, as views."""
        span = slice(self.indptr[i], self.indptr[i + 1])
        return self.terms[span], self.weights[span]

    def take(self, rows: Sequence[int]) -> SparseMatrix:
        """Copy some rows, in the order given."""
        return SparseMatrix.from_rows([self.row(i) for i in rows])

    @staticmethod
    def stack(parts: Sequence[SparseMatrix]) -> SparseMatrix:
        """Put matrices below each other."""
        return SparseMatrix.from_rows([part.row(i) for part in parts for i in range(len(part))])

    @staticmethod
    def from_rows(
        rows: Sequence[tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]],
    ) -> SparseMatrix:
        """Stack rows of (terms, weights)."""
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(terms) for terms, _ in rows], out=indptr[1:])
        return SparseMatrix(
            indptr,
            np.concatenate([terms for terms, _ in rows] or [np.empty(0, np.uint32)]),
            np.concatenate([weights for _, weights in rows] or [np.empty(0, np.float32)]),
        )


@dataclass(frozen=True, slots=True)
class Embedded:
    """Unit rows (n, dim) in the order of the texts, and the tokens that the model read."""

    vectors: Matrix
    tokens: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Chunks beside their vectors and the fields that filters see; checked when built."""

    chunks: Sequence[Chunk]
    fields: Sequence[Metadata]
    """Per chunk: `tenant`, `subjects`, `document`, `attempt`, `uri`, `title`, `meta.*`."""
    dense: Matrix
    sparse: SparseMatrix

    def __post_init__(self) -> None:
        n = len(self.chunks)
        if len(self.fields) != n or len(self.dense) != n or len(self.sparse) != n:
            raise IndexMismatch(
                f"a batch of {n} chunks has {len(self.fields)} field rows, "
                f"{len(self.dense)} dense and {len(self.sparse)} sparse rows"
            )
        check_unit_rows(self.dense)


def check_unit_rows(vectors: Matrix) -> None:
    """Raise `IndexMismatch` unless this is a float32 matrix of finite rows of length one."""
    if vectors.dtype != np.float32 or vectors.ndim != 2 or not vectors.flags.c_contiguous:
        raise IndexMismatch(
            f"vectors must be a contiguous float32 matrix, got {vectors.dtype} {vectors.shape}"
        )
    norms = np.einsum("ij,ij->i", vectors, vectors)
    if not np.all(np.abs(norms - 1.0) < 1e-3):  # also false for NaN and infinity
        row = int(np.argmax(~(np.abs(norms - 1.0) < 1e-3)))
        raise IndexMismatch(f"vector {row} has squared length {norms[row]:.4g}, not 1")


@dataclass(frozen=True, slots=True)
class Search:
    """What an index is asked: one or both vectors, how deep, and the filter with scope in it."""

    depth: int
    where: Filter
    dense: Matrix | None = None
    """Shape (1, dim)."""
    sparse: SparseMatrix | None = None
    """One row of query weights."""
    exact: bool = False
