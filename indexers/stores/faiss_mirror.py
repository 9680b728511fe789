"""The searchable copy of an index's rows in memory, and how it follows the file.

Knows scores, masks and their order. Built and advanced in one place, from the rows alone; nothing
of it is stored.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from indexers.sqlite_lane import snapshot
from indexers.stores import faiss_rows
from indexers.stores.faiss_vectors import FlatVectors, RowNumbers, Selection
from indexers.stores.field_index import FieldIndex
from indexers.stores.postings import Postings
from indexers.stores.row_codec import Row, dense_of, fields_of, sparse_of
from rag.filters import And, Compare, Eq, Exists, Filter
from rag.ports import Candidates
from rag.types import Candidate, Search

SELECTIONS_KEPT: Final = 64


class LiveMirror:
    """The mirror as the file is now; belongs to one thread and its connection."""

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._mirror: Mirror | None = None
        self._version: int | None = None

    def search(self, connection: sqlite3.Connection, search: Search) -> Candidates:
        """Search what is committed; the first call reads all rows, later ones what changed."""
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        mirror = self._mirror
        if mirror is None or version != self._version:
            self._mirror = None  # a failure half way must leave none rather than half of one
            mirror = self._mirror = self._advanced(connection, mirror)
            self._version = version
        return mirror.search(search)

    def _advanced(self, connection: sqlite3.Connection, mirror: Mirror | None) -> Mirror:
        with snapshot(connection):
            if mirror is not None:
                removals = faiss_rows.removals(connection, mirror.removal)
                if removals is None or mirror.forget(removals):
                    mirror = None
            if mirror is None:
                mirror = Mirror(self._dim, removal=faiss_rows.last_removal(connection))
            for seqs, rows in faiss_rows.newer(connection, mirror.seq):
                mirror.add(seqs, rows)
        return mirror


class Mirror:
    """Rows by number, in the order of their `seq`; removed ones stay as dead weight."""

    def __init__(self, dim: int, *, removal: int) -> None:
        self.seq = 0
        """The newest row that is in here."""
        self.removal = removal
        """The newest removal that is known here."""
        self._seqs: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._alive: npt.NDArray[np.bool_] = np.empty(0, np.bool_)
        self._ids: list[str] = []
        self._versions: list[tuple[str, int]] = []
        self._vectors = FlatVectors(dim)
        self._postings = Postings()
        self._fields = FieldIndex()
        self._selections: dict[str, Selection] = {}

    def add(self, seqs: Sequence[int], rows: Sequence[Row]) -> None:
        """Append rows, one at least, newer than all before."""
        self._vectors.add(dense_of(rows))
        self._postings.add(sparse_of(rows))
        for row in rows:
            self._ids.append(row.id)
            self._versions.append((row.document, row.attempt))
            self._fields.add(row.fields, partial(fields_of, row.id, row.fields))
        self._seqs = np.append(self._seqs, seqs)
        self._alive = np.append(self._alive, np.ones(len(rows), np.bool_))
        self.seq = seqs[-1]
        self._selections.clear()

    def forget(self, removals: Sequence[tuple[int, int]]) -> bool:
        """Mask removed rows, given as (n, seq); say whether more than a third is dead now."""
        if removals:
            self._alive[np.isin(self._seqs, [seq for _, seq in removals])] = False
            self.removal = removals[-1][0]
            self._selections.clear()
        return 3 * int(np.count_nonzero(~self._alive)) > len(self._alive)

    def search(self, search: Search) -> Candidates:
        """Return up to `depth` best rows per signal among those that match the filter."""
        among = self._select(search.where)
        dense: tuple[Candidate, ...] = ()
        sparse: tuple[Candidate, ...] = ()
        if among.count and search.dense is not None:
            rows, scores = self._vectors.candidates(search.dense, search.depth, among)
            dense = self._best(rows, scores, search.depth)
        if among.count and search.sparse is not None:
            scores = self._postings.scores(*search.sparse.row(0))
            rows = np.flatnonzero((scores > 0) & among.mask)
            sparse = self._best(rows, scores[rows], search.depth)
        return Candidates(dense, sparse)

    def _select(self, where: Filter) -> Selection:
        """Return the live rows that match, remembered until the rows change.

        The parts of a conjunction are remembered too: a caller's scope stays the same while the
        filter beside it changes. The key is the text of the filter: as objects, `Eq("n", 1)` and
        `Eq("n", True)` are equal.
        """
        if isinstance(where, Eq | Compare | Exists):
            return Selection(self._fields.mask(where) & self._alive)
        key = repr(where)
        if (known := self._selections.get(key)) is not None:
            return known
        if isinstance(where, And):
            mask = self._alive.copy()
            for child in where.children:
                mask &= self._select(child).mask
        else:
            mask = self._fields.mask(where) & self._alive
        if len(self._selections) >= SELECTIONS_KEPT:
            self._selections.clear()
        self._selections[key] = Selection(mask)
        return self._selections[key]

    def _best(
        self, rows: RowNumbers, scores: npt.NDArray[np.float32], depth: int
    ) -> tuple[Candidate, ...]:
        """Order by score, then by chunk id, and keep `depth`."""
        if len(rows) > depth:
            near = scores >= np.partition(scores, len(scores) - depth)[len(scores) - depth]
            rows, scores = rows[near], scores[near]
        ranked = sorted(
            (-score, self._ids[row], row)
            for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
        )
        versions = self._versions
        return tuple(
            Candidate(chunk_id, versions[row][0], versions[row][1], -score)
            for score, chunk_id, row in ranked[:depth]
        )
