"""Answers without a language model: the sentences that answer best, quoted.

Each sentence of the best hits is judged by its meaning (cosine), by how many of the question's
rare words it has, and by its passage's rank. Knows ports only.
"""

from __future__ import annotations

import re

import numpy as np

from rag.citing import Quote, quotes
from rag.retrieval import Pipelines
from rag.types import Citation, Query, Retrieved
from rag.weighing import cosines, covered, term_sets, word_weights

PASSAGES = 5
"""Hits whose sentences are considered."""
SENTENCES = 3
"""At most this many are quoted."""
KEEP = 0.75
"""A further sentence is quoted when its score is at least this share of the best one's."""
MAX_QUOTED = 600
"""Characters of a sentence: longer ones are tables or data, not sentences."""
RANK = 0.3
"""Weight of the passage's score, as a share of the best one's."""


async def extract(query: Query, found: Retrieved, pipelines: Pipelines) -> list[Quote]:
    """Return the quotes to answer with, best first; none where there is no sentence."""
    candidates = [
        quote
        for quote in quotes(found.hits[:PASSAGES])
        if len(quote.text) <= MAX_QUOTED and not quote.text.lstrip().startswith("#")
    ]
    if not candidates:
        return []
    generation = found.generation
    encoder = pipelines.sparse_encoder(generation)
    weights = word_weights(
        encoder, query.text, chunks=generation.chunks, frequencies=found.frequencies
    )
    texts = [quote.text for quote in candidates]
    scores = covered(term_sets(encoder, texts), weights)
    if not found.unread:
        scores += await cosines(pipelines.embedder(generation), query.text, texts)
    best = max(hit.score for hit in found.hits) or 1.0
    scores += np.array([RANK * quote.hit.score / best for quote in candidates])
    order = np.argsort(-scores, kind="stable")[:SENTENCES]
    top = scores[order[0]]
    return [candidates[i] for i in order if scores[i] >= KEEP * top]


def quoted(citation: Citation) -> str:
    """Put a quote on one line, without the mark of a list or quote, and with its number."""
    text = re.sub(r"^\s*(?:[-*+]|\d+[.)]|>)\s+", "", citation.quote)
    return f"{' '.join(text.split())} [{citation.n}]"
