"""Dense vectors in FAISS: which rows may be among the best for a query.

Knows row numbers and masks; knows no chunks and no storage. Beside `faiss_graph` the only module
that knows FAISS.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from indexers.stores.faiss_graph import Graph
from indexers.stores.selection import RowNumbers, Selection
from rag.vectors import Matrix

OVERFETCH: Final = 16
GATHER_SHARE: Final = 0.05
"""Below this share of rows, multiplying them alone is faster than skipping the others."""
FEW: Final = 256
BLOCK: Final = 256


class FlatVectors:
    """Unit vectors, numbered in the order in which they came.

    Searched exactly, or through a graph over the first of them and exactly over the rest.
    """

    def __init__(self, dim: int) -> None:
        import faiss

        faiss.omp_set_num_threads(1)  # of this thread; one query is faster with one
        self._faiss: Any = faiss
        self._index: Any = faiss.IndexFlatIP(dim)
        self._graph: Graph | None = None
        # Two float32 sums of the same products differ by at most dim * 2**-24 each; see
        # Higham, Accuracy and Stability of Numerical Algorithms, 3.1.
        self._slack = 4 * dim * 2.0**-24

    def add(self, vectors: Matrix) -> None:
        """Append rows; the graph does not cover them yet."""
        self._index.add(vectors)

    def all(self) -> Matrix:
        """Look at the vectors where FAISS keeps them; the view ends with the next `add`."""
        count, dim = int(self._index.ntotal), int(self._index.d)
        view: Matrix = self._faiss.rev_swig_ptr(self._index.get_xb(), count * dim)
        return view.reshape(count, dim)

    # --- the graph -------------------------------------------------------------------------------

    def link(self) -> None:
        """Let the graph cover all rows, made anew where there is none."""
        covered = 0 if self._graph is None else self._graph.covered
        rest = self.all()[covered:].copy()
        # FAISS links rows only while it adds them.
        self._index.remove_ids(self._faiss.IDSelectorRange(covered, covered + len(rest)))
        self._graph = self._graph or Graph(self._index)
        self._graph.append(rest)

    def attach(self, stored: npt.NDArray[np.uint8]) -> None:
        """Take up the graph that `stored_graph` gave for the rows that are here."""
        self._graph = Graph(self._index, stored=stored)

    def stored_graph(self) -> npt.NDArray[np.uint8] | None:
        """Return the graph without vectors, if there is one."""
        return None if self._graph is None else self._graph.stored()

    # --- searching -------------------------------------------------------------------------------

    def candidates(
        self, query: Matrix, depth: int, among: Selection, *, exact: bool = True
    ) -> tuple[RowNumbers, Matrix]:
        """Return rows and scores: the best `depth` among these and all that tie with the last.

        Unless asked to be exact, a graph may leave out a few. FAISS proposes; the scores are
        computed here, row by row, because its own differ in the last bits with a row's place in a
        block, and equal vectors must have equal scores.
        """
        rows = None if exact else self._near(query, depth, among)
        if rows is None and among.count <= max(depth, GATHER_SHARE * len(among.mask)):
            rows = among.rows
        elif rows is None:
            rows = self._proposed(query, depth, among)
        vectors, scores = self.all(), np.empty(len(rows), np.float32)
        for start in range(0, len(rows), BLOCK):
            block = slice(start, start + BLOCK)
            scores[block] = np.vecdot(vectors[rows[block]], query[0])
        return rows, scores

    def _near(self, query: Matrix, depth: int, among: Selection) -> RowNumbers | None:
        """Walk the graph and scan the rows that it does not cover; None where that is no use."""
        if self._graph is None:
            return None
        near = self._graph.nearest(query, depth + OVERFETCH, among)
        if near is None:
            return None
        covered = self._graph.covered
        allowed = among.mask[covered:]
        products = np.where(allowed, self.all()[covered:] @ query[0], -np.inf)
        if len(products) > depth:
            least = np.partition(products, len(products) - depth)[len(products) - depth]
            allowed = allowed & (products >= least - self._slack)
        return np.concatenate([near, covered + np.flatnonzero(allowed)])

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
