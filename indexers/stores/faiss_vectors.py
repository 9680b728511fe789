"""Dense vectors in FAISS: which rows may be among the best for a query.

The only module that knows FAISS. Knows row numbers and masks; knows no chunks and no storage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rag.types import Matrix

RowNumbers = npt.NDArray[np.int64]
OVERFETCH: Final = 16
GATHER_SHARE: Final = 0.05
"""Below this share of rows, multiplying them alone is faster than skipping the others."""
FEW: Final = 256
BLOCK: Final = 256


@dataclass(frozen=True)
class Selection:
    """The rows that a search may return."""

    mask: npt.NDArray[np.bool_]
    count: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", int(np.count_nonzero(self.mask)))

    @cached_property
    def rows(self) -> RowNumbers:
        """Their numbers, ascending."""
        return np.flatnonzero(self.mask)

    @cached_property
    def bits(self) -> npt.NDArray[np.uint8]:
        """The mask with eight rows in a byte, the lowest bit first."""
        return np.packbits(self.mask, bitorder="little")


class FlatVectors:
    """Unit vectors, numbered in the order in which they came; searched exactly."""

    def __init__(self, dim: int) -> None:
        import faiss

        faiss.omp_set_num_threads(1)  # of this thread; one query is faster with one
        self._faiss: Any = faiss
        self._index: Any = faiss.IndexFlatIP(dim)
        # Two float32 sums of the same products differ by at most dim * 2**-24 each; see
        # Higham, Accuracy and Stability of Numerical Algorithms, 3.1.
        self._slack = 4 * dim * 2.0**-24

    def add(self, vectors: Matrix) -> None:
        """Append rows."""
        self._index.add(vectors)

    def candidates(self, query: Matrix, depth: int, among: Selection) -> tuple[RowNumbers, Matrix]:
        """Return rows and scores: the best `depth` among these and all that tie with the last.

        FAISS proposes; the scores are computed here, row by row, because its own differ in the
        last bits with a row's place in a block, and equal vectors must have equal scores.
        """
        if among.count <= max(depth, GATHER_SHARE * len(among.mask)):
            rows = among.rows
        else:
            rows = self._proposed(query, depth, among)
        vectors, scores = self._vectors(), np.empty(len(rows), np.float32)
        for start in range(0, len(rows), BLOCK):
            block = slice(start, start + BLOCK)
            scores[block] = np.vecdot(vectors[rows[block]], query[0])
        return rows, scores

    def _proposed(self, query: Matrix, depth: int, among: Selection) -> RowNumbers:
        """Find the rows that can be among the best `depth`, whatever the last bits are."""
        excluded = len(among.mask) - among.count
        wanted = min(depth + OVERFETCH, among.count)
        if excluded <= FEW:  # asking for some more is cheaper than asking about every row
            products, rows = self._index.search(query, wanted + excluded)
            allowed = among.mask[rows[0]]
            products, rows = products[0][allowed], rows[0][allowed]
        else:
            selector = self._faiss.IDSelectorBitmap(among.bits)
            parameters = self._faiss.SearchParameters(sel=selector)
            products, rows = self._index.search(query, wanted, params=parameters)
            products, rows = products[0], rows[0]
        near = products >= products[depth - 1] - self._slack
        if near[-1] and len(rows) < among.count:  # more rows may tie than were asked for
            return among.rows
        found: RowNumbers = rows[near]
        return found

    def _vectors(self) -> Matrix:
        """Look at the vectors where FAISS keeps them; the view ends with the next `add`."""
        count, dim = int(self._index.ntotal), int(self._index.d)
        view: Matrix = self._faiss.rev_swig_ptr(self._index.get_xb(), count * dim)
        return view.reshape(count, dim)
