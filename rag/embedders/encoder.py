"""A compiled encoder: token ids in, pooled unit rows out, on OpenVINO's CPU device.

Weights are float32; matrix products run in bfloat16 where the processor has it; pooling and
normalising are float32. Knows threads and precision, nothing of texts.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from rag.embedders.bert_graph import BertShape, build_encoder
from rag.embedders.checkpoint import Checkpoint, Pooling
from rag.errors import ConfigError, MissingExtra, Rejected
from rag.vectors import Matrix

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]
Purpose: TypeAlias = Literal["latency", "throughput"]
"""One request on all cores, or one request per core."""


class Encoder:
    """Runs a checkpoint; compiles each purpose on first use and may be called from any thread."""

    def __init__(
        self, checkpoint: Checkpoint, *, precision: Precision, threads: int | None, cache_dir: Path
    ) -> None:
        self.threads = threads or _cores()
        self._checkpoint = checkpoint
        self._precision = precision
        self._cache_dir = cache_dir
        self._graph: Any = None
        self._compiled: dict[Purpose, Any] = {}
        self._compiling = threading.Lock()
        self._requests = threading.local()

    def encode(self, ids: Sequence[Sequence[int]], purpose: Purpose) -> Matrix:
        """Run one batch of token ids, padded to the longest; raise `Rejected` if it fails."""
        hidden, mask = self._run(ids, purpose)
        return pool(hidden, mask, self._checkpoint.pooling)

    def hidden(self, ids: Sequence[Sequence[int]], purpose: Purpose) -> npt.NDArray[np.float32]:
        """Return the last hidden states (batch, tokens, dim) of one batch; padding included."""
        return self._run(ids, purpose)[0].copy()  # the request's own memory is written again

    def _run(
        self, ids: Sequence[Sequence[int]], purpose: Purpose
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        width = max(map(len, ids))
        tokens = np.zeros((len(ids), width), np.int64)
        mask = np.zeros((len(ids), width), np.int64)
        for row, sequence in enumerate(ids):
            tokens[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
        request = self._request(purpose)
        try:
            request.infer([tokens, mask], share_inputs=True)
        except RuntimeError as exc:
            raise Rejected(f"the model failed on a batch of {tokens.shape}: {exc}") from exc
        return request.get_output_tensor(0).data, mask

    def _request(self, purpose: Purpose) -> Any:
        """Return this thread's own request: requests share weights but not their state."""
        mine: dict[str, Any] = self._requests.__dict__
        if purpose not in mine:
            with self._compiling:
                if purpose not in self._compiled:
                    self._compiled[purpose] = self._compile(purpose)
            mine[purpose] = self._compiled[purpose].create_infer_request()
        return mine[purpose]

    def _compile(self, purpose: Purpose) -> Any:
        try:
            import openvino as ov
        except ImportError as exc:
            raise MissingExtra("openvino is not installed", hint="pip install openvino") from exc
        core = ov.Core()
        has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if self._precision == "bfloat16" and not has_bf16:
            raise ConfigError("this processor has no bfloat16", hint="set precision: auto")
        if self._graph is None:
            shape = BertShape.from_config(self._checkpoint.config)
            self._graph = build_encoder(shape, self._checkpoint.weights())
        self._cache_dir.mkdir(parents=True, exist_ok=True)
        properties = {
            "CACHE_DIR": str(self._cache_dir),
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": self.threads if purpose == "throughput" else 1,
            "INFERENCE_PRECISION_HINT": (
                "bf16" if has_bf16 and self._precision != "float32" else "f32"
            ),
        }
        return core.compile_model(self._graph, "CPU", properties)


def _cores() -> int:
    """Count the cores that this process may use; not every system says so."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def pool(hidden: npt.NDArray[np.float32], mask: npt.NDArray[np.int64], how: Pooling) -> Matrix:
    """Reduce hidden states (batch, tokens, dim) to unit rows (batch, dim)."""
    weights = mask[:, None, :].astype(np.float32)
    vectors = hidden[:, 0] if how == "cls" else (weights @ hidden)[:, 0]
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors / np.maximum(norms, 1e-12), np.float32)
