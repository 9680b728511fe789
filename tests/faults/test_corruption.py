"""Bits flip and files lose their end: no crash, no wrong hit, and the doctor brings all back."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any

from indexers import ingest as job
from indexers.stores.snapshot_file import UnusableSnapshot, read_snapshot
from tests.faults import corpus
from tests.faults.checking import (
    Held,
    brief,
    content,
    differences,
    half_visible,
    leftovers,
    opened,
    read_state,
    state_of,
)
from tests.faults.damaged_life import leave_logs, live
from tests.faults.evidence import Lane, Trial, lanes
from tests.faults.workers import Place, start

CORPUS = 11
DOCUMENTS = 45
QUESTIONS = 9
SHOWN = 2
LOST = {"rows_damaged", "rows_missing"}
BEYOND_REPAIR = "restore a backup"
SQLITE = {
    "catalog": "catalog.sqlite",
    "catalog's log": "catalog.sqlite-wal",
    "catalog's shared memory": "catalog.sqlite-shm",
    "store": "stores/*/*.sqlite",
    "store's log": "stores/*/*.sqlite-wal",
    "store's shared memory": "stores/*/*.sqlite-shm",
    "vector cache": "cache/vectors.sqlite",
}
OTHERS = {
    "snapshot": "stores/*/*.snapshot",
    "text": "texts/*/*",
    "original": "originals/*/*",
}
PAGES = (4096, 16384)


@lanes("corruption-sqlite")
async def test_damaged_sqlite_files(lane: Lane, tmp_path: Path) -> None:
    await damage_again_and_again(lane, tmp_path, SQLITE)


@lanes("corruption-files")
async def test_damaged_files(lane: Lane, tmp_path: Path) -> None:
    await damage_again_and_again(lane, tmp_path, OTHERS)


async def damage_again_and_again(lane: Lane, folder: Path, kinds: Mapping[str, str]) -> None:
    healthy = await Healthy.made(folder)
    figures: Counter[str] = Counter()
    control = Trial(CORPUS, "none")
    await healthy.nurse(control, healthy.copy(), figures)
    assert control.outcome == "ok"
    assert figures["hits"] > QUESTIONS
    for trial in lane.run():
        rng, place = trial.random, healthy.copy()
        kind = rng.choice(sorted(kinds))
        path = rng.choice(sorted(place.data.glob(kinds[kind])))
        what = damage(rng, path)
        trial.fault = f"{kind}: {what}"
        trial.fired = True
        if kind == "snapshot":
            trial.check(is_unusable(path), "a damaged snapshot was read")
        figures[f"trials: {kind}"] += 1
        await healthy.nurse(trial, place, figures)
        lane.figures = dict(sorted(figures.items()))


# --- a folder, and what is allowed to be said of it ----------------------------------------------


@dataclass(frozen=True, slots=True)
class Healthy:
    """A data folder whose last writer was killed, with all that its two rounds contained."""

    folder: Path
    place: Place
    source: Path
    wanted: Mapping[str, Any]
    allowed: frozenset[tuple[str, str, int, int, str]]
    """What a hit may say: uri, title, start, end, text."""
    shown: Mapping[str, set[str]]
    """Texts by document id."""
    questions: list[str]

    @staticmethod
    async def made(folder: Path) -> Healthy:
        place, source = Place(folder / "healthy"), folder / "source"
        before, after = corpus.rounds(CORPUS, DOCUMENTS, 2)
        corpus.lay(source, before)
        async with opened(place) as runtime:
            collection = await job.open_collection(runtime, "default", "default")
            listings = await job.list_paths(runtime, collection, [source], {})
            await job.ingest(runtime, collection, listings)
            sent = job.upload("sent.md", b"# Sent\n\nA giraffe came by mail.\n")
            await job.ingest(runtime, collection, [sent])
            states = [await read_state(runtime)]
        corpus.lay(source, after)
        worker = start(place, folder / "said", leave_logs, str(source))
        assert worker.wait() == -SIGKILL, worker.said()
        for pattern in {**SQLITE, **OTHERS}.values():
            files = list(place.data.glob(pattern))
            assert files, pattern
            assert all(file.stat().st_size for file in files), pattern
        shutil.copytree(place.data, folder / "looked at")  # looking folds the logs in
        states.append(await state_of(Place(folder / "looked at")))
        assert half_visible(states[-1]) + leftovers(states[-1]) == []
        allowed: set[tuple[str, str, int, int, str]] = set()
        shown: dict[str, set[str]] = {}
        for state in states:
            for document, digest in state.readable:
                shown.setdefault(document, set()).add(state.readable[document, digest])
            for rows in state.rows.values():
                allowed.update(_said(held) for kept in rows.values() for held in kept)
        rng = random.Random(CORPUS)
        texts = sorted(text for texts in shown.values() for text in texts)
        words = [" ".join(text.split()[1:4]) for text in rng.sample(texts, QUESTIONS - 1)]
        return Healthy(
            folder=folder,
            place=place,
            source=source,
            wanted=content(states[-1]),
            allowed=frozenset(allowed),
            shown=shown,
            questions=["giraffe mail", *words],
        )

    def copy(self) -> Place:
        """Return a copy to be hurt; the one before is gone."""
        place = Place(self.folder / "damaged")
        shutil.rmtree(place.data, ignore_errors=True)
        shutil.copytree(self.place.data, place.data)
        return place

    async def nurse(self, trial: Trial, place: Place, figures: Counter[str]) -> None:
        """Let a process live with a damaged folder, and judge what it was told."""
        rng, diary = trial.random, self.folder / "diary"
        documents = rng.sample(sorted(self.shown), SHOWN)
        arguments = (str(self.source), str(diary), self.questions, documents)
        diary.unlink(missing_ok=True)
        worker = start(place, self.folder / "said", live, *arguments)
        trial.exit = worker.wait()
        told = json.loads(diary.read_text("utf-8")) if diary.exists() else []
        steps = {step["name"]: step for step in told}
        trial.check(
            trial.exit == 0, f"exit {trial.exit} after {[*steps][-1:]}: {worker.said()[-300:]}"
        )
        figures["hits"] += sum(len(step["gave"]) for step in told if "search" in step["name"])
        for step in steps.values():
            self._judge(trial, step)
        if trial.outcome != "ok":
            return
        lost = steps["doctor"]["gave"][0]["findings"] if steps["doctor"]["gave"] else []
        figures["documents with lost rows"] += sum(finding["kind"] in LOST for finding in lost)
        if BEYOND_REPAIR in json.dumps(steps["fix"]):
            figures["catalogs beyond repair"] += 1
            trial.check("catalog" in trial.fault, "a backup is asked for, and the catalog is whole")
            return
        last = steps["doctor at last"]
        trial.check(last["exit"] == 0, f"the doctor has not mended it: {brief_of(last)}")
        state = await state_of(place)
        wrong = half_visible(state) + leftovers(state) + differences(content(state), self.wanted)
        trial.check(not wrong, brief(wrong))

    def _judge(self, trial: Trial, step: Mapping[str, Any]) -> None:
        """Allow results that were written, and failures that say what to do."""
        name = step["name"]
        trial.check(step["foreseen"], f"{name}: {step['error'][-300:].strip()}")
        trial.check(step["advised"], f"{name}: no advice: {step['error']}")
        if name.startswith("search"):
            strange = [hit for hit in step["gave"] if tuple(hit) not in self.allowed]
            trial.check(not strange, f"{name}: a hit that was never written: {strange[:1]}")
        elif name == "list":
            written = {(uri, title) for uri, title, *_ in self.allowed}
            said = {(row["uri"], row["title"]) for rows in step["gave"] for row in rows}
            trial.check(said <= written, f"list: never written: {sorted(said - written)[:1]}")
        elif name.startswith("show"):
            for found in step["gave"]:
                written = self.shown[found["id"]]
                trial.check(found["text"] in written, f"{name}: never written: {found['text']}")


def _said(held: Held) -> tuple[str, str, int, int, str]:
    chunk = held.chunk
    return held.fields["uri"], held.fields["title"], chunk.start, chunk.end, chunk.text


def brief_of(step: Mapping[str, Any]) -> str:
    findings = [f for report in step["gave"] for f in report["findings"]]
    return f"{step['error']}{findings[:2]}"


# --- damage --------------------------------------------------------------------------------------


def damage(rng: random.Random, path: Path) -> str:
    """Change a file as a failing disk does; return what was done."""
    before = path.read_bytes()
    after = before
    while after == before:
        what, after = rng.choice([flip, flip, truncate, swap, zero])(rng, before)
    path.write_bytes(after)
    return what


def flip(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    changed = bytearray(content)
    bits = [rng.randrange(len(content) * 8) for _ in range(rng.randint(1, 8))]
    for bit in bits:
        changed[bit // 8] ^= 1 << bit % 8
    return f"{len(bits)} bits flipped at {[bit // 8 for bit in bits]}", bytes(changed)


def truncate(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    length = rng.randrange(len(content))
    return f"truncated at {length} of {len(content)}", content[:length]


def swap(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    size, count = _pages(rng, content)
    one, two = rng.randrange(count) * size, rng.randrange(count) * size
    changed = bytearray(content)
    changed[one : one + size] = content[two : two + size]
    changed[two : two + size] = content[one : one + size]
    return f"pages of {size} at {one} and {two} swapped", bytes(changed[: len(content)])


def zero(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    size, count = _pages(rng, content)
    at = rng.randrange(count) * size
    changed = bytearray(content)
    changed[at : at + size] = bytes(len(content[at : at + size]))
    return f"page of {size} at {at} zeroed", bytes(changed)


def _pages(rng: random.Random, content: bytes) -> tuple[int, int]:
    """Choose a size of pages, and return it with their number; a short file has short ones."""
    size = min(rng.choice(PAGES), max(1, len(content) // 4))
    return size, len(content) // size


def is_unusable(path: Path) -> bool:
    try:
        read_snapshot(path)
    except UnusableSnapshot:
        return True
    return False
