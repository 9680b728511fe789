"""An embedder without a model, for tests and demos: words and trigrams hashed to dimensions.

Knows spelling, not meaning: texts that share words or parts of words are similar, others are
nearly orthogonal. The same text gives the same vector in every process.
"""

from __future__ import annotations

import asyncio
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from rag.ports import Folders
from rag.types import Role
from rag.vectors import Embedded, Matrix

VERSION = 1
"""Part of the fingerprint; grows when any text would give another vector than before."""

_WORD = re.compile(r"\w+")
_EMPTY = ""  # the feature of texts without words: no word hashes it


class HashingEmbedder:
    """Add up signed hashes of words and their trigrams, each weighed 1 + ln(count).

    Signs make collisions cancel on average: Weinberger et al., Feature Hashing for Large Scale
    Multitask Learning (2009).
    """

    class Options(BaseModel):
        """Shape of the vectors and of what they read."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        dim: int = Field(default=256, ge=1, le=65536)
        max_tokens: int = Field(default=256, ge=1)
        """Words that are read of one text."""

    def __init__(self, options: Options, folders: Folders | None = None) -> None:
        """Take the folders that every embedder is given, and leave them alone."""
        self.dim = options.dim
        self.max_tokens = options.max_tokens
        self.fingerprint = f"hashing version={VERSION} dim={self.dim} max_tokens={self.max_tokens}"

    async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
        """Embed texts in order; both roles read alike."""
        return await asyncio.to_thread(self._embed, texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the words of each text, uncut."""
        return [len(_WORD.findall(text)) for text in texts]

    @property
    def overhead_tokens(self) -> int:
        """Nothing is added to a text."""
        return 0

    def unknown_share(self, texts: Sequence[str]) -> float:
        """Return 0: every word has a hash."""
        return 0.0

    async def close(self) -> None:
        """Nothing is held open."""

    def _embed(self, texts: Sequence[str]) -> Embedded:
        vectors = np.zeros((len(texts), self.dim), np.float32)
        tokens = 0
        for vector, text in zip(vectors, texts, strict=True):
            words = _WORD.findall(text.casefold())[: self.max_tokens]
            tokens += len(words)
            self._fill(vector, words)
        return Embedded(vectors, tokens)

    def _fill(self, vector: Matrix, words: Sequence[str]) -> None:
        for feature, count in Counter(_features(words)).items():
            vector[feature % self.dim] += _sign(feature) * (1.0 + math.log(count))
        norm = float(np.linalg.norm(vector))
        if norm < 1e-6:  # no words, or features that cancelled out
            vector[:] = 0.0
            vector[_hash(_EMPTY) % self.dim] = norm = 1.0
        vector /= norm


def _features(words: Sequence[str]) -> Iterator[int]:
    for word in words:
        yield from _word_features(word)


@lru_cache(maxsize=65536)
def _word_features(word: str) -> tuple[int, ...]:
    edged = f"<{word}>"
    return tuple(_hash(f) for f in (edged, *(edged[i : i + 3] for i in range(len(word)))))


def _hash(feature: str) -> int:
    return zlib.crc32(feature.encode("utf-8", "surrogatepass"))


def _sign(feature: int) -> float:
    # From the high bit, since the low ones choose the dimension.
    return 1.0 if feature >> 31 else -1.0
