"""`rag serve` as a process of its own, with everything that it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

START_S = 60.0
ADDRESS = re.compile(r"listening on (http://\S+),")


@dataclass
class Process:
    """A server; `said` is complete when it has ended."""

    process: subprocess.Popen[str]
    url: str = ""
    lines: list[str] = field(default_factory=list)

    @property
    def said(self) -> str:
        """What it wrote to either output."""
        return "".join(self.lines)


@contextmanager
def serving(data_dir: Path, *, workers: int = 1, drain_s: float = 5.0) -> Iterator[Process]:
    """Serve a data folder with the hashing embedder on a free port; give it when it is ready."""
    settings = {
        "CUMULO_DEFAULTS__EMBEDDER": "hashing",
        "CUMULO_SERVING__DRAIN_S": str(drain_s),
    }
    command = [sys.executable, "-c", "from rag.cli import main; main()", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--workers", str(workers), "--data-dir", str(data_dir)],
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server, known = Process(process), threading.Event()
    reader = threading.Thread(target=_read, args=(server, known), daemon=True)
    reader.start()
    try:
        assert known.wait(START_S), server.said
        assert server.url, server.said
        _await_ready(server)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(drain_s + 20)
            except subprocess.TimeoutExpired:
                process.kill()
        reader.join(10)
        assert process.stdout is not None
        process.stdout.close()


def _read(server: Process, known: threading.Event) -> None:
    assert server.process.stdout is not None
    for line in server.process.stdout:
        server.lines.append(line)
        if found := ADDRESS.search(line):
            server.url = found[1]
            known.set()
    known.set()


def _await_ready(server: Process) -> None:
    """Wait until it can answer. Every worker that takes the question must have opened its part."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and server.process.poll() is None:
        try:
            if httpx2.get(f"{server.url}/readyz", timeout=5).status_code == 200:
                return
        except httpx2.HTTPError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"not ready: {server.said}")
