"""Whether a server still has the model whose vectors are in the indexes.

A server's model cannot be fingerprinted: its name stays when its weights are replaced. So the
vectors of two known texts are kept at the first use, and compared at the first use of each process.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

from rag.errors import Rejected
from rag.vectors import Matrix

PROBES = (
    "A catalog says which documents exist, and who may read them.",
    "Interest rates rose again in March.",
)
SAME = 0.98
"""Cosine above which two vectors of a text are of one model: precisions and devices differ."""


class Probe:
    """The kept vectors of one server and model."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._checked = False
        self._checking = asyncio.Lock()

    async def check(self, embed: Callable[[], Awaitable[Matrix]]) -> None:
        """Compare once; raise `Rejected` when the model is another one than before."""
        if self._checked:
            return
        async with self._checking:
            if not self._checked:
                now = await embed()
                await asyncio.to_thread(self._compare, now)
                self._checked = True

    def _compare(self, now: Matrix) -> None:
        kept = _load(self._path)
        if kept is None or kept.shape != now.shape:
            _store(self._path, now)
            return
        cosine = float(np.min(np.einsum("ij,ij->i", kept, now)))
        if cosine < SAME:
            raise Rejected(
                f"the model behind the embedder gives other vectors than before (cosine "
                f"{cosine:.2f}), under the same name",
                hint=f"restore it; or remove {self._path} and ingest into a new collection",
            )


def _load(path: Path) -> Matrix | None:
    """Return the kept vectors; None where there are none that can be read."""
    try:
        kept = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return kept if kept.ndim == 2 and kept.dtype == np.float32 else None


def _store(path: Path, vectors: Matrix) -> None:
    """Keep vectors, whole or not at all; where there is no room, they are not kept."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False, suffix=".tmp") as file:
            np.save(file, vectors, allow_pickle=False)
        Path(file.name).replace(path)
    except OSError:
        return
