"""No room: ingestion says so and ends, what was committed is found, and with room it completes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
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
from tests.faults.evidence import ROOT, Lane, lanes
from tests.faults.workers import PATIENCE_S, Place, command, limited_command, start

CORPUS = 13
DOCUMENTS = 60


@lanes("disk-full")
async def test_disk_full(lane: Lane, tmp_path: Path) -> None:
    if not may_mount():
        pytest.skip("no mount namespace can be made here")
    desk = Desk(tmp_path)
    await desk.prepare()
    for trial in lane.run(small=1):
        room = trial.random.randrange(desk.growth)
        trial.fault = f"{room} bytes left on the disk, of {desk.growth} that are needed"
        saw = desk.fill(room)
        trial.exit = saw["exit"]
        trial.fired = trial.exit != 0
        if trial.fired:
            trial.check(is_clear(saw["exit"], saw["said"]), f"exit {saw['exit']}: {saw['said']}")
        for name in ("search", "search to the brim"):
            code, said = saw[name]
            trial.check(desk.is_answer(code, said), f"{name}: {said}")
        trial.check(not saw["half"], brief(saw["half"]))
        trial.check(saw["again"] == 0, "with room again it did not complete")
        trial.check(not saw["wrong"], brief(saw["wrong"]))


async def test_a_search_needs_no_room(tmp_path: Path) -> None:
    if not may_mount():
        pytest.skip("no mount namespace can be made here")
    desk = Desk(tmp_path)
    await desk.prepare()
    saw = desk.fill(desk.growth // 2)
    code, said = saw["search to the brim"]
    assert desk.is_answer(code, said), said


@lanes("file-limit")
async def test_file_limit(lane: Lane, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.prepare()
    place = Place(tmp_path / "data")
    for trial in lane.run(small=2):
        shutil.rmtree(place.data, ignore_errors=True)
        shutil.copytree(desk.folder / "before", place.data)
        limit = trial.random.randrange(4096, desk.largest)
        trial.fault = f"no file may grow beyond {limit} bytes"
        argv = ("ingest", str(desk.source), "--json")
        hurt = start(place, tmp_path / "said", limited_command, limit, *argv)
        trial.exit = hurt.wait()
        trial.fired = trial.exit != 0
        if trial.fired:
            trial.check(is_clear(trial.exit, hurt.said()), f"exit {trial.exit}: {hurt.said()}")
        wrong = half_visible(await state_of(place))
        trial.check(not wrong, brief(wrong))
        await expire_leases(place)
        again = start(place, tmp_path / "said", command, *argv)
        trial.check(again.wait() == 0, again.said())
        state = await state_of(place)
        wrong = half_visible(state) + leftovers(state) + differences(content(state), desk.right)
        trial.check(not wrong, brief(wrong))


def may_mount() -> bool:
    mounting = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(mounting, capture_output=True, check=False).returncode == 0


def is_clear(code: int, said: str) -> bool:
    """Tell whether a command failed as it should: with a line of error and one of advice."""
    return code == 1 and said.startswith("error: ") and len(said.splitlines()) == 2


@dataclass(slots=True)
class Desk:
    """A folder, the data folder of its first round, and what its second round must give."""

    folder: Path
    growth: int = 0
    """Bytes that the second round needs, about."""
    largest: int = 0
    """Bytes of the largest file that it makes."""
    question: str = ""
    right: dict[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        return self.folder / "source"

    async def prepare(self) -> None:
        (self.folder / "disk").mkdir()
        before, new = corpus.rounds(CORPUS, DOCUMENTS, 2)
        after = {**before, **{f"more/{name}": text for name, text in new.items()}}
        self.question = next(iter(before.values())).split("The end of ")[1]
        for name, files in (("before", before), ("right", after)):
            corpus.lay(self.source, files)
            if name == "right":
                shutil.copytree(self.folder / "before", self.folder / "right")
            place = Place(self.folder / name)
            argv = ("ingest", str(self.source), "--json")
            assert start(place, self.folder / "said", command, *argv).wait() == 0
        self.growth = size(self.folder / "right") - size(self.folder / "before")
        self.largest = max(file.stat().st_size for file in files_of(self.folder / "right"))
        self.right = content(await state_of(Place(self.folder / "right")))

    def fill(self, room: int) -> dict[str, Any]:
        """Let it happen in a namespace of its own."""
        program = [sys.executable, "-m", "tests.faults.full_disk"]
        done = subprocess.run(
            ["unshare", "-rm", *program, str(self.folder), str(room), self.question],
            cwd=ROOT,
            env={k: v for k, v in os.environ.items() if not k.startswith("CUMULO_")},
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        saw: dict[str, Any] = json.loads(done.stdout)
        return saw

    def is_answer(self, code: int, said: str) -> bool:
        """Tell whether a search found the document that has the words asked for."""
        word = self.question.rstrip(".\n")
        return code == 0 and any(word in json.dumps(hit) for hit in json.loads(said)["hits"])


def size(folder: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in files_of(folder))


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
