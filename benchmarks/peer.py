"""sentence-transformers on the same texts: the peer of the raw embedder.

Runs as a child process, because torch lives in an interpreter of its own; see requirements.txt.
The parent writes `texts.json` into a folder; the child leaves `vectors.npy` and `result.json`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

BATCH_SIZE = 32


@dataclass(frozen=True, slots=True)
class PeerPass:
    """One timed call of the peer."""

    seconds: float
    tokens: int
    vectors: Any
    """Shape (texts, dim), unit rows."""
    about: dict[str, Any]


def find_peer(given: Path | None) -> Path | None:
    """Return the interpreter that has the peer: the given one, else this one if it has."""
    if given is not None:
        return given
    return Path(sys.executable) if find_spec("sentence_transformers") else None


def run_peer(python: Path, model: Path, texts: Sequence[str]) -> PeerPass:
    """Embed the texts once in a child process; loading and a first call are not timed."""
    with tempfile.TemporaryDirectory() as folder:
        given = {"model": str(model), "texts": list(texts)}
        (Path(folder) / "texts.json").write_text(json.dumps(given), "utf-8")
        done = subprocess.run(
            [str(python), __file__, folder],
            capture_output=True,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            check=False,
        )
        if done.returncode:
            sys.exit(f"error: {python} cannot run the peer:\n{done.stderr[-2000:]}")
        result = json.loads((Path(folder) / "result.json").read_text("utf-8"))
        vectors = np.load(Path(folder) / "vectors.npy", allow_pickle=False)
    return PeerPass(result["seconds"], result["tokens"], vectors, result["about"])


def _child(folder: Path) -> None:
    import sentence_transformers  # type: ignore[import-not-found,unused-ignore]
    import torch  # type: ignore[import-not-found,unused-ignore]

    given = json.loads((folder / "texts.json").read_text("utf-8"))
    texts = given["texts"]
    model = sentence_transformers.SentenceTransformer(given["model"], device="cpu")
    options = {"batch_size": BATCH_SIZE, "normalize_embeddings": True, "show_progress_bar": False}
    model.encode(texts[::4], **options)
    began = time.perf_counter()
    vectors = model.encode(texts, **options)
    seconds = time.perf_counter() - began
    ids = model.tokenizer(texts, truncation=True, max_length=model.max_seq_length)["input_ids"]
    about = {
        "torch": torch.__version__,
        "sentence-transformers": sentence_transformers.__version__,
        "threads": torch.get_num_threads(),
        "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
        "batch_size": BATCH_SIZE,
    }
    np.save(folder / "vectors.npy", np.asarray(vectors, np.float32))
    result = {"seconds": seconds, "tokens": sum(map(len, ids)), "about": about}
    (folder / "result.json").write_text(json.dumps(result), "utf-8")


if __name__ == "__main__":
    _child(Path(sys.argv[1]))
