"""Each write, sync, rename and unlink of a small commit, killed and failed: never half of it.

The sweep of SQLite's own tests: fail the Nth call, for N = 1, 2, 3 … until nothing fails any more.
The kernel fails the call, by way of strace; N counts within each thread.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.faults import corpus
from tests.faults.checking import (
    brief,
    content,
    differences,
    expire_leases,
    half_visible,
    leftovers,
    state_of,
)
from tests.faults.evidence import Lane, Trial, lanes
from tests.faults.workers import PATIENCE_S, Place, Worker, command, held_command, start

CORPUS = 5
DOCUMENTS = 5
CALLS = (
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "rmdir",
    "ftruncate",
)
FAULTS = {"SIGKILL": "signal=KILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC"}


@lanes("syscalls")
async def test_every_call_of_a_commit(lane: Lane, tmp_path: Path) -> None:
    commit = Commit(tmp_path)
    await commit.prepare()
    cases = [
        (call, fault, number)
        for call, most in commit.count_calls().items()
        for fault in FAULTS
        for number in range(1, most + 1)
    ]
    for trial in lane.sweep(range(len(cases))):
        call, fault, number = cases[trial.seed]
        trial.fault = f"{fault} at {call} {number}"
        lane.figures = {"calls": len(cases) // len(FAULTS), "faults at each": ", ".join(FAULTS)}
        await commit.hurt(trial, call, f"{FAULTS[fault]}:when={number}")


@dataclass(slots=True)
class Commit:
    """A folder in which documents come, change, move and go, and the run that takes that in."""

    folder: Path
    right: dict[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        return self.folder / "source"

    async def prepare(self) -> None:
        """Ingest the folder as it was; then change it, and learn what is right."""
        before, after = corpus.rounds(CORPUS, DOCUMENTS, 2)
        corpus.lay(self.source, before)
        self._ingest(Place(self.folder / "before"))
        corpus.lay(self.source, after)
        self._ingest(Place(self.folder / "right"))
        self.right = content(await state_of(Place(self.folder / "right")))

    def count_calls(self) -> dict[str, int]:
        """Return how often any one thread makes each call in an undisturbed run."""
        self._run(f"trace={','.join(CALLS)}")
        made = Counter(re.findall(r"^(\d+) +(\w+)\(", self._log(), re.MULTILINE))
        return {
            call: max(number for (_, name), number in made.items() if name == call)
            for call in CALLS
            if any(name == call for _, name in made)
        }

    async def hurt(self, trial: Trial, call: str, fault: str) -> None:
        """Run into one fault, look, and run again."""
        place, worker = self._run(f"trace={call}", f"inject={call}:{fault}")
        trial.exit = worker.process.exitcode
        hit = [line for line in self._log().splitlines() if "(INJECTED)" in line]
        trial.fired = bool(hit) or trial.exit == -9
        trial.check(trial.exit in (0, 1, 3, -9), f"exit {trial.exit}: {worker.said()}")
        to_screen = any(re.search(r"write\([12],", line) for line in hit)
        last_line = worker.said().strip().rpartition("\n")[2]
        trial.check(to_screen or "Traceback" not in worker.said(), f"a traceback: {last_line}")
        wrong = half_visible(await state_of(place))
        trial.check(not wrong, brief(wrong))
        await expire_leases(place)
        trial.check(self._ingest(place) == 0, "the run after it failed")
        state = await state_of(place)
        wrong = half_visible(state) + leftovers(state) + differences(content(state), self.right)
        trial.check(not wrong, f"after the next run: {brief(wrong)}")

    def _ingest(self, place: Place) -> int:
        return start(place, self.folder / "said", command, *self._argv()).wait()

    def _run(self, *expressions: str) -> tuple[Place, Worker]:
        """Run under strace, over a copy of the data folder as it was."""
        place = Place(self.folder / "data")
        shutil.rmtree(place.data, ignore_errors=True)
        shutil.copytree(self.folder / "before", place.data)
        gate = self.folder / "gate"
        gate.unlink(missing_ok=True)
        os.mkfifo(gate)
        worker = start(place, self.folder / "said", held_command, str(gate), *self._argv())
        with traced(worker, self.folder / "log", expressions):
            gate.open("w").close()
            worker.wait()
        return place, worker

    def _argv(self) -> tuple[str, ...]:
        return ("ingest", str(self.source), "--json")

    def _log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")


@contextmanager
def traced(worker: Worker, log: Path, expressions: Sequence[str]) -> Iterator[None]:
    """Have strace at a process and all its threads; skip the test where that is impossible."""
    program = shutil.which("strace")
    if program is None:
        worker.kill()
        pytest.skip("there is no strace")
    what = [word for expression in expressions for word in ("-e", expression)]
    argv = [program, "-f", "-o", str(log), *what, "-p", str(worker.pid)]
    tracer = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    if "attached" not in said:
        worker.kill()
        tracer.communicate(timeout=PATIENCE_S)
        pytest.skip(f"strace may not trace here: {said.strip()}")
    try:
        yield
    finally:
        worker.kill()
        tracer.communicate(timeout=PATIENCE_S)
