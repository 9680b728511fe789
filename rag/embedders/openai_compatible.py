"""Embeddings of a model server: vLLM, TEI, KServe, NIM, OpenAI, Cohere, llama.cpp.

Splits what is too much for one request, and halves what the server still refuses. Sends nothing
that is not configured. Rows are brought to length one where the server does not do so. Knows no
retries: `rag.embedding` has them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from rag.embedders.estimating import Tokens
from rag.embedders.flavours import FLAVOURS, Flavour, InputTypes
from rag.embedders.probing import PROBES, Probe
from rag.errors import BackendError, Rejected
from rag.openai_client import Connection
from rag.ports import Folders
from rag.types import Role
from rag.vectors import Embedded, Matrix
from rag.wire import Wire, together, too_large, too_much

SPECIAL = 8
"""Tokens of `max_tokens` that are left to what the server puts around a text."""
SHORTENED = 6
"""Times that a text is halved, when the server finds it too long alone."""
AT_ONCE = 4
"""Texts whose vectors are read at once; more in a thread, so that nobody else waits."""
KEPT = 64
"""Answered requests of calls that failed as a whole: repeated calls ask for the others only."""
BLANK = "."
"""Embedded in place of a text of spaces: many servers refuse those."""


class OpenAICompatibleEmbedder:
    """An embedder behind HTTP."""

    class Options(BaseModel):
        """Which server and model, and what it was trained with."""

        model_config = ConfigDict(extra="forbid")
        connection: Connection
        """Its `base_url` stands in front of `/embeddings` (or `/embed`); nothing is added to it."""
        model: str
        """Name on the server."""
        dim: int = Field(ge=1, le=65536)
        """Of the vectors; another one is refused."""
        max_tokens: int = Field(default=512, ge=16)
        """That the model reads of one text; longer ones are cut."""
        flavour: Flavour = "openai"
        """`openai`, `nim` (the same with `input_type`), `tei` (its `/embed`) or `cohere`."""
        query_prefix: str = ""
        """Put before questions, where the model was trained so."""
        passage_prefix: str = ""
        """Put before passages; likewise."""
        input_type: InputTypes | None = None
        """Words for question and passage, sent as `input_type`; nim and cohere have theirs."""
        max_batch_items: int = Field(default=32, ge=1)
        """Texts of one request; TEI refuses more than 32 unless told otherwise."""
        max_batch_tokens: int = Field(default=16384, ge=1)
        """Tokens of one request, of more than one text."""
        concurrency: int = Field(default=4, ge=1)
        """Requests under way at once."""
        dimensions: int | None = Field(default=None, ge=1)
        """Ask the server for shorter vectors."""
        encoding_format: str | None = Field(default=None, pattern="^(float|base64)$")
        """Ask the server for this format; both are understood, whatever was asked."""
        user: str | None = None
        """Sent as `user`."""
        tokenizer: Path | None = None
        """A `tokenizer.json` of the model, to count tokens exactly instead of estimating them."""

    def __init__(self, options: Options, folders: Folders) -> None:
        self.dim = options.dim
        self.max_tokens = options.max_tokens
        self._options = options
        self._flavour = FLAVOURS[options.flavour]
        self._prefix = {"query": options.query_prefix, "passage": options.passage_prefix}
        self._tokens = Tokens(options.tokenizer)
        self._wire = Wire(options.connection, concurrency=options.concurrency)
        self._kept: dict[tuple[Role, tuple[str, ...]], tuple[Matrix, int]] = {}
        self.fingerprint = _fingerprint(options)
        digest = hashlib.sha256(f"{options.connection.base_url} {self.fingerprint}".encode())
        self._probe = Probe(folders.cache / "probes" / f"{digest.hexdigest()[:32]}.npy")

    async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
        """Embed texts in order; raise `Rejected` where the server's answer is none."""
        if not texts:
            return Embedded(np.empty((0, self.dim), np.float32), 0)
        await self._probe.check(self._probed)
        return await self._embed([self._fitting(text, role) for text in texts], role)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count tokens, or estimate them, rather too many than too few."""
        return [self._tokens.count(text) for text in texts]

    @property
    def overhead_tokens(self) -> int:
        """Tokens of the passage prefix, and what is left to the server."""
        return self._tokens.count(self._prefix["passage"]) + SPECIAL

    def unknown_share(self, texts: Sequence[str]) -> float:
        """Return 0: servers do not say what their model cannot read."""
        return 0.0

    async def close(self) -> None:
        """Close the connections; idempotent."""
        await self._wire.close()

    async def _probed(self) -> Matrix:
        return (await self._embed(list(PROBES), "passage")).vectors

    def _fitting(self, text: str, role: Role) -> str:
        """Put the prefix before a text, and cut it to what the model reads."""
        prefix = self._prefix[role]
        room = self.max_tokens - SPECIAL - self._tokens.count(prefix)
        return prefix + (self._tokens.cut(text, max(1, room)).strip() or BLANK)

    async def _embed(self, texts: Sequence[str], role: Role) -> Embedded:
        counts = [min(self._tokens.count(text) + 1, self.max_tokens) for text in texts]
        vectors = np.empty((len(texts), self.dim), np.float32)
        rows = list(self._batches(counts))
        parts = [tuple(texts[i] for i in part) for part in rows]
        calls = [self._part(part, role) for part in parts]
        answers = await together(calls, bears=too_much)
        told = 0
        for places, part, (matrix, tokens) in zip(rows, parts, answers, strict=True):
            self._kept.pop((role, part), None)
            vectors[places] = matrix
            told += tokens
        # Servers that say nothing, or estimates that are too high: the larger one is reported.
        return Embedded(vectors, min(max(told, sum(counts)), len(texts) * self.max_tokens))

    async def _part(self, texts: tuple[str, ...], role: Role) -> tuple[Matrix, int]:
        """Embed one request's texts, unless a call that failed elsewhere has done so already."""
        found = self._kept.get((role, texts))
        if found is None:
            found = self._kept[role, texts] = await self._call(texts, role)
            while len(self._kept) > KEPT:
                self._kept.pop(next(iter(self._kept)))
        return found

    def _batches(self, counts: Sequence[int]) -> Iterator[list[int]]:
        """Group row numbers, in order, into requests that keep both limits."""
        batch: list[int] = []
        tokens = 0
        for row, count in enumerate(counts):
            full = len(batch) >= self._options.max_batch_items
            if batch and (full or tokens + count > self._options.max_batch_tokens):
                yield batch
                batch, tokens = [], 0
            batch.append(row)
            tokens += count
        yield batch

    async def _call(
        self, texts: Sequence[str], role: Role, *, shortened: int = 0
    ) -> tuple[Matrix, int]:
        """Embed one request's texts; halve it as long as the server refuses it for its size."""
        path, body = self._flavour.request(self._options, texts, role)
        try:
            answer = await self._wire.post(path, body)
        except BackendError as exc:
            if not too_large(exc):
                raise
            if len(texts) > 1:
                half = len(texts) // 2
                first, tokens = await self._call(texts[:half], role)
                second, more = await self._call(texts[half:], role)
                return np.concatenate([first, second]), tokens + more
            shorter = texts[0][: len(texts[0]) // 2].strip()
            if shortened == SHORTENED or len(shorter) < 2 * SPECIAL or not _about_length(exc):
                raise
            return await self._call([shorter], role, shortened=shortened + 1)
        if len(texts) <= AT_ONCE:
            return self._read(answer, len(texts))
        return await asyncio.to_thread(self._read, answer, len(texts))

    def _read(self, answer: Any, texts: int) -> tuple[Matrix, int]:
        """Return unit rows; raise `Rejected` for the wrong shape, NaN, infinity or zero."""
        rows, tokens = self._flavour.read(answer, texts, self._who)
        if rows.shape != (texts, self.dim):
            raise Rejected(
                f"{self._who} gave vectors of {rows.shape[-1] if rows.ndim == 2 else 0} dimensions,"
                f" not {self.dim}",
                hint="does dim in the settings fit the model?",
            )
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        if not np.all(np.isfinite(rows)) or not np.all(norms > 1e-12):
            raise Rejected(f"{self._who} gave a vector that is not finite or has no direction")
        return np.ascontiguousarray(rows / norms, np.float32), tokens

    @property
    def _who(self) -> str:
        return f"{self._options.model!r} at {self._options.connection.who}"


def _about_length(error: BackendError) -> bool:
    """Return whether a refusal speaks of length; other refusals are not made better by cutting."""
    said = error.message.lower()
    return any(word in said for word in ("token", "length", "too long", "too large"))


def _fingerprint(options: OpenAICompatibleEmbedder.Options) -> str:
    """Name the space: the declared model, its dimension, and what is put around texts."""
    facts = [
        options.model,
        options.dim,
        options.max_tokens,
        options.query_prefix,
        options.passage_prefix,
        options.flavour,
        options.input_type.model_dump() if options.input_type else None,
        options.dimensions,
    ]
    digest = hashlib.sha256(json.dumps(facts, ensure_ascii=False).encode()).hexdigest()
    return f"server-{digest[:32]}"
