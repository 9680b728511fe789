"""A FAISS HNSW graph over the first rows of a flat index: near rows without visiting all.

Knows when walking it costs less than scanning (measured, see `docs/decisions/011-*`), and how it
is kept without its vectors, which the flat index has already; knows no chunks and no storage.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from indexers.stores.selection import RowNumbers, Selection
from rag.vectors import Matrix

LINKS: Final = 32
BUILD_WIDTH: Final = 64
LEAST_WIDTH: Final = 128
MARGIN: Final = 2.0
"""Candidates looked at per candidate wanted, times one over the share of rows that may be found."""
STEP_ROWS: Final = 10
"""Rows that can be scanned in the time that one candidate more takes."""


class Graph:
    """Links between the rows `0..covered` of a flat index, which it shares with its owner."""

    def __init__(self, flat: Any, *, stored: npt.NDArray[np.uint8] | None = None) -> None:
        import faiss

        self._faiss: Any = faiss
        self._flat = flat  # FAISS does not keep it alive
        if stored is None:
            self._index: Any = faiss.IndexHNSW(flat, LINKS)
            self._index.hnsw.efConstruction = BUILD_WIDTH
        else:
            self._index = faiss.deserialize_index(stored, faiss.IO_FLAG_SKIP_STORAGE)
            self._index.storage, self._index.own_fields = flat, False

    @property
    def covered(self) -> int:
        """How many rows it links: the first ones."""
        return int(self._index.ntotal)

    def stored(self) -> npt.NDArray[np.uint8]:
        """Return the bytes that it can be made from again, beside the same vectors."""
        stored: npt.NDArray[np.uint8] = self._faiss.serialize_index(
            self._index, self._faiss.IO_FLAG_SKIP_STORAGE
        )
        return stored

    def append(self, vectors: Matrix) -> None:
        """Add rows to the flat index and link them; all rows before them are linked already."""
        self._index.add(vectors)

    def nearest(self, query: Matrix, wanted: int, among: Selection) -> RowNumbers | None:
        """Return about the `wanted` best of the covered rows among these, in any order.

        None where scanning is cheaper, and where the walk found fewer than there are.
        """
        count = int(np.count_nonzero(among.mask[: self.covered]))
        wanted = min(wanted, count)
        width = max(LEAST_WIDTH, int(MARGIN * wanted * self.covered / max(count, 1)))
        if STEP_ROWS * width >= count:
            return None
        selector = None if count == self.covered else self._faiss.IDSelectorBitmap(among.bits)
        parameters = self._faiss.SearchParametersHNSW(sel=selector, efSearch=width)
        _, rows = self._index.search(query, wanted, params=parameters)
        found: RowNumbers = rows[0][rows[0] >= 0]
        return found if len(found) == wanted else None
