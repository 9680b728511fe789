"""`rag serve` as a process of its own, with plug-ins that only tests have, to be hurt."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexers import ingest as job
from rag.runtime import open_runtime
from rag.settings import load_settings
from rag.types import DEFAULT_TENANT
from tests.faults.calling import Caller
from tests.faults.evidence import ROOT

START_S = 60.0
PAGES = 20
PAGE = "The page {n} is about subject{n}."
RAG = Path(sys.executable).with_name("rag")
PLUGINS = {
    "cumulo.embedders": {"serial": "tests.faults.plugins:SerialEmbedder"},
    "cumulo.vector_stores": {"failing": "tests.faults.plugins:FailingStore"},
}


@dataclass(slots=True)
class Process:
    """A running server."""

    popen: subprocess.Popen[str]
    port: int
    log: Path

    def terminate(self) -> None:
        """Ask it to end."""
        self.popen.send_signal(signal.SIGTERM)

    async def ended(self, timeout_s: float) -> int:
        """Wait for its end; return the exit code, or raise `subprocess.TimeoutExpired`."""
        return await asyncio.to_thread(self.popen.wait, timeout_s)


def environment(data: Path, **settings: str) -> dict[str, str]:
    """Return the environment of commands on a data folder, with the plug-ins of tests in it."""
    installed = data.parent / "plugins" / "cumulo_tests-1.dist-info"
    if not installed.is_dir():
        installed.mkdir(parents=True)
        (installed / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: cumulo-tests\nVersion: 1\n"
        )
        groups = (
            f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in plugins.items())
            for group, plugins in PLUGINS.items()
        )
        (installed / "entry_points.txt").write_text("\n".join(groups))
    given = {f"CUMULO_{name.upper()}": value for name, value in settings.items()}
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("CUMULO_")},
        "PYTHONPATH": f"{installed.parent}:{ROOT}",
        "CUMULO_DATA_DIR": str(data),
        "CUMULO_DEFAULTS__EMBEDDER": "hashing",
        **given,
    }


async def fill(data: Path, **settings: Any) -> None:
    """Fill the data folder with pages, here: plug-ins of tests have to be given as others."""
    pages = data.parent / "pages"
    pages.mkdir()
    for n in range(PAGES):
        (pages / f"page{n}.txt").write_text(PAGE.format(n=n))
    async with open_runtime(load_settings(data_dir=data, **settings)) as runtime:
        found = await job.open_collection(runtime, DEFAULT_TENANT, "default")
        listings = await job.list_paths(runtime, found, [pages], {})
        await job.ingest(runtime, found, listings)


@asynccontextmanager
async def process(env: Mapping[str, str], *, port: int = 0) -> AsyncIterator[Process]:
    """Run a server until it is ready; it is killed at the end if it has not ended before."""
    place = Path(tempfile.mkstemp(prefix="serve-", suffix=".log")[1])
    popen = _start(env, port, place)
    try:
        yield Process(popen, await _ready(popen, place), place)
    finally:
        if popen.poll() is None:
            os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()
        place.unlink()


def _start(env: Mapping[str, str], port: int, log: Path) -> subprocess.Popen[str]:
    with log.open("w") as said:
        return subprocess.Popen(
            [str(RAG), "serve", "--port", str(port)],
            env=dict(env),
            stdout=said,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


async def _ready(popen: subprocess.Popen[str], log: Path) -> int:
    """Wait until it says that it is ready; return its port."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and popen.poll() is None:
        said = log.read_text().partition("listening on http://127.0.0.1:")[2]
        if said:
            caller = Caller(int(said.split(",")[0]))
            try:
                if (await caller.call("/readyz")).status == 200:
                    return caller.port
            except (OSError, EOFError):
                pass
            finally:
                caller.leave()
        await asyncio.sleep(0.02)
    raise AssertionError(f"the server does not start: {log.read_text()[-2000:]}")
