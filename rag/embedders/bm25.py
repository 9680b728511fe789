"""BM25 as sparse vectors: term-frequency weights in passages, rarity in questions.

Knows the formula and how a term becomes a column; document frequencies come from whoever asks,
because they belong to a generation and change with every commit.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from rag.embedders.analysis import VERSION, analyse
from rag.vectors import SparseMatrix


class Bm25Encoder:
    """Weigh terms such that the inner product of question and passage is Lucene's BM25 score."""

    class Options(BaseModel):
        """Parameters of BM25; all of them shape stored weights, so all are in the fingerprint."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        k1: float = Field(default=0.9, ge=0, allow_inf_nan=False)
        """How slowly repetitions of a term stop counting."""
        b: float = Field(default=0.4, ge=0, le=1)
        """How much longer passages are held back: 0 not at all, 1 in full proportion."""
        average_terms: float = Field(default=105.0, gt=0, allow_inf_nan=False)
        """Terms of a usual passage: English prose gives 97 to 116 in 200 wordpieces.

        A constant, so that a weight never depends on other passages.
        """

    def __init__(self, options: Options) -> None:
        self._options = options
        self.fingerprint = (
            f"bm25 analyzer={VERSION} k1={options.k1} b={options.b} "
            f"average_terms={options.average_terms}"
        )

    def encode(self, texts: Sequence[str]) -> SparseMatrix:
        """Encode passages: tf (k1 + 1) / (tf + k1 (1 - b + b length / average_terms)).

        Robertson and Zaragoza, The Probabilistic Relevance Framework (2009), section 3.5, with
        the inverse document frequency left to the question.
        """
        passages = [_columns(text) for text in texts]
        lengths = np.array([len(columns) for columns in passages], np.int64)
        rows = np.repeat(np.arange(len(texts), dtype=np.uint64), lengths)
        flat = np.array([column for columns in passages for column in columns], np.uint64)
        # Row above, column below: sorting the pairs sorts the matrix.
        pairs, counts = np.unique(rows << np.uint64(32) | flat, return_counts=True)
        row = (pairs >> np.uint64(32)).astype(np.int64)
        k1, b, average = self._options.k1, self._options.b, self._options.average_terms
        damping = k1 * (1.0 - b + b * lengths / average)
        indptr = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(np.bincount(row, minlength=len(texts)), out=indptr[1:])
        return SparseMatrix(
            indptr,
            (pairs & np.uint64(0xFFFFFFFF)).astype(np.uint32),
            (counts * (k1 + 1.0) / (counts + damping[row])).astype(np.float32),
        )

    def terms(self, text: str) -> npt.NDArray[np.uint32]:
        """Return the distinct terms of a question, ascending."""
        return np.array(sorted(set(_columns(text))), np.uint32)

    def weigh_query(
        self, text: str, *, chunks: int, frequencies: Mapping[int, int]
    ) -> SparseMatrix:
        """Encode a question as one row: idf times how often it has the term.

        Terms that no chunk has are left out. idf = ln(1 + (N - df + 0.5) / (df + 0.5)) as in
        Lucene's BM25Similarity: never negative.
        """
        counts = Counter(_columns(text))
        known = sorted(column for column in counts if frequencies.get(column, 0) > 0)
        weights = [counts[c] * _rarity(chunks, frequencies[c]) for c in known]
        return SparseMatrix.from_rows([(np.array(known, np.uint32), np.array(weights, np.float32))])


def _rarity(chunks: int, frequency: int) -> float:
    # Counts read beside a running commit may be a little apart.
    absent = max(chunks - frequency, 0)
    return math.log(1.0 + (absent + 0.5) / (frequency + 0.5))


def _columns(text: str) -> list[int]:
    return [_column(term) for term in analyse(text)]


@lru_cache(maxsize=65536)
def _column(term: str) -> int:
    """Number a term the same way in every process and on every machine."""
    return zlib.crc32(term.encode())
