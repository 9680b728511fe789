"""How well texts say what another text says: by rare words, and by meaning.

The measures that abstaining, quoting and attributing share. Knows ports; decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from rag.ports import Embedder, SparseEncoder

Scores: TypeAlias = npt.NDArray[np.float64]
Weights: TypeAlias = Mapping[int, float]


def word_weights(
    encoder: SparseEncoder, text: str, *, chunks: int, frequencies: Mapping[int, int]
) -> Weights:
    """Return the idf of each of a text's terms; one that no chunk has counts as rarest."""
    known = {term: frequencies.get(term, 1) for term in encoder.terms(text).tolist()}
    row = encoder.weigh_query(text, chunks=max(1, chunks), frequencies=known)
    return dict(zip(row.terms.tolist(), row.weights.tolist(), strict=True))


def term_sets(encoder: SparseEncoder, texts: Sequence[str]) -> list[frozenset[int]]:
    """Return the terms of each text."""
    rows = encoder.encode(texts)
    return [frozenset(rows.row(i)[0].tolist()) for i in range(len(rows))]


def covered(terms: Sequence[frozenset[int]], weights: Weights) -> Scores:
    """Return per set of terms the share (0 to 1) of the weights that it has."""
    total = sum(weights.values()) or 1.0
    return np.array([sum(w for t, w in weights.items() if t in have) / total for have in terms])


async def cosines(embedder: Embedder, question: str, texts: Sequence[str]) -> Scores:
    """Return the cosine of each text with a question."""
    asked = await embedder.embed([question], "query")
    given = await embedder.embed(texts, "passage")
    return np.asarray(given.vectors @ asked.vectors[0], np.float64)
