"""Late interaction: each word of the question looks for its best counterpart in a passage.

Takes the token vectors of an embedder's checkpoint before they are pooled (MaxSim: Khattab and
Zaharia, ColBERT, 2020), so it runs offline with the default model, which was not trained for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from rag.embedders.checkpoint import open_checkpoint
from rag.embedders.encoder import Encoder, Precision
from rag.embedders.openvino import BATCH_TOKENS, sorted_batches
from rag.embedders.tokenizing import Tokenizing
from rag.models import find_model
from rag.ports import Folders
from rag.vectors import Matrix


class LateInteractionReranker:
    """Scores are mean cosines, -1 to 1; loads on first use."""

    class Options(BaseModel):
        """Which checkpoint."""

        model_config = ConfigDict(extra="forbid")
        model: str = "all-minilm-l6-v2"
        """Name in the model folder, or a path."""
        precision: Precision = "auto"
        """bfloat16 where the processor has it, unless float32 is asked for."""
        threads: int | None = Field(default=None, ge=1)
        """CPU threads; all cores by default."""

    def __init__(self, options: Options, folders: Folders) -> None:
        self._checkpoint = open_checkpoint(find_model(options.model, folders.models))
        self._encoder = Encoder(
            self._checkpoint,
            precision=options.precision,
            threads=options.threads,
            cache_dir=folders.cache / "openvino",
        )
        self._tokenizer = Tokenizing(self._checkpoint.path)
        self._one = ThreadPoolExecutor(1, "rerank-late")
        self._streams = ThreadPoolExecutor(self._encoder.threads, "rerank-stream")

    async def score(self, query: str, passages: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return for each passage how well it covers the question's tokens, on average."""
        if not passages:
            return np.empty(0, np.float32)
        return await asyncio.wrap_future(self._one.submit(self._score, query, list(passages)))

    async def close(self) -> None:
        """Stop the threads; idempotent."""
        await asyncio.to_thread(self._one.shutdown)
        await asyncio.to_thread(self._streams.shutdown)

    def _score(self, query: str, passages: list[str]) -> npt.NDArray[np.float32]:
        limit, prefix = self._checkpoint.max_tokens, self._checkpoint.query_prefix
        (asked,) = self._tokens(self._tokenizer.ids([prefix + query], limit))
        prefix = self._checkpoint.passage_prefix
        ids = self._tokenizer.ids([prefix + passage for passage in passages], limit)

        def judge(rows: list[int]) -> list[float]:
            return [
                float((asked @ tokens.T).max(axis=1).mean())
                for tokens in self._tokens([ids[i] for i in rows])
            ]

        scores = np.empty(len(ids), np.float32)
        batches = sorted_batches([len(sequence) for sequence in ids], BATCH_TOKENS)
        for rows, judged in zip(batches, self._streams.map(judge, batches), strict=True):
            scores[rows] = judged
        return scores

    def _tokens(self, ids: list[list[int]]) -> list[Matrix]:
        """Return the unit vectors of each text's tokens, without the special ones at the ends."""
        hidden = self._encoder.hidden(ids, "throughput")
        found = []
        for row, sequence in zip(hidden, ids, strict=True):
            inside = row[1 : len(sequence) - 1] if len(sequence) > 2 else row[: len(sequence)]
            norms = np.linalg.norm(inside, axis=1, keepdims=True)
            found.append(inside / np.maximum(norms, 1e-12))
        return found
