"""Batches on a torch device: which device and precision, and what happens when memory ends.

A batch that does not fit is halved, and so are the next ones; one row that does not fit alone is
refused. A device that failed in another way is not used again. Knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

from rag.errors import ConfigError, MissingExtra, Rejected, Unavailable

T = TypeVar("T")
Dtype: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]

EXTRA = "pip install cumulo[sentence-transformers]"
CPU_TOKENS = 2048
DEVICE_TOKENS = 16384
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
_BROKEN = ("illegal memory access", "cuda error", "device-side assert", "unspecified launch")


def choose_device(asked: str) -> str:
    """Name the torch device; `auto` takes CUDA, else Apple's MPS, else the CPU."""
    torch = _torch()
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked == "auto":
        return next((name for name, there in available.items() if there), "cpu")
    if not available.get(asked.partition(":")[0], True):
        raise ConfigError(f"there is no device {asked!r} here", hint="set device: auto")
    return asked


def choose_dtype(asked: Dtype, device: str) -> Any:
    """Return the torch type of weights; `auto` is half precision on CUDA only."""
    torch = _torch()
    if asked != "auto":
        return getattr(torch, asked)
    if not device.startswith("cuda"):
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


class TorchBatches:
    """Runs rows of known lengths in batches of bounded size, longest first."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        """Padded tokens of one batch; fewer after memory has ended."""
        self._failure: str | None = None

    def run(
        self, lengths: Sequence[int], work: Callable[[Sequence[int]], T]
    ) -> list[tuple[list[int], T]]:
        """Call `work` with the numbers of the rows of each batch; return what it gave with them.

        Raise `Rejected` for a row that does not fit alone, `Unavailable` when the device is lost.
        """
        if self._failure is not None:
            raise self._lost(self._failure)
        order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
        done: list[tuple[list[int], T]] = []
        while order:
            width = max(1, lengths[order[0]])
            rows = order[: max(1, self.tokens // width)]
            try:
                done.append((rows, work(rows)))
            except (RuntimeError, MemoryError) as exc:
                self._halve(exc, rows, width)
            else:
                order = order[len(rows) :]
        return done

    def _halve(self, error: Exception, rows: Sequence[int], width: int) -> None:
        said = str(error).lower()
        if isinstance(error, MemoryError) or any(words in said for words in _NO_MEMORY):
            _free_memory()
            if len(rows) == 1:
                raise Rejected(
                    f"a text of {width} tokens does not fit the device's memory",
                    hint="set max_tokens lower, or take a smaller model",
                ) from error
            self.tokens = len(rows) // 2 * width
            return
        if any(words in said for words in _BROKEN):
            self._failure = str(error).partition("\n")[0]
            raise self._lost(self._failure) from error
        raise Rejected(f"the model failed: {str(error).partition(chr(10))[0]}") from error

    def _lost(self, why: str) -> Unavailable:
        return Unavailable(f"the device is lost: {why}", hint="start the process anew")


def quiet_library() -> None:
    """Keep the library's progress bars and reports out of logs; what matters is checked."""
    from transformers.utils import logging

    library: Any = logging
    library.disable_progress_bar()
    library.set_verbosity_error()


def _free_memory() -> None:
    torch = _torch()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _torch() -> Any:
    try:
        import torch
    except ImportError as exc:
        raise MissingExtra("torch is not installed", hint=EXTRA) from exc
    return torch
