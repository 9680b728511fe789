"""Real processes to be hurt: the `rag` command, forked from a process that has imported it.

A forked command is the same code without the second that Python needs to import it. Each is the
leader of a process group of its own, and writes its output to files.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from rag.ports import Changed, Index
from rag.types import Blob, Generation
from rag.vectors import Batch

PATIENCE_S = 120.0
"""After this a process counts as hung."""
PR_SET_PTRACER, PR_SET_PTRACER_ANY = 0x59616D61, -1
"""Who may trace: anybody. Needed where only parents may (Linux, Yama)."""
# Imported once, before forking: all that an ingesting command needs, so that a fork starts at once.
PRELOAD = [
    "rag.cli.ingesting",
    "rag.runtime",
    "rag.retrieval",
    "indexers.ingest",
    "indexers.stores.faiss",
    "connectors.filesystem",
    "rag.embedders.hashing",
    "rag.embedders.bm25",
    "alembic.command",
    "faiss",
    "psycopg",
    "Stemmer",
    "orjson",
    "fsspec.implementations.local",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "sqlalchemy.dialects.postgresql.psycopg",
]


@dataclass(frozen=True, slots=True)
class Place:
    """A data folder, with the catalog that belongs to it where that is not inside."""

    data: Path
    catalog_url: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Return the settings of this place as environment variables."""
        given = {"CUMULO_DATA_DIR": str(self.data), "CUMULO_DEFAULTS__EMBEDDER": "hashing"}
        return given | ({"CUMULO_CATALOG_URL": self.catalog_url} if self.catalog_url else {})


@dataclass(slots=True)
class Worker:
    """A process under way."""

    process: BaseProcess
    output: Path

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait for the end; return the exit code, a signal as a negative number."""
        self.process.join(timeout_s)
        code = self.process.exitcode
        if code is None:
            self.kill()
            raise AssertionError(f"a process did not end in {timeout_s} s:\n{self.said()}")
        return code

    def kill(self) -> int:
        """Send SIGKILL to the whole group; return what the process ended with."""
        self.signal(signal.SIGKILL)
        self.process.join()
        assert self.process.exitcode is not None
        return self.process.exitcode

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group, if it still lives."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def wait_until_stopped(self) -> None:
        """Wait until the process has been stopped by a signal; fail when it ended instead."""
        deadline = time.monotonic() + PATIENCE_S
        while (state := self._state()) != "T":
            assert state not in "XZ", f"the process ended before it stopped:\n{self.said()}"
            assert time.monotonic() < deadline, "the process never stopped"
            time.sleep(0.002)

    def said(self) -> str:
        """Return what it wrote to its outputs."""
        return self.output.read_text("utf-8", "replace") if self.output.exists() else ""

    @property
    def pid(self) -> int:
        """Its process id, and that of its group."""
        assert self.process.pid is not None
        return self.process.pid

    def _state(self) -> str:
        try:
            status = Path(f"/proc/{self.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return "X"
        return status.rpartition(")")[2].split()[0]


def start(
    place: Place, output: Path, work: Callable[..., None], *args: Any, ready: bool = True
) -> Worker:
    """Run a module's function in a forked process, with the settings of a place.

    It has begun when this returns, unless `ready` is False.
    """
    context = _context()
    begun = context.Event()
    process = context.Process(
        target=_enter, args=(place.environment, str(output), begun, work, args), daemon=True
    )
    process.start()
    worker = Worker(process, output)
    if ready:
        assert begun.wait(PATIENCE_S), "a process did not start"
    return worker


def command(*argv: str) -> None:
    """Be the `rag` command; to be run by `start`."""
    from rag.cli import main

    sys.argv = ["rag", *argv]
    main()


def watched_command(ledger: str, *argv: str) -> None:
    """Be the `rag` command, and note in a file each document that is fetched."""
    from connectors.filesystem import FilesystemConnector

    fetch = FilesystemConnector.fetch
    noted = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)

    async def noting(self: FilesystemConnector, change: Changed) -> Blob:
        os.write(noted, f"{change.external_id}\n".encode())
        return await fetch(self, change)

    FilesystemConnector.fetch = noting  # type: ignore[method-assign]
    command(*argv)


def limited_command(most: int, *argv: str) -> None:
    """Be the `rag` command in a process whose files may not grow beyond some bytes."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    command(*argv)


def stopping_command(step: str, *argv: str) -> None:
    """Be the `rag` command with a lease of no time, and stop before or after the first upsert."""
    from indexers import pipeline
    from rag.runtime import Runtime

    open_index = Runtime.index

    async def index(self: Runtime, generation: Generation) -> Any:
        return Stopping(await open_index(self, generation), step)

    pipeline.LEASE_S = 0.0
    Runtime.index = index  # type: ignore[method-assign]
    command(*argv)


def held_command(gate: str, *argv: str) -> None:
    """Be the `rag` command as soon as somebody opens the gate, a named pipe, for writing."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(PR_SET_PTRACER_ANY), 0, 0, 0)
    os.close(os.open(gate, os.O_RDONLY))
    command(*argv)


class Stopping:
    """An index at whose first upsert the whole process stops itself."""

    def __init__(self, index: Index, step: str) -> None:
        self._index = index
        self._step = step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    async def upsert(self, batch: Batch) -> None:
        step, self._step = self._step, ""
        if step == "before the upsert":
            os.kill(os.getpid(), signal.SIGSTOP)
        await self._index.upsert(batch)
        if step == "after the upsert":
            os.kill(os.getpid(), signal.SIGSTOP)


def _enter(
    environment: Mapping[str, str],
    output: str,
    begun: Any,
    work: Callable[..., None],
    args: Sequence[Any],
) -> None:
    os.setsid()
    for name in [name for name in os.environ if name.startswith("CUMULO_")]:
        del os.environ[name]
    os.environ.update(environment)
    os.chdir(Path(output).parent)
    written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(written, stream)
    begun.set()
    work(*args)


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context
