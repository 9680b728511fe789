"""A real server, no fake: llama.cpp with the small local model, for chat and embeddings.

Run as a file it serves the model that is its argument, and prints the address.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from rag.models import folder_name
from rag.settings import load_settings

MODEL = "smollm2-135m-instruct"
DIM = 576
KEY = "a-key-for-tests"


@contextmanager
def llama() -> Iterator[str]:
    """Run the server; give the address in front of `/chat/completions` and `/embeddings`."""
    if find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed: pip install cumulo[local]")
    found = sorted((load_settings().model_dir / folder_name(MODEL)).glob("*.gguf"))
    if not found:
        pytest.skip(f"the model is not here: rag models pull {MODEL}")
    with subprocess.Popen(
        [sys.executable, __file__, str(found[0])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        try:
            if not address:
                raise RuntimeError("llama.cpp did not start")
            yield f"{address}/v1"
        finally:
            process.kill()


def serve(model: str) -> None:
    """Serve until the standard input ends."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [KEY]
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.n_parallel = 1
    params.n_ctx = params.n_batch = params.n_ubatch = 192
    params.cpuparams.n_threads = 1
    params.verbosity = 0
    params.ui = False
    params.offline = True
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1])
