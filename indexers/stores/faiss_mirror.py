"""The searchable copy of an index's rows in memory.

Knows scores, masks and their order, and how it is put into a snapshot and taken out again; knows
no file. What it is a copy of stands in `faiss_following`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson

from indexers.stores.faiss_vectors import FlatVectors
from indexers.stores.field_index import FieldIndex
from indexers.stores.postings import Postings, Segment
from indexers.stores.row_codec import Row, dense_of, fields_of, sparse_of
from indexers.stores.selection import RowNumbers, Selection
from indexers.stores.snapshot_file import Array, Snapshot
from rag.filters import And, Compare, Eq, Exists, Filter
from rag.ports import Candidates
from rag.types import Candidate
from rag.vectors import Search

SELECTIONS_KEPT: Final = 64


class Mirror:
    """Rows by number, in the order of their `seq`; removed ones stay as dead weight."""

    def __init__(self, dim: int, *, removal: int) -> None:
        self.seq = 0
        """The newest row that is in here."""
        self.removal = removal
        """The newest removal that is known here."""
        self.stored = 0
        """How many of the first rows came from a snapshot."""
        self.lost: set[int] = set()
        """By `seq`: rows of the file that are not what was written, and therefore not in here."""
        self.dim = dim
        self._seqs: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._alive: npt.NDArray[np.bool_] = np.empty(0, np.bool_)
        self._ids: list[str] = []
        self._versions: list[tuple[str, int]] = []
        self._vectors = FlatVectors(dim)
        self._postings = Postings()
        self._fields = FieldIndex()
        self._selections: dict[str, Selection] = {}

    def __len__(self) -> int:
        return len(self._seqs)

    @property
    def alive(self) -> int:
        """How many rows can be found."""
        return int(np.count_nonzero(self._alive))

    @property
    def crumbling(self) -> bool:
        """More than a third of the rows is dead weight."""
        return 3 * (len(self) - self.alive) > len(self)

    def add(self, seqs: Sequence[int], rows: Sequence[Row]) -> None:
        """Append rows, one at least, newer than all before."""
        self._vectors.add(dense_of(rows))
        self._postings.add(sparse_of(rows))
        for row in rows:
            self._ids.append(row.id)
            self._versions.append((row.document, row.attempt))
            self._fields.add(row.fields, partial(fields_of, row))
        self._seqs = np.append(self._seqs, seqs)
        self._alive = np.append(self._alive, np.ones(len(rows), np.bool_))
        self.seq = seqs[-1]
        self._selections.clear()

    def forget(self, removals: Sequence[tuple[int, int]]) -> None:
        """Mask removed rows, given as (n, seq)."""
        if removals:
            gone = [seq for _, seq in removals]
            self._alive[np.isin(self._seqs, gone)] = False
            self.lost.difference_update(gone)
            self.removal = removals[-1][0]
            self._selections.clear()

    def search(self, search: Search) -> Candidates:
        """Return up to `depth` best rows per signal among those that match the filter."""
        among = self._select(search.where)
        dense: tuple[Candidate, ...] = ()
        sparse: tuple[Candidate, ...] = ()
        if among.count and search.dense is not None:
            rows, scores = self._vectors.candidates(
                search.dense, search.depth, among, exact=search.exact
            )
            dense = self._best(rows, scores, search.depth)
        if among.count and search.sparse is not None:
            scores = self._postings.scores(*search.sparse.row(0))
            rows = np.flatnonzero((scores > 0) & among.mask)
            sparse = self._best(rows, scores[rows], search.depth)
        return Candidates(dense, sparse, lost=len(self.lost))

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

    # --- snapshots -------------------------------------------------------------------------------

    def link(self) -> None:
        """Let searches walk a graph instead of scanning."""
        self._vectors.link()

    def compacted(self) -> Mirror:
        """Copy the living rows, without a graph."""
        mirror = Mirror.thawed(self._frozen(np.flatnonzero(self._alive)))
        mirror.stored = 0
        return mirror

    def frozen(self) -> Snapshot:
        """Copy what a mirror can be made from again; nothing is left of dead rows but their place.

        At least one row is alive.
        """
        frozen = self._frozen(np.arange(len(self)))
        graph = self._vectors.stored_graph()
        return (
            frozen if graph is None else Snapshot(frozen.facts, {**frozen.arrays, "graph": graph})
        )

    def _frozen(self, kept: RowNumbers) -> Snapshot:
        alive = self._alive[kept]
        living = kept[alive]
        places = np.flatnonzero(alive).astype(np.int32)
        dense = self._vectors.all()[kept]
        dense[~alive] = 0
        ids = [""] * len(kept)
        versions = [("", 0)] * len(kept)
        for place, row in zip(places.tolist(), living.tolist(), strict=True):
            ids[place], versions[place] = self._ids[row], self._versions[row]
        documents = {d: i for i, d in enumerate(dict.fromkeys(d for d, _ in versions))}
        fields, numbers = self._fields.distinct(living)
        renumbered = np.full(len(self), -1, np.int32)
        renumbered[living] = places
        segment = self._postings.renumbered(renumbered)
        arrays = {
            "seqs": self._seqs[kept],
            "alive": alive,
            "lost": np.array(sorted(self.lost), np.int64),
            "ids": _packed(ids),
            "documents": _packed(list(documents)),
            "document": np.array([documents[document] for document, _ in versions], np.int32),
            "attempt": np.array([attempt for _, attempt in versions], np.int64),
            "fields": _packed(fields),
            "field": np.zeros(len(kept), np.int32),
            "dense": dense,
            "terms": segment.terms,
            "starts": segment.starts,
            "rows": segment.rows,
            "weights": segment.weights,
        }
        arrays["field"][places] = numbers
        return Snapshot({"dim": self.dim, "seq": self.seq, "removal": self.removal}, arrays)

    @staticmethod
    def thawed(snapshot: Snapshot) -> Mirror:
        """Make the mirror that was frozen; raise `RuntimeError` when FAISS cannot read its part."""
        facts, arrays = snapshot.facts, snapshot.arrays
        mirror = Mirror(facts["dim"], removal=facts["removal"])
        mirror.seq, mirror.stored = facts["seq"], len(arrays["seqs"])
        mirror._seqs, mirror._alive = arrays["seqs"], arrays["alive"]
        mirror.lost = set(arrays["lost"].tolist())
        mirror._ids = orjson.loads(arrays["ids"].data)
        documents = orjson.loads(arrays["documents"].data)
        named = map(documents.__getitem__, arrays["document"].tolist())
        mirror._versions = list(zip(named, arrays["attempt"].tolist(), strict=True))
        mirror._vectors.add(arrays["dense"])
        if "graph" in arrays:
            mirror._vectors.attach(arrays["graph"])
        mirror._fields = FieldIndex.of(orjson.loads(arrays["fields"].data), arrays["field"])
        segment = Segment(*(arrays[name] for name in ("terms", "starts", "rows", "weights")))
        mirror._postings = Postings.of(segment, len(mirror))
        return mirror


def _packed(texts: Sequence[str]) -> Array:
    return np.frombuffer(orjson.dumps(texts), np.uint8)
