"""The default embedder: BERT-family checkpoints on OpenVINO, without torch.

Knows tokens, prefixes and batching: ingestion runs batches of similar length, one per core;
questions run on all cores at once, those that came together in small batches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
from pydantic import BaseModel, ConfigDict

from rag.embedders.bert_graph import BertShape
from rag.embedders.checkpoint import open_checkpoint
from rag.embedders.encoder import Encoder, Precision
from rag.embedders.tokenizing import Tokenizing
from rag.models import find_model
from rag.ports import Folders
from rag.types import Role
from rag.vectors import Embedded, Matrix

BATCH_TOKENS = 2048  # padded tokens of one inference; measured: 1024 to 2048 is the fastest
# Measured on two cores with SciFact's questions, milliseconds per question at 2, 8 and 32 together:
# 2.9, 2.7, 2.0 in inferences of 256 tokens on all cores; 3.5, 2.6, 2.9 in one inference; 5.6, 4.5,
# 2.2 in inferences of 256 tokens on one core each.
QUESTION_TOKENS = 256
QUESTIONS = 32
"""Up to so many count as questions that came together; more are a job of their own."""


class OpenVinoEmbedder:
    """An encoder whose graph is built from safetensors; loads on first use."""

    class Options(BaseModel):
        """Which checkpoint, and what overrides its own files."""

        model_config = ConfigDict(extra="forbid")
        model: str = "all-minilm-l6-v2"
        """Name in the model folder, or a path."""
        precision: Precision = "auto"
        """bfloat16 where the processor has it, unless float32 is asked for."""
        threads: int | None = None
        """CPU threads; all cores by default."""
        max_tokens: int | None = None
        """Cut texts earlier than the model would."""
        query_prefix: str | None = None
        """Put before questions; by default what the model was trained with."""
        passage_prefix: str | None = None
        """Put before passages; likewise."""

    def __init__(self, options: Options, folders: Folders) -> None:
        checkpoint = open_checkpoint(
            find_model(options.model, folders.models),
            max_tokens=options.max_tokens,
            query_prefix=options.query_prefix,
            passage_prefix=options.passage_prefix,
        )
        self.max_tokens = checkpoint.max_tokens
        self.dim = BertShape.from_config(checkpoint.config).hidden
        self._checkpoint = checkpoint
        self._tokenizer = Tokenizing(checkpoint.path)
        self._prefix = {"query": checkpoint.query_prefix, "passage": checkpoint.passage_prefix}
        self._encoder = Encoder(
            checkpoint,
            precision=options.precision,
            threads=options.threads,
            cache_dir=folders.cache / "openvino",
        )
        self._one = ThreadPoolExecutor(1, "embed-query")
        self._streams = ThreadPoolExecutor(self._encoder.threads, "embed-stream")

    @cached_property
    def fingerprint(self) -> str:
        """Name the space of the vectors; hashes the weights once."""
        return self._checkpoint.fingerprint

    async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
        """Embed texts in order; what exceeds `max_tokens` is cut at the end."""
        if role == "query" and len(texts) <= QUESTIONS:
            return await asyncio.wrap_future(self._one.submit(self._embed_questions, texts))
        ids = await asyncio.to_thread(self._encode, texts, role)
        vectors = np.empty((len(ids), self.dim), np.float32)
        batches = sorted_batches([len(sequence) for sequence in ids], BATCH_TOKENS)
        pending = [
            self._streams.submit(self._encoder.encode, [ids[i] for i in rows], "throughput")
            for rows in batches
        ]
        try:
            for rows, future in zip(batches, pending, strict=True):
                part: Matrix = await asyncio.wrap_future(future)
                vectors[rows] = part
        finally:
            for future in pending:
                future.cancel()
        return Embedded(vectors, sum(map(len, ids)))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count tokens without prefix and special tokens, uncut."""
        return self._tokenizer.counts(texts)

    @cached_property
    def overhead_tokens(self) -> int:
        """Tokens of the passage prefix and of the special tokens around a text."""
        return len(self._tokenizer.ids([self._prefix["passage"]], self.max_tokens)[0])

    def unknown_share(self, texts: Sequence[str]) -> float:
        """Return the share of tokens that the tokenizer could only call unknown."""
        return self._tokenizer.unknown_share(texts)

    async def close(self) -> None:
        """Stop the threads; idempotent."""
        await asyncio.to_thread(self._one.shutdown)
        await asyncio.to_thread(self._streams.shutdown)

    def _embed_questions(self, texts: Sequence[str]) -> Embedded:
        ids = self._encode(texts, "query")
        vectors = np.empty((len(ids), self.dim), np.float32)
        for rows in sorted_batches([len(sequence) for sequence in ids], QUESTION_TOKENS):
            vectors[rows] = self._encoder.encode([ids[i] for i in rows], "latency")
        return Embedded(vectors, sum(map(len, ids)))

    def _encode(self, texts: Sequence[str], role: Role) -> list[list[int]]:
        """Tokenize with prefix and special tokens; cut before the closing special token."""
        prefix = self._prefix[role]
        return self._tokenizer.ids([prefix + text for text in texts], self.max_tokens)


def sorted_batches(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Group row numbers into batches of similar length, longest first so that none ends late."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    batches: list[list[int]] = []
    while order:
        rows = max(1, tokens // max(1, lengths[order[0]]))
        batches.append(order[:rows])
        order = order[rows:]
    return batches
