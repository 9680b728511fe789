"""Which source supports a sentence that a model wrote, if any does.

A sentence is compared with every sentence of the passages that the model was shown: by the rare
words that they share and by meaning. Knows ports; nothing of how the sentence came about.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rag.citing import Quote, quotes
from rag.ports import Embedder, SparseEncoder
from rag.types import Hit
from rag.weighing import covered, term_sets, word_weights

SUPPORT = 0.6
"""Mean of words and meaning from which on a quote counts as support; fitted to all-MiniLM-L6-v2."""
HINT = 0.1
"""What a model's own mark adds to the quotes of the source that it names."""
MAX_QUOTED = 1200
"""Characters of a sentence that can be quoted; what is longer is data."""
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_LIST_MARK = re.compile(r"^\s*(?:[-*+•>]|\d{1,3}[.)])\s+")

Counting = Callable[[Collection[int]], Awaitable[Mapping[int, int]]]


class Attribution:
    """Compares sentences with the passages of one answer."""

    def __init__(
        self,
        hits: Sequence[Hit],
        encoder: SparseEncoder,
        embedder: Embedder | None,
        *,
        chunks: int,
        count: Counting,
    ) -> None:
        """Take the hits in the order of their numbers; `count` tells how many chunks have terms.

        Without an embedder words alone decide.
        """
        self._quotes = [quote for quote in quotes(hits) if len(quote.text) <= MAX_QUOTED]
        self._numbers = {id(hit): n for n, hit in enumerate(hits, start=1)}
        self._encoder, self._embedder = encoder, embedder
        self._chunks, self._count = chunks, count
        self._terms = term_sets(encoder, [quote.text for quote in self._quotes])
        self._vectors: asyncio.Task[npt.NDArray[np.float32]] | None = None

    async def __aenter__(self) -> Attribution:
        """Begin to embed the quotes: they are ready when the first sentence is."""
        if self._embedder is not None and self._quotes:
            self._vectors = asyncio.create_task(self._embedded(self._embedder))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop embedding, where nobody needs it any more."""
        if self._vectors is not None:
            self._vectors.cancel()
            await asyncio.wait([self._vectors])
            if not self._vectors.cancelled():
                self._vectors.exception()  # it was told where it mattered

    def judged(self, sentence: str) -> bool:
        """Whether a sentence says something: headings, tables, code and mere marks do not."""
        bare = sentence.lstrip()
        if bare.startswith(("#", "|", "```", "~~~")) or bare.endswith(":"):
            return False
        return len(self._encoder.terms(bare)) > 0

    async def support(self, sentence: str, hints: Collection[int] = ()) -> Quote | None:
        """Return the quote that supports a sentence best; None where nothing supports it."""
        if not self._quotes:
            return None
        bare = _LIST_MARK.sub("", sentence)
        terms = self._encoder.terms(bare).tolist()
        weights = word_weights(
            self._encoder, bare, chunks=self._chunks, frequencies=await self._count(terms)
        )
        scores = covered(self._terms, weights)
        if self._embedder is not None and self._vectors is not None:
            own = (await self._embedder.embed([bare], "passage")).vectors[0]
            given = await asyncio.shield(self._vectors)
            scores = (scores + np.asarray(given @ own, np.float64)) / 2
        named = np.array([self._numbers[id(quote.hit)] in hints for quote in self._quotes])
        best = int(np.argmax(scores + HINT * named))
        quote = self._quotes[best]
        if scores[best] + HINT * named[best] < SUPPORT or not _same_numbers(bare, quote):
            return None
        return quote

    async def _embedded(self, embedder: Embedder) -> npt.NDArray[np.float32]:
        return (await embedder.embed([quote.text for quote in self._quotes], "passage")).vectors


def _same_numbers(sentence: str, quote: Quote) -> bool:
    """Whether the quote's passage has every number of the sentence: a wrong one is no detail."""
    passage = set(_NUMBER.findall(f"{quote.hit.title} {quote.hit.chunk.text}"))
    return all(number in passage for number in _NUMBER.findall(sentence))
