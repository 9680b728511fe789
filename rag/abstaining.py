"""Whether to answer at all, decided from retrieval before anything is written.

Compares raw cosines and words with thresholds of the model: fused scores have no scale that could
be compared. Knows nothing of how answers are made.
"""

from __future__ import annotations

from rag.ports import SparseEncoder
from rag.types import Query, Retrieved
from rag.weighing import covered, term_sets, word_weights

NOTHING_FOUND = "I found nothing in this collection that answers the question."

# Below both values a question is taken to be about something else: the best cosine, and the share
# of the question's idf-weighted words that some hit has. Calibrated for each fingerprint as
# docs/decisions/006-abstention.md tells; other models have other scales, so they never abstain.
THRESHOLDS: dict[str, tuple[float, float]] = {
    "bert-2778b5c64c38556d99409c1cbb445e5c": (0.40, 0.50),  # all-MiniLM-L6-v2
}


def abstains(query: Query, found: Retrieved, encoder: SparseEncoder) -> bool:
    """Whether the collection seems to hold no answer: nothing found, or nothing near enough."""
    return not found.hits or _off_topic(query, found, encoder)


def _off_topic(query: Query, found: Retrieved, encoder: SparseEncoder) -> bool:
    """Compare the best raw cosine and the words' coverage with the model's thresholds."""
    generation = found.generation
    signals = [hit.signals["dense"] for hit in found.hits if "dense" in hit.signals]
    if generation.embedder.fingerprint not in THRESHOLDS or not signals:
        return False
    cosine, share = THRESHOLDS[generation.embedder.fingerprint]
    weights = word_weights(
        encoder, query.text, chunks=generation.chunks, frequencies=found.frequencies
    )
    terms = term_sets(encoder, [hit.chunk.text for hit in found.hits])
    return max(signals) < cosine and float(covered(terms, weights).max()) < share
