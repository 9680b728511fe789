"""Answers without a language model: the sentences that answer best, quoted and cited.

Each sentence of the best hits is judged by its meaning (cosine), by how many of the question's
rare words it has, and by its passage's rank. Whether to answer at all is decided before, from
retrieval. Knows ports only.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rag.citing import Quote, cite, quotes
from rag.ports import Embedder, SparseEncoder
from rag.retrieval import Pipelines, Retrieval
from rag.types import Answer, Citation, Query, Retrieved

MODEL = "extractive"
PASSAGES = 5
"""Hits whose sentences are considered."""
SENTENCES = 3
"""At most this many are quoted."""
KEEP = 0.75
"""A further sentence is quoted when its score is at least this share of the best one's."""
MAX_QUOTED = 600
"""Characters of a sentence: longer ones are tables or data, not sentences."""
NOTHING_FOUND = "I found nothing in this collection that answers the question."

# Below both values a question is taken to be about something else: the best cosine, and the share
# of the question's idf-weighted words that some hit has. Calibrated for each fingerprint as
# docs/decisions/006-abstention.md tells; other models have other scales, so they never abstain.
THRESHOLDS: dict[str, tuple[float, float]] = {
    "bert-2778b5c64c38556d99409c1cbb445e5c": (0.40, 0.50),  # all-MiniLM-L6-v2
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer as it streams: its text, and what the text cites."""

    text: str
    citations: tuple[Citation, ...] = ()


class ExtractiveAnswerer:
    """Answers questions over collections by quoting."""

    def __init__(self, retrieval: Retrieval, pipelines: Pipelines) -> None:
        self._retrieval = retrieval
        self._pipelines = pipelines

    async def stream(self, query: Query) -> AsyncIterator[Piece | Answer]:
        """Yield the answer sentence by sentence, then whole."""
        answer = await self.answer(query)
        if answer.abstained:
            yield Piece(answer.text)
        for citation in answer.citations:
            space = "" if citation.n == 1 else " "
            yield Piece(f"{space}{_marked(citation)}", (citation,))
        yield answer

    async def answer(self, query: Query) -> Answer:
        """Return the whole answer; `abstained` when the collection seems to hold none."""
        wider = replace(query, k=PASSAGES) if 0 < query.k < PASSAGES else query
        found = await self._retrieval.search(wider)
        chosen: list[Quote] = []
        if found.hits and not self._off_topic(query, found):
            chosen = await self._choose(query, found)
        if not chosen:
            return Answer(NOTHING_FOUND, (), MODEL, abstained=True)
        citations = tuple(cite(n, quote) for n, quote in enumerate(chosen, start=1))
        return Answer(" ".join(map(_marked, citations)), citations, MODEL)

    def _off_topic(self, query: Query, found: Retrieved) -> bool:
        """Compare the best raw cosine and the words' coverage with the model's thresholds."""
        generation = found.generation
        cosines = [hit.signals["dense"] for hit in found.hits if "dense" in hit.signals]
        if generation.embedder.fingerprint not in THRESHOLDS or not cosines:
            return False
        cosine, coverage = THRESHOLDS[generation.embedder.fingerprint]
        encoder = self._pipelines.sparse_encoder(generation)
        weights = _word_weights(encoder, query.text, found)
        texts = [hit.chunk.text for hit in found.hits]
        best = float(_coverage(encoder, texts, weights).max())
        return max(cosines) < cosine and best < coverage

    async def _choose(self, query: Query, found: Retrieved) -> list[Quote]:
        """Return the quotes to answer with, best first."""
        candidates = [
            quote
            for quote in quotes(found.hits[:PASSAGES])
            if len(quote.text) <= MAX_QUOTED and not quote.text.lstrip().startswith("#")
        ]
        if not candidates:
            return []
        encoder = self._pipelines.sparse_encoder(found.generation)
        weights = _word_weights(encoder, query.text, found)
        texts = [quote.text for quote in candidates]
        scores = _coverage(encoder, texts, weights)
        if not found.unread:
            scores += await _cosines(self._pipelines.embedder(found.generation), query.text, texts)
        best = max(hit.score for hit in found.hits) or 1.0
        scores += np.array([0.3 * quote.hit.score / best for quote in candidates])
        order = np.argsort(-scores, kind="stable")[:SENTENCES]
        top = scores[order[0]]
        return [candidates[i] for i in order if scores[i] >= KEEP * top]


def _word_weights(encoder: SparseEncoder, question: str, found: Retrieved) -> dict[int, float]:
    """Return the idf of each of the question's terms; one that no chunk has counts as rarest."""
    frequencies = {
        term: found.frequencies.get(term, 1) for term in encoder.terms(question).tolist()
    }
    row = encoder.weigh_query(
        question, chunks=max(1, found.generation.chunks), frequencies=frequencies
    )
    return dict(zip(row.terms.tolist(), row.weights.tolist(), strict=True))


def _coverage(
    encoder: SparseEncoder, texts: Sequence[str], weights: dict[int, float]
) -> npt.NDArray[np.float64]:
    """Return per text the share (0 to 1) of the question's word weights that it has."""
    total = sum(weights.values()) or 1.0
    rows = encoder.encode(texts)
    return np.array(
        [
            sum(weights.get(t, 0.0) for t in rows.row(i)[0].tolist()) / total
            for i in range(len(rows))
        ]
    )


async def _cosines(
    embedder: Embedder, question: str, texts: Sequence[str]
) -> npt.NDArray[np.float64]:
    asked = await embedder.embed([question], "query")
    given = await embedder.embed(texts, "passage")
    return np.asarray(given.vectors @ asked.vectors[0], np.float64)


def _marked(citation: Citation) -> str:
    """Put a quote on one line, without the mark of a list or quote, and with its number."""
    text = re.sub(r"^\s*(?:[-*+]|\d+[.)]|>)\s+", "", citation.quote)
    return f"{' '.join(text.split())} [{citation.n}]"
