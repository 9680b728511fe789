"""Two writers at once, and one that outlives its lease: no stale commit, no lost update."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from signal import SIGCONT

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables as t
from rag.testing.postgres import PostgresServer
from tests.faults import corpus
from tests.faults.checking import (
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
from tests.faults.workers import Place, Worker, command, start, stopping_command

CORPUS = 11
DOCUMENTS = 30
DONE = (0, 3)
"""Exit codes of a writer that met another: done, or some documents were the other's."""
SMALL = 3


@lanes("writers-sqlite")
async def test_two_writers_over_sqlite(lane: Lane, tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    for trial in lane.run(SMALL):
        await meet(trial, yard, Place(yard.empty_folder()))


@lanes("writers-postgres")
async def test_two_writers_over_postgres(
    lane: Lane, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    yard = Yard(tmp_path)
    for trial in lane.run(SMALL):
        with postgres_server.database() as url:
            await meet(trial, yard, Place(yard.empty_folder(), url))


async def meet(trial: Trial, yard: Yard, place: Place) -> None:
    """Let two writers meet in one of the ways; then a third brings all to the end."""
    yard.lay(0)
    way = trial.seed % 4
    if way < 2:
        await at_once(trial, yard, place, same=way == 0)
    else:
        await stand_still(trial, yard, place)
    await expire_leases(place)
    for _ in range(2):
        last = yard.ingest(place)
        trial.check(last.wait() == 0, f"the last writer: {last.said()}")
    done = json.loads(last.said() or "{}")
    trial.check(not done.get("added", 1) + done.get("updated", 1), "an idle run found work")
    state = await state_of(place)
    wrong = half_visible(state) + leftovers(state)
    wrong += differences(content(state), await yard.undisturbed())
    trial.check(not wrong, f"at the end: {brief(wrong)}")


async def at_once(trial: Trial, yard: Yard, place: Place, *, same: bool) -> None:
    """Two commands take in the same new folder, or a known one and a part of it, as it changes."""
    if not same:
        assert yard.ingest(place).wait() == 0
        yard.lay(1)
    other = yard.files if same else yard.files / "part01"
    trial.fault = f"two writers at once, {'the same folder' if same else 'a folder and its part'}"
    writers = [yard.ingest(place), yard.ingest(place, other, said="other")]
    yard.lay(2)
    for writer in writers:
        trial.exit = writer.wait()
        trial.check(trial.exit in DONE, f"exit {trial.exit}: {writer.said()}")
    async with opened(place) as runtime:
        trial.fired = await runtime.catalog.read(overlapped)
    wrong = half_visible(await state_of(place))
    trial.check(not wrong, f"after both: {brief(wrong)}")


async def stand_still(trial: Trial, yard: Yard, place: Place) -> None:
    """A writer stops between its upsert and its commit; another does everything meanwhile."""
    rng = trial.random
    step = rng.choice(["before the upsert", "after the upsert"])
    trial.fault = f"SIGSTOP {step} until the lease is over and another writer is done"
    if rng.random() < 0.5:
        assert yard.ingest(place).wait() == 0
        yard.lay(1)
    slow = start(place, yard.folder / "slow", stopping_command, step, "ingest", str(yard.files))
    try:
        slow.wait_until_stopped()
        before = await state_of(place)
        held = {number for number, state in before.attempts.items() if state == "open"}
        yard.lay(2)
        quick = yard.ingest(place)
        trial.check(quick.wait() == 0, f"the quick writer: {quick.said()}")
        meanwhile = await state_of(place)
        wrong = differences(content(meanwhile), await yard.undisturbed())
        trial.check(not wrong, f"while the other stands still: {brief(wrong)}")
        slow.signal(SIGCONT)
        trial.exit = slow.wait()
        trial.check(trial.exit in DONE, f"exit {trial.exit}: {slow.said()}")
        trial.fired = bool(held)
    finally:
        slow.kill()  # stopped, it would outlive the tests
    after = await state_of(place)
    stale = held & {version.attempt for version in after.versions.values()}
    trial.check(not stale, f"stale commits were taken: {sorted(stale)}")
    wrong = half_visible(after) + differences(content(after), content(meanwhile))
    trial.check(not wrong, f"updates were lost: {brief(wrong)}")


class Yard:
    """The folder that both writers take in, in its three rounds, and what is right at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "source"
        self._rounds = corpus.rounds(CORPUS, DOCUMENTS, 3)
        self._right: dict[str, object] = {}

    def lay(self, number: int) -> None:
        corpus.lay(self.files, self._rounds[number])

    def empty_folder(self) -> Path:
        path = self.folder / "data"
        shutil.rmtree(path, ignore_errors=True)
        return path

    def ingest(self, place: Place, files: Path | None = None, *, said: str = "said") -> Worker:
        argv = ("ingest", str(files or self.files), "--json")
        return start(place, self.folder / said, command, *argv)

    async def undisturbed(self) -> dict[str, object]:
        """Return what one run into an empty folder makes of the last round, which is laid."""
        if not self._right:
            place = Place(self.folder / "undisturbed")
            assert self.ingest(place).wait() == 0
            self._right = content(await state_of(place))
        return self._right


def overlapped(connection: Connection) -> bool:
    """Tell whether the last two runs were under way at the same time."""
    runs = connection.execute(
        sa.select(t.runs.c.started, t.runs.c.updated).order_by(t.runs.c.started.desc()).limit(2)
    ).all()
    return len(runs) == 2 and max(run.started for run in runs) < min(run.updated for run in runs)
