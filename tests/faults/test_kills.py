"""SIGKILL at any moment of `rag ingest`: nobody sees half, and the rerun leaves no trace of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from time import monotonic
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables as t
from rag.testing.postgres import PostgresServer
from tests.faults import corpus
from tests.faults.checking import (
    State,
    brief,
    content,
    differences,
    expire_leases,
    half_visible,
    leftovers,
    opened,
    state_of,
)
from tests.faults.evidence import Lane, Trial, lanes
from tests.faults.workers import Place, Worker, command, start, watched_command

CORPUS = 7
"""Seed of the documents: the same in every run, so that only the moments of the kills differ."""
ROUNDS = 4
LATEST_S = 3.0
"""A kill comes within this time, so that a long round is killed many times."""
IDLE_S = 0.2
"""What a run takes that has nothing to do."""
IN_FLIGHT = 6
"""Windows under way at once: one prepared, one waiting, two embedded, one waiting, one stored."""


@lanes("kills-sqlite")
async def test_killed_over_sqlite(lane: Lane, tmp_path: Path) -> None:
    await kill_again_and_again(lane, tmp_path, Place)


@lanes("kills-postgres")
async def test_killed_over_postgres(
    lane: Lane, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    with ExitStack() as databases:
        await kill_again_and_again(
            lane,
            tmp_path,
            lambda data: Place(data, databases.enter_context(postgres_server.database())),
        )


async def kill_again_and_again(lane: Lane, folder: Path, place: Callable[[Path], Place]) -> None:
    source = Source(folder, documents=2000 if lane.full else 100)
    life = Life(source, place(folder / "life 0"))
    replayed: list[int] = []
    lives = 1
    for trial in lane.run():
        if life.round == ROUNDS:
            life = Life(source, place(folder / f"life {lives}"))
            lives += 1
        replayed += await life.kill(trial)
        enough = (10 if life.round == 0 else 4) if lane.full else 3
        if trial.fired and (life.kills >= enough or lane.is_last()):
            life.run_to_the_end(trial)
            await life.check_round(trial)
        most = IN_FLIGHT * source.largest_window
        trial.check(max(replayed, default=0) <= most, f"{replayed[-1:]} documents were replayed")
        lane.figures = {
            "documents": source.documents,
            "lives": lives,
            "undisturbed run, seconds": round(source.undisturbed[0][1], 1),
            "documents done again after a kill, p95": float(np.percentile(replayed or [0], 95)),
            "documents done again after a kill, most": max(replayed, default=0),
            "documents in flight, most": most,
        }


class Source:
    """The folder that is ingested, and what each of its rounds gives when nobody disturbs."""

    def __init__(self, folder: Path, *, documents: int) -> None:
        self.folder = folder
        self.documents = documents
        self.files = folder / "source"
        self.largest_window = 0
        self.digests: dict[str, str] = {}
        """Of the files as they are, by name."""
        self.undisturbed: dict[int, tuple[dict[str, Any], float]] = {}
        self._states = corpus.rounds(CORPUS, documents, ROUNDS)

    async def lay(self, number: int) -> None:
        """Bring the folder to a round."""
        files = self._states[number]
        corpus.lay(self.files, files)
        self.digests = {name: digest(text) for name, text in files.items()}
        if number not in self.undisturbed:
            place = Place(self.folder / f"undisturbed {number}")
            worker = start(place, self.folder / "said", command, *ingesting(self))
            began = monotonic()
            assert worker.wait() == 0, worker.said()
            seconds = monotonic() - began
            state = await state_of(place)
            assert not half_visible(state) + leftovers(state)
            self.undisturbed[number] = content(state), seconds
            async with opened(place) as runtime:
                self.largest_window = max(
                    self.largest_window, await runtime.catalog.read(largest_window)
                )

    def missing(self, state: State) -> set[str]:
        """Name the files that are not visible as they are."""
        visible = {version.external_id: version.digest for version in state.versions.values()}
        return {name for name in self.digests if visible.get(name) != self.digests[name]}


@dataclass(slots=True)
class Life:
    """One data folder: round after round, a process is killed until it is left in peace."""

    source: Source
    place: Place
    round: int = 0
    kills: int = 0
    """In this round."""
    left: float = 1.0
    """Share of the documents that is not visible as it is in the folder."""

    async def kill(self, trial: Trial) -> list[int]:
        """Start a run and kill it; return how many documents it had begun and must do again."""
        source, rng = self.source, trial.random
        if not self.kills:
            await source.lay(self.round)
            state = await state_of(self.place)
            self.left = len(source.missing(state)) / len(source.digests)
        seconds = source.undisturbed[self.round][1] * self.left
        after = rng.uniform(0.0, min(LATEST_S, max(seconds, IDLE_S)))
        trial.fault = f"SIGKILL {after:.3f} s after the start, round {self.round}"
        worker = self._start()
        worker.process.join(after)
        trial.exit = worker.kill()
        trial.fired = trial.exit == -SIGKILL
        if not trial.fired:  # it had ended before
            trial.check(trial.exit == 0, f"exit {trial.exit}: {worker.said()}")
            await self.check_round(trial)
            return []
        self.kills += 1
        state = await state_of(self.place)
        missing = source.missing(state)
        self.left = len(missing) / len(source.digests)
        wrong = half_visible(state)
        trial.check(not wrong, brief(wrong))
        if rng.random() < 0.5:  # else the next runs meet the dead one's attempts, still under lease
            await expire_leases(self.place)
        return [len(missing & self._fetched())]

    def run_to_the_end(self, trial: Trial) -> None:
        worker = self._start()
        trial.check(worker.wait() == 0, worker.said())

    async def check_round(self, trial: Trial) -> None:
        """After a run that ended: everything is there once, and nothing else once leases end."""
        await expire_leases(self.place)
        worker = self._start()
        trial.check(worker.wait() == 0, worker.said())
        idle = json.loads(worker.said() or "{}")
        done = {name: idle.get(name) for name in ("added", "updated", "removed", "failed")}
        trial.check(not any(done.values()), f"a run after the last one found work: {done}")
        state = await state_of(self.place)
        wanted = self.source.undisturbed[self.round][0]
        wrong = half_visible(state) + leftovers(state) + differences(content(state), wanted)
        trial.check(not wrong, brief(wrong))
        self.round, self.kills = self.round + 1, 0

    def _start(self) -> Worker:
        folder = self.source.folder
        ledger = folder / "fetched"
        ledger.unlink(missing_ok=True)
        argv = ingesting(self.source)
        return start(self.place, folder / "said", watched_command, str(ledger), *argv)

    def _fetched(self) -> set[str]:
        ledger = self.source.folder / "fetched"
        return set(ledger.read_text("utf-8").splitlines()) if ledger.exists() else set()


def ingesting(source: Source) -> tuple[str, ...]:
    return ("ingest", str(source.files), "--json")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def largest_window(connection: Connection) -> int:
    """Count the documents of the largest window: its attempts have one lease."""
    sizes = sa.select(sa.func.count()).select_from(t.attempts).group_by(t.attempts.c.lease_until)
    return max(connection.execute(sizes).scalars(), default=0)
