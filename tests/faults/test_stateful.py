"""Random histories of a folder and its collection, held against a dict.

Files change, runs go through, break off, die and meet; after every step catalog, store, texts,
statistics and searches are what the dict says.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.faults.evidence import Lane, lanes
from tests.faults.model import (
    FILTERS,
    MEMORY,
    NUMBERS,
    PATHS,
    SCOPES,
    SUBJECTS,
    UNREADABLE,
    Folder,
    text,
)
from tests.faults.wear import Fate
from tests.faults.world import World

pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")

A_PATH = st.sampled_from(PATHS)
A_SCOPE = st.sampled_from(SCOPES)
A_FILTER = st.sampled_from(sorted(FILTERS))
A_CALL = st.integers(1, 25)
"""Of a run to catalog, files or store; some have fewer."""


class History(RuleBasedStateMachine):
    """What may happen. No choice depends on what happened: a step without sense does nothing."""

    steps = 0
    faults = 0

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._temporary = tempfile.TemporaryDirectory(dir=MEMORY)
        here = Path(self._temporary.name)
        self._folder = Folder(here / "docs")
        self._world = World(self._folder, here / "data")
        self._changed = True
        self._sound = True

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        self._changed, self._sound = True, False
        self._runner.run(work)
        self._sound = True

    # --- the folder ------------------------------------------------------------------------------

    @initialize(paths=st.lists(A_PATH, min_size=2, max_size=5), scope=A_SCOPE)
    def begin(self, paths: list[str], scope: str) -> None:
        for number, path in enumerate(paths):
            self._folder.write(path, text(number, 2))
        self._do(self._world.ingest(scope))

    @rule(path=A_PATH, number=st.integers(0, NUMBERS - 1), paragraphs=st.integers(0, 5))
    def write(self, path: str, number: int, paragraphs: int) -> None:
        self._folder.write(path, text(number, paragraphs))

    @rule(path=A_PATH, other=A_PATH)
    def copy(self, path: str, other: str) -> None:
        if other in self._folder.files:
            self._folder.write(path, self._folder.files[other].content)

    @rule(path=A_PATH)
    def garble(self, path: str) -> None:
        self._folder.write(path, UNREADABLE)

    @rule(path=A_PATH)
    def delete(self, path: str) -> None:
        self._folder.delete(path)

    @rule(path=A_PATH, to=A_PATH)
    def rename(self, path: str, to: str) -> None:
        self._folder.rename(path, to)

    @rule(path=A_PATH)
    def touch(self, path: str) -> None:
        self._folder.touch(path)

    @rule(path=A_PATH, readers=st.sets(st.sampled_from(SUBJECTS), min_size=1))
    def share(self, path: str, readers: set[str]) -> None:
        self._folder.share(path, readers)

    # --- the collection --------------------------------------------------------------------------

    @rule(only=A_FILTER)
    def ingest(self, only: str) -> None:
        self._do(self._world.ingest("", only))

    @rule(scope=A_SCOPE, only=A_FILTER)
    def ingest_part(self, scope: str, only: str) -> None:
        self._do(self._world.ingest(scope, only))

    @rule(scope=A_SCOPE, only=A_FILTER)
    def preview(self, scope: str, only: str) -> None:
        self._do(self._world.preview(scope, only))

    @rule(at=st.integers(0, len(PATHS)), raises=st.booleans())
    def ingest_with_a_broken_listing(self, at: int, raises: bool) -> None:
        self._do(self._world.ingest_part(at, raises=raises))

    @rule(scope=A_SCOPE, at=A_CALL, after=st.booleans(), lease_over=st.booleans())
    def die(self, scope: str, at: int, after: bool, lease_over: bool) -> None:
        self._disturb(scope, at, "dies", after, lease_over=lease_over)

    @rule(scope=A_SCOPE, at=A_CALL, after=st.booleans())
    def fail(self, scope: str, at: int, after: bool) -> None:
        self._disturb(scope, at, "fails", after)

    @rule(scope=A_SCOPE, at=A_CALL, after=st.booleans())
    def cancel(self, scope: str, at: int, after: bool) -> None:
        self._disturb(scope, at, "is cancelled", after)

    @rule(scope=A_SCOPE, at=A_CALL, after=st.booleans())
    def stop(self, scope: str, at: int, after: bool) -> None:
        self._disturb(scope, at, "is stopped", after)

    def _disturb(
        self, scope: str, at: int, fate: Fate, after: bool, *, lease_over: bool = True
    ) -> None:
        run = self._world.ingest_disturbed(
            scope, at=at, fate=fate, after=after, lease_over=lease_over
        )
        self._do(run)

    @rule()
    def let_leases_run_out(self) -> None:
        self._do(self._world.let_leases_run_out())

    @rule(first=A_SCOPE, second=A_SCOPE, process=st.booleans())
    def ingest_twice_at_once(self, first: str, second: str, process: bool) -> None:
        self._do(self._world.ingest_twice(first, second, process=process))

    @rule(path=A_PATH)
    def remove(self, path: str) -> None:
        self._do(self._world.remove(path))

    @rule(scope=A_SCOPE)
    def recreate(self, scope: str) -> None:
        self._do(self._world.recreate(scope))

    @rule()
    def reopen(self) -> None:
        self._do(self._world.reopen())

    # --- what must be true -----------------------------------------------------------------------

    @invariant()
    def everything_is_as_the_dict_says(self) -> None:
        """A step that only changed the folder cannot have changed the collection."""
        type(self).steps += 1
        if self._changed:
            self._do(self._world.assert_consistent())
        self._changed = False

    def teardown(self) -> None:
        type(self).faults += self._world.faults
        try:
            if self._sound:
                self._runner.run(self._world.assert_as_new(Path(self._temporary.name) / "fresh"))
        finally:
            self._runner.run(self._world.close())
            self._runner.close()
            self._temporary.cleanup()


@lanes("stateful")
def test_histories(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    # A real process looks for its plug-ins once; here it would take longer than a step.
    monkeypatch.setattr("rag.registry.entry_points", cache(entry_points))
    histories, length = (10, 40) if lane.full else (4, 25)
    for trial in lane.run(small=2):  # few histories may have no fault at all

        @seed(trial.seed)
        class Seeded(History):
            steps = 0
            faults = 0

        run_state_machine_as_test(
            Seeded,
            settings=settings(
                max_examples=histories,
                stateful_step_count=length,
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        trial.fault = f"{Seeded.faults} faults in {Seeded.steps} steps"
        trial.fired = Seeded.faults > 0
        lane.figures["steps"] = lane.figures.get("steps", 0) + Seeded.steps
