"""A server process that all processes of this user on this machine share while they use it.

Knows locks, which the system takes back from whoever dies, and how a process is started. What it
serves is told to it (`llama_process`); nothing here knows of models.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.children.surroundings import environment
from rag.errors import DataFolderError, Unavailable

PROGRAM = Path(__file__).with_name("llama_process.py")
PAUSE_S = 0.02
WORDS = 300
"""Characters of what a process said last."""


@dataclass(frozen=True, slots=True)
class Running:
    """Where the process listens, and the key that it asks for."""

    pid: int
    address: str
    key: str


class SharedServer:
    """A place at the server's table: the server lives while anybody has one.

    `join` may be called from any thread, before every use: it starts the server when there is none
    or it has crashed.
    """

    def __init__(self, given: Mapping[str, Any], *, start_s: float) -> None:
        """Take what to serve; whoever gives the same shares the server."""
        self._given = json.dumps(given, sort_keys=True)
        self._start_s = start_s
        self._turn = threading.Lock()
        self._place: int | None = None
        name = hashlib.sha256(f"{PROGRAM}\n{self._given}".encode()).hexdigest()[:16]
        self._folder = Path(tempfile.gettempdir()) / f"cumulo-{os.getuid()}" / f"server-{name}"

    def join(self) -> Running:
        """Return the running server; raise `Unavailable` when it does not start."""
        with self._turn:
            end = time.monotonic() + self._start_s
            if self._place is None:
                for folder in (self._folder.parent, self._folder):
                    _make_private(folder)
                # None but a server on its last breath holds this alone.
                self._place = _lock(self._folder / "users", fcntl.LOCK_SH, self._wait(end))
            running = self._running()
            if running is not None:
                return running
            with _locked(self._folder / "starting", self._wait(end)):
                return self._started(end)

    def leave(self) -> None:
        """Give the place back; idempotent."""
        with self._turn:
            if self._place is not None:
                os.close(self._place)
                self._place = None

    def _started(self, end: float) -> Running:
        """Start the server, unless somebody did meanwhile, and wait until it listens."""
        process: subprocess.Popen[bytes] | None = None
        wait = self._wait(end)
        while (running := self._running()) is None:
            if process is None and not self._alive():
                (self._folder / "state").unlink(missing_ok=True)  # of one that crashed
                process = self._start()
            if process is not None and process.poll() is not None:
                raise Unavailable(f"the local model's process did not start: {self._words()}")
            try:
                wait()
            except Unavailable:
                if process is not None:
                    process.kill()
                raise
        return running

    def _start(self) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", str(PROGRAM), str(self._folder), self._given],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_environment(),
                start_new_session=True,  # it outlives who started it, if others use it
            )
        threading.Thread(target=process.wait, name="reap-local-model", daemon=True).start()
        return process

    def _running(self) -> Running | None:
        if not self._alive():
            return None
        try:
            return Running(**json.loads((self._folder / "state").read_bytes()))
        except FileNotFoundError:  # it is starting, or ending
            return None

    def _alive(self) -> bool:
        """Whether some process holds the lock of the server."""
        try:
            os.close(_lock(self._folder / "alive", fcntl.LOCK_SH, _refuse))
        except BlockingIOError:
            return True
        return False

    def _wait(self, end: float) -> Callable[[], None]:
        """Return what waits a moment, and raises once the end has come."""

        def wait() -> None:
            if time.monotonic() >= end:
                raise Unavailable(
                    f"the local model's process did not start in {self._start_s:.3g} s",
                    hint="is the machine overloaded?",
                )
            time.sleep(PAUSE_S)

        return wait

    def _words(self) -> str:
        with suppress(OSError):
            lines = (self._folder / "log").read_text("utf-8", "replace").strip().splitlines()
            return lines[-1][:WORDS] if lines else "it said nothing"
        return "it said nothing"


def _environment() -> dict[str, str]:
    """Return what the process is told: nothing secret, and it chooses its threads itself."""
    return {k: v for k, v in environment(None).items() if "THREAD" not in k}


def _make_private(folder: Path) -> None:
    """Make a folder that only this user can look into; raise if another has made it."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise DataFolderError(
            f"{folder} is not a folder that is yours alone",
            hint="remove it, or set its mode to 700",
        )


def _lock(path: Path, how: int, wait: Callable[[], None]) -> int:
    """Return the descriptor of a locked file; closing it gives the lock back."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                fcntl.flock(file, how | fcntl.LOCK_NB)
                return file
            except BlockingIOError:
                wait()
    except BaseException:
        os.close(file)
        raise


@contextmanager
def _locked(path: Path, wait: Callable[[], None]) -> Iterator[None]:
    file = _lock(path, fcntl.LOCK_EX, wait)
    try:
        yield
    finally:
        os.close(file)


def _refuse() -> None:
    """Wait for nobody."""
    raise BlockingIOError
