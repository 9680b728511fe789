"""Embedders of sentence-transformers on torch: any model that the library runs, on CPU or GPU.

Takes a folder, or a model that `rag models pull` has brought; reaches no network and runs no code
of the model's. A collection embedded here on a GPU is queried with the openvino embedder elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from rag.embedders.sentence_folder import open_sentence_folder, unsaved_weights
from rag.embedders.tokenizing import Tokenizing
from rag.embedders.torch_batches import (
    CPU_TOKENS,
    DEVICE_TOKENS,
    EXTRA,
    Dtype,
    TorchBatches,
    choose_device,
    choose_dtype,
    quiet_library,
)
from rag.errors import MissingExtra, Rejected
from rag.models import find_model
from rag.ports import Folders
from rag.types import Role
from rag.vectors import Embedded, Matrix


class SentenceTransformersEmbedder:
    """A model in a thread of its own; loads on first use."""

    class Options(BaseModel):
        """Which model, where it runs, and what overrides its own files."""

        model_config = ConfigDict(extra="forbid")
        model: str = "all-minilm-l6-v2"
        """Name in the model folder (a hub name, when it was pulled), or a path."""
        device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
        """`auto`, `cpu`, `cuda`, `cuda:1` or `mps`."""
        dtype: Dtype = "auto"
        """Precision of the weights: half on CUDA, unless float32 is asked for."""
        batch_tokens: int | None = Field(default=None, ge=16)
        """Padded tokens of one batch; 2048 on a CPU and 16384 elsewhere by default."""
        max_tokens: int | None = None
        """Cut texts earlier than the model would."""
        query_prefix: str | None = None
        """Put before questions; by default what the model's files say."""
        passage_prefix: str | None = None
        """Put before passages; likewise."""

    def __init__(self, options: Options, folders: Folders) -> None:
        self._folder = open_sentence_folder(
            find_model(options.model, folders.models),
            max_tokens=options.max_tokens,
            query_prefix=options.query_prefix,
            passage_prefix=options.passage_prefix,
        )
        self.dim = self._folder.dim
        self.max_tokens = self._folder.max_tokens
        self.fingerprint = self._folder.fingerprint
        self._options = options
        self._tokenizer = Tokenizing(self._folder.path)
        self._prefix = {"query": self._folder.query_prefix, "passage": self._folder.passage_prefix}
        self._thread = ThreadPoolExecutor(1, "embed-torch")

    async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
        """Embed texts in order; what exceeds `max_tokens` is cut at the end."""
        if not texts:
            return Embedded(np.empty((0, self.dim), np.float32), 0)
        return await asyncio.wrap_future(self._thread.submit(self._embed, list(texts), role))

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
        """Stop the thread; idempotent."""
        await asyncio.to_thread(self._thread.shutdown)

    def _embed(self, texts: list[str], role: Role) -> Embedded:
        model, batches = self._loaded
        prefix = self._prefix[role]
        prefixed = [prefix + text for text in texts]
        lengths = [len(ids) for ids in self._tokenizer.ids(prefixed, self.max_tokens)]

        def work(rows: Sequence[int]) -> Matrix:
            encoded: Matrix = model.encode(
                [texts[i] for i in rows],
                prompt=prefix,
                batch_size=len(rows),
                show_progress_bar=False,
            )
            return encoded

        vectors = np.empty((len(texts), self.dim), np.float32)
        for rows, part in batches.run(lengths, work):
            if part.shape[1] != self.dim:
                raise Rejected(f"the model gave vectors of {part.shape[1]}, not of {self.dim}")
            vectors[rows] = part
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return Embedded(vectors / np.maximum(norms, np.float32(1e-12)), sum(lengths))

    @cached_property
    def _loaded(self) -> tuple[Any, TorchBatches]:
        device = choose_device(self._options.device)
        dtype = choose_dtype(self._options.dtype, device)
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as exc:
            raise MissingExtra("sentence-transformers is not installed", hint=EXTRA) from exc
        quiet_library()
        try:
            model = SentenceTransformer(
                str(self._folder.path),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"torch_dtype": dtype, "use_safetensors": True},
            )
        except (OSError, RuntimeError, ValueError, LookupError, AttributeError, TypeError) as exc:
            raise Rejected(f"{self._folder.path.name} cannot be loaded: {exc}") from exc
        self._check_weights(model)
        model.max_seq_length = self.max_tokens
        model.eval()
        default = CPU_TOKENS if device == "cpu" else DEVICE_TOKENS
        return model, TorchBatches(self._options.batch_tokens or default)

    def _check_weights(self, model: Any) -> None:
        """Raise `Rejected` where the library made weights up because it did not find them.

        It may fuse or rename some in families of its own; never in those that openvino runs too.
        """
        inner = getattr(model[0], "auto_model", None)
        if inner is None:
            return
        names = [name for name in inner.state_dict() if "pooler." not in name]
        lacking = unsaved_weights(self._folder.path, names, inner.base_model_prefix)
        allowed = 0 if self.fingerprint.startswith("bert-") else len(names) // 2
        if len(lacking) > allowed:
            raise Rejected(
                f"{self._folder.path.name} lacks {len(lacking)} of {len(names)} weights, "
                f"such as {lacking[0]}"
            )
