"""Cross-encoders of sentence-transformers on torch: question and passage are read together.

Takes a folder, or a model that `rag models pull` has brought; reaches no network and runs no code
of the model's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from rag.embedders.sentence_folder import check_harmless, token_limit, unsaved_weights
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
from rag.errors import ConfigError, MissingExtra, Rejected, Unsupported
from rag.models import find_model
from rag.ports import Folders

Scores = npt.NDArray[np.float32]


class CrossEncoderReranker:
    """A model in a thread of its own; loads on first use. Scores are logits."""

    class Options(BaseModel):
        """Which model, and where it runs."""

        model_config = ConfigDict(extra="forbid")
        model: str
        """Name in the model folder (a hub name, when it was pulled), or a path."""
        device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
        """`auto`, `cpu`, `cuda`, `cuda:1` or `mps`."""
        dtype: Dtype = "auto"
        """Precision of the weights: half on CUDA, unless float32 is asked for."""
        batch_tokens: int | None = Field(default=None, ge=16)
        """Padded tokens of one batch; 2048 on a CPU and 16384 elsewhere by default."""
        max_tokens: int = Field(default=512, ge=8)
        """Of question and passage together; the longer one is cut at its end."""

    def __init__(self, options: Options, folders: Folders) -> None:
        self._path = find_model(options.model, folders.models)
        check_harmless(self._path)
        if not (self._path / "tokenizer.json").is_file():
            raise ConfigError(f"the model folder {self._path} has no tokenizer.json")
        config = json.loads((self._path / "config.json").read_text("utf-8"))
        labels = len(config.get("id2label") or "..")
        if labels != 1:
            raise Unsupported(f"{self._path.name} sorts into {labels} classes, and is no reranker")
        self._options = options
        self._limit = min(options.max_tokens, token_limit(self._path) or options.max_tokens)
        self._tokenizer = Tokenizing(self._path)
        self._thread = ThreadPoolExecutor(1, "rerank-torch")

    async def score(self, query: str, passages: Sequence[str]) -> Scores:
        """Return the model's logit for each passage."""
        if not passages:
            return np.empty(0, np.float32)
        return await asyncio.wrap_future(self._thread.submit(self._score, query, list(passages)))

    async def close(self) -> None:
        """Stop the thread; idempotent."""
        await asyncio.to_thread(self._thread.shutdown)

    def _score(self, query: str, passages: list[str]) -> Scores:
        model, batches, activation = self._loaded
        asked, *counts = self._tokenizer.counts([query, *passages])
        lengths = [min(asked + count + 4, self._limit) for count in counts]

        def work(rows: Sequence[int]) -> Scores:
            scored: Scores = model.predict(
                [(query, passages[i]) for i in rows],
                batch_size=len(rows),
                activation_fn=activation,
                show_progress_bar=False,
            )
            return scored

        scores = np.empty(len(passages), np.float32)
        for rows, part in batches.run(lengths, work):
            scores[rows] = part.reshape(len(rows))
        if not np.all(np.isfinite(scores)):
            raise Rejected(f"{self._path.name} gave a score that is no number")
        return scores

    @cached_property
    def _loaded(self) -> tuple[Any, TorchBatches, Any]:
        device = choose_device(self._options.device)
        dtype = choose_dtype(self._options.dtype, device)
        try:
            from sentence_transformers import CrossEncoder
            from torch.nn import Identity
        except ImportError as exc:
            raise MissingExtra("sentence-transformers is not installed", hint=EXTRA) from exc
        quiet_library()
        try:
            model = CrossEncoder(
                str(self._path),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                max_length=self._limit,
                model_kwargs={"torch_dtype": dtype, "use_safetensors": True},
            )
        except (OSError, RuntimeError, ValueError, LookupError, AttributeError, TypeError) as exc:
            raise Rejected(f"{self._path.name} cannot be loaded: {exc}") from exc
        lacking = unsaved_weights(self._path, model.model.state_dict(), "")
        if lacking:  # an encoder that was never trained to judge: its head would be random
            raise Rejected(f"{self._path.name} lacks {len(lacking)} weights, such as {lacking[0]}")
        model.eval()
        default = CPU_TOKENS if device == "cpu" else DEVICE_TOKENS
        return model, TorchBatches(self._options.batch_tokens or default), Identity()
