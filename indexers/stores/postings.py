"""Sparse vectors as postings: for each term, the rows that have it and their weights.

Knows inner products over terms; knows no filters, no chunks and no storage.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rag.vectors import SparseMatrix

Floats = npt.NDArray[np.float32]
Terms = npt.NDArray[np.uint32]
Rows = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Segment:
    """Postings of some rows: those of `terms[i]` are `rows[starts[i]:starts[i + 1]]`."""

    terms: Terms
    starts: npt.NDArray[np.int64]
    rows: Rows
    weights: Floats

    @staticmethod
    def build(terms: Terms, rows: Rows, weights: Floats) -> Segment:
        """Group (term, row, weight) triples by term, rows ascending where they came so."""
        order = np.argsort(terms, kind="stable")
        terms = terms[order]
        first = np.flatnonzero(np.diff(terms, prepend=terms[:1] + np.uint32(1)))
        return Segment(terms[first], np.append(first, len(terms)), rows[order], weights[order])

    def triples(self) -> tuple[Terms, Rows, Floats]:
        """Return what it was built from, grouped by term."""
        return np.repeat(self.terms, np.diff(self.starts)), self.rows, self.weights


class Postings:
    """A growing set of rows, numbered in the order in which they came."""

    def __init__(self) -> None:
        self._count = 0
        self._segments: list[Segment] = []
        self._fresh: list[tuple[Terms, Rows, Floats]] = []

    def add(self, sparse: SparseMatrix) -> None:
        """Append rows."""
        rows = np.arange(self._count, self._count + len(sparse), dtype=np.int32)
        self._fresh.append((sparse.terms, np.repeat(rows, np.diff(sparse.indptr)), sparse.weights))
        self._count += len(sparse)

    @staticmethod
    def of(segment: Segment, count: int) -> Postings:
        """Take up the postings of `count` rows."""
        postings = Postings()
        postings._count, postings._segments = count, [segment]
        return postings

    def renumbered(self, numbers: Rows) -> Segment:
        """Return the postings under new numbers of the rows; those below zero are left out."""
        self._settle()
        nothing = (np.empty(0, np.uint32), np.empty(0, np.int32), np.empty(0, np.float32))
        parts = [nothing]
        for terms, rows, weights in map(Segment.triples, self._segments):
            stay = numbers[rows] >= 0
            parts.append((terms[stay], numbers[rows[stay]], weights[stay]))
        return _merged(parts)

    def scores(self, terms: Terms, weights: Floats) -> Floats:
        """Return every row's inner product with one query, its terms ascending: shape (rows,)."""
        self._settle()
        scores = np.zeros(self._count, np.float32)
        for segment in self._segments:
            at = np.searchsorted(segment.terms, terms)
            at[at == len(segment.terms)] = 0
            for i in np.flatnonzero(segment.terms[at] == terms).tolist():
                span = slice(segment.starts[at[i]], segment.starts[at[i] + 1])
                scores[segment.rows[span]] += weights[i] * segment.weights[span]
        return scores

    def _settle(self) -> None:
        """Sort what came since the last query, and keep each segment half of the one before it."""
        fresh, self._fresh = self._fresh, []
        if not any(len(terms) for terms, _, _ in fresh):
            return
        self._segments.append(_merged(fresh))
        while len(self._segments) > 1 and _small(self._segments[-2], beside=self._segments[-1]):
            tail = [segment.triples() for segment in self._segments[-2:]]
            self._segments[-2:] = [_merged(tail)]


def _merged(parts: list[tuple[Terms, Rows, Floats]]) -> Segment:
    terms, rows, weights = zip(*parts, strict=True)
    return Segment.build(np.concatenate(terms), np.concatenate(rows), np.concatenate(weights))


def _small(segment: Segment, *, beside: Segment) -> bool:
    return len(segment.rows) < 2 * len(beside.rows)
