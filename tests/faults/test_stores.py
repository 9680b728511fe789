"""A store that keeps part of an upsert, or all of it without saying so: nobody sees half."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from indexers import ingest as job
from indexers.ingest import Listing
from indexers.summary import Summary
from rag.catalog.database import Catalog
from rag.errors import Unavailable
from rag.filters import Filter, In
from rag.ports import Index
from rag.runtime import Runtime
from rag.settings import Settings
from rag.types import Generation
from rag.vectors import Batch
from tests.faults import corpus
from tests.faults.checking import (
    brief,
    content,
    differences,
    half_visible,
    leftovers,
    read_state,
)
from tests.faults.evidence import Lane, Trial, lanes
from tests.faults.paged import Paged
from tests.faults.places import Fresh

FAULTS = ("stores a part", "stores all and loses the reply", "stores nothing")
VERBS = ("upsert", "upsert", "upsert", "delete")


class Failing:
    """An index of which one call to a verb fails, with some share of the work done."""

    def __init__(self, index: Index, trial: Trial) -> None:
        rng = trial.random
        self._index = index
        self._trial = trial
        self._rng = rng
        self._fault = rng.choice(FAULTS)
        self._verb = rng.choice(VERBS)
        self._left = rng.randint(0, 1)
        trial.fault = f"{self._verb} {self._left + 1} {self._fault}"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    async def upsert(self, batch: Batch) -> None:
        if not self._strikes("upsert"):
            await self._index.upsert(batch)
            return
        if rows := self._some(range(len(batch.chunks))):
            await self._index.upsert(
                Batch(
                    [batch.chunks[i] for i in rows],
                    [batch.fields[i] for i in rows],
                    batch.dense[rows],
                    batch.sparse.take(rows),
                )
            )
        raise Unavailable("the store is away")

    async def delete(self, where: Filter) -> int:
        if not self._strikes("delete"):
            return await self._index.delete(where)
        batches = [batch async for batch in self._index.scan(where)]
        attempts = {fields["attempt"] for batch in batches for fields in batch.fields}
        await self._index.delete(In("attempt", self._some(sorted(attempts))))
        raise Unavailable("the store is away")

    def _strikes(self, verb: str) -> bool:
        if verb != self._verb or self._trial.fired:
            return False
        self._left -= 1
        self._trial.fired = self._left < 0
        return self._trial.fired

    def _some(self, of: Sequence[Any]) -> list[Any]:
        match self._fault:
            case "stores a part":
                return self._rng.sample(of, self._rng.randint(min(1, len(of)), max(0, len(of) - 1)))
            case "stores nothing":
                return []
        return list(of)


class Wired(Runtime):
    """A runtime in which something may stand in front of the index."""

    in_front: Callable[[Index], Any] = staticmethod(lambda index: index)

    async def index(self, generation: Generation) -> Any:
        return self.in_front(await super().index(generation))


@lanes("stores")
async def test_failing_stores(lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexers.pipeline.WINDOW_DOCUMENTS", 4)  # several upserts in a run
    fresh = await Fresh.made(tmp_path, defaults={"embedder": "hashing"})
    for trial in lane.run():
        first, second = corpus.rounds(trial.seed, 10, 2)
        async with opened(fresh.settings()) as runtime:
            await ingest(runtime, second)
            wanted = content(await read_state(runtime))
        async with opened(fresh.settings()) as runtime:
            await break_store(runtime, trial, [first, second])
            await ingest(runtime, second)  # each way of breaking off ends here
            state = await read_state(runtime)
            wrong = half_visible(state) + leftovers(state) + differences(content(state), wanted)
            trial.check(not wrong, brief(wrong))


async def break_store(runtime: Wired, trial: Trial, rounds: Sequence[Mapping[str, str]]) -> None:
    """Ingest a folder and its changes; a call of the store fails at one of the two."""
    collection = await job.open_collection(runtime, "default", "docs")
    failing = Failing(await runtime.index(collection.live), trial)
    broken = trial.random.randrange(2)
    for number, texts in enumerate(rounds):
        runtime.in_front = (lambda _: failing) if number == broken else (lambda index: index)
        try:
            await ingest(runtime, texts)
        except Unavailable:
            assert trial.fired
        state = await read_state(runtime)
        wrong = half_visible(state)
        trial.check(not wrong, f"after round {number}: {brief(wrong)}")
    runtime.in_front = lambda index: index


async def ingest(runtime: Runtime, texts: Mapping[str, str]) -> Summary:
    collection = await job.open_collection(runtime, "default", "docs")
    source = Paged(texts)
    return await job.ingest(runtime, collection, [Listing(source.kind, source.root, source)])


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Wired]:
    runtime = Wired(settings, await Catalog.open(settings.data_dir / "catalog.sqlite"))
    try:
        yield runtime
    finally:
        await runtime.close()
