"""An embedder wrapped so that it is retried, ends by a deadline, and gives nothing wrong.

The one place where the answer of an embedder is checked, before anything of it is used or kept.
Knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence

from rag.errors import IndexMismatch, Rejected
from rag.ports import Embedder
from rag.retrying import Patience, Retrying
from rag.settings import Embedding
from rag.types import Role
from rag.vectors import Embedded, check_unit_rows

QUESTION = 0.1
"""Share of the patience with passages that a question gets: somebody waits for it."""
QUESTION_ATTEMPTS = 3
"""At most; more would only be in the way of those who ask next."""
QUESTION_PAUSE_S = 1.0
"""A service that wants to be left alone for longer is unavailable to a question."""
BACKOFF_S = 2.0


class RetryingEmbedder:
    """The embedder of this name, as ingestion and search use it."""

    def __init__(
        self,
        embedder: Embedder,
        name: str,
        settings: Embedding,
        *,
        retrying: Retrying | None = None,
    ) -> None:
        self._embedder = embedder
        self._name = name
        self._settings = settings
        self._retrying = retrying or Retrying(f"the embedder {name!r}")
        self._patience: dict[Role, Patience] = {
            "passage": _long(settings),
            "query": question_patience(settings),
        }
        self.fingerprint = embedder.fingerprint
        self.dim = embedder.dim
        self.max_tokens = embedder.max_tokens

    async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
        """Embed texts in order; raise `Rejected` for an answer that is not one unit row each."""
        embedded = await self._retrying.call(
            lambda: self._embedder.embed(texts, role), self._patience[role]
        )
        check_answer(embedded, len(texts), self.dim, f"the embedder {self._name!r}")
        return embedded

    def hurried(self) -> RetryingEmbedder:
        """Return its twin for work that somebody waits for: passages get a question's patience."""
        twin = RetryingEmbedder(self._embedder, self._name, self._settings, retrying=self._retrying)
        twin._patience["passage"] = twin._patience["query"]
        return twin

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text."""
        return self._embedder.count_tokens(texts)

    @property
    def overhead_tokens(self) -> int:
        """Tokens that the prefix and the special tokens take."""
        return self._embedder.overhead_tokens

    def unknown_share(self, texts: Sequence[str]) -> float:
        """Return the share of tokens that the model cannot read."""
        return self._embedder.unknown_share(texts)

    async def close(self) -> None:
        """Close the embedder; idempotent."""
        await self._embedder.close()


def check_answer(embedded: Embedded, texts: int, dim: int, who: str) -> None:
    """Raise `Rejected` unless the vectors are one finite float32 unit row of `dim` per text."""
    shape = embedded.vectors.shape
    if shape != (texts, dim):
        raise Rejected(f"{who} gave vectors of shape {shape} for {texts} texts and dimension {dim}")
    try:
        check_unit_rows(embedded.vectors)
    except IndexMismatch as exc:
        raise Rejected(f"{who} gave wrong vectors: {exc.message}") from exc


def _long(settings: Embedding) -> Patience:
    return Patience(
        timeout_s=settings.timeout_s,
        attempts=settings.attempts,
        budget_s=settings.retry_budget_s,
        backoff_s=BACKOFF_S,
    )


def question_patience(settings: Embedding) -> Patience:
    """Return how long a model is borne with while somebody waits."""
    return Patience(
        timeout_s=settings.timeout_s * QUESTION,
        attempts=min(settings.attempts, QUESTION_ATTEMPTS),
        budget_s=settings.retry_budget_s * QUESTION,
        backoff_s=BACKOFF_S * QUESTION,
        pause_s=QUESTION_PAUSE_S,
    )
