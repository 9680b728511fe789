"""Rerankers behind HTTP: the shape of Jina and Cohere (vLLM, KServe), TEI, vLLM's score, NIM.

Splits what is too much for one request and halves what the server still refuses: passages are
judged one by one, so parts of a list get the scores of the whole. Knows no retries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from rag.errors import Rejected
from rag.openai_client import Connection
from rag.ports import Folders
from rag.wire import Wire, together, too_large

Flavour: TypeAlias = Literal["cohere", "tei", "vllm-score", "nim"]
Scores: TypeAlias = npt.NDArray[np.float32]

LARGEST = float(np.finfo(np.float32).max)


class HttpReranker:
    """A cross-encoder that another server runs."""

    class Options(BaseModel):
        """Which server, and its shape."""

        model_config = ConfigDict(extra="forbid")
        connection: Connection
        """Its `base_url` stands in front of `/rerank`, `/score` or `/ranking`."""
        flavour: Flavour = "cohere"
        """`cohere` (also Jina, vLLM, KServe), `tei`, `vllm-score` or `nim`."""
        model: str | None = None
        """Name on the server; TEI has none."""
        max_batch_items: int = Field(default=32, ge=1)
        """Passages of one request."""
        max_characters: int = Field(default=16384, ge=64)
        """Of one passage, and of the question; the rest is left out."""
        concurrency: int = Field(default=4, ge=1)
        """Requests under way at once."""

    def __init__(self, options: Options, folders: Folders) -> None:
        self._options = options
        self._wording = _WORDINGS[options.flavour]
        self._wire = Wire(options.connection, concurrency=options.concurrency)

    async def score(self, query: str, passages: Sequence[str]) -> Scores:
        """Return the server's scores; raise `Rejected` where its answer is not one each."""
        size, most = self._options.max_batch_items, self._options.max_characters
        cut = [passage[:most] for passage in passages]
        parts = [cut[i : i + size] for i in range(0, len(cut), size)]
        scored = await together([self._call(query[:most], part) for part in parts])
        return np.concatenate(scored or [np.empty(0, np.float32)])

    async def close(self) -> None:
        """Close the connections; idempotent."""
        await self._wire.close()

    async def _call(self, query: str, passages: Sequence[str]) -> Scores:
        body = self._wording.body(query, passages)
        if self._options.model is not None:
            body["model"] = self._options.model
        try:
            answer = await self._wire.post(self._wording.path, body)
        except Rejected as exc:
            if len(passages) < 2 or not too_large(exc):
                raise
            half = len(passages) // 2
            first = await self._call(query, passages[:half])
            return np.concatenate([first, await self._call(query, passages[half:])])
        return self._read(answer, len(passages))

    def _read(self, answer: Any, passages: int) -> Scores:
        who, key = self._options.connection.who, self._wording.key
        rows = answer if key is None else answer.get(key) if isinstance(answer, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise Rejected(f"{who} answered without scores")
        scores = np.full(passages, np.nan)
        for row in rows:
            index, score = row.get("index"), row.get(self._wording.score)
            known = isinstance(index, int) and 0 <= index < passages and np.isnan(scores[index])
            if not known or not isinstance(score, int | float):
                raise Rejected(f"{who} gave scores that do not fit the {passages} passages")
            scores[index] = score
        usable = np.abs(scores) <= LARGEST  # false for NaN, too
        if not np.all(usable):
            raise Rejected(f"{who} gave {usable.sum()} usable scores for {passages} passages")
        return scores.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Wording:
    """One server's side of the wire."""

    path: str
    body: Callable[[str, Sequence[str]], dict[str, Any]]
    key: str | None
    """Where in the answer the list stands; None: it is the answer."""
    score: str
    """What a score is called."""


_WORDINGS: Mapping[Flavour, Wording] = {
    "cohere": Wording(
        "/rerank",
        lambda query, passages: {"query": query, "documents": list(passages)},
        "results",
        "relevance_score",
    ),
    "tei": Wording(
        "/rerank",
        lambda query, passages: {"query": query, "texts": list(passages), "truncate": True},
        None,
        "score",
    ),
    "vllm-score": Wording(
        "/score",
        lambda query, passages: {"queries": query, "documents": list(passages)},
        "data",
        "score",
    ),
    "nim": Wording(
        "/ranking",
        lambda query, passages: {
            "query": {"text": query},
            "passages": [{"text": passage} for passage in passages],
            "truncate": "END",
        },
        "rankings",
        "logit",
    ),
}
