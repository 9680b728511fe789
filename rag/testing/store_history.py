"""Random histories: whatever is done to a store, it goes on agreeing with the reference.

Hypothesis draws the steps and shrinks a failure to the shortest history that shows it. More of
them are tried where the environment says `CUMULO_TEST_EXAMPLES=1000`.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from rag.filters import EVERYTHING, Filter
from rag.ports import Index, IndexSpec
from rag.testing.store_backends import REFERENCE, Backend, fresh_name
from rag.testing.store_samples import (
    batch,
    chunks,
    random_fields,
    random_filter,
    sparse_rows,
    unit_rows,
)
from rag.testing.store_searches import assert_same
from rag.testing.store_verbs import rows_by_id, scanned
from rag.vectors import Search

T = TypeVar("T")
DIM = 3
SEEDS = st.integers(0, 2**32 - 1)


class History(RuleBasedStateMachine):
    """One index beside the reference, and what may happen to both."""

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._folder = tempfile.TemporaryDirectory()
        self._backend, self._name = backend, fresh_name()
        self._store = backend.store(Path(self._folder.name))
        self._reference = Backend(REFERENCE).store(Path(self._folder.name))
        spec = IndexSpec(self._name, DIM)
        self._index: Index = self._runner.run(self._store.create(spec))
        self._oracle: Index = self._runner.run(self._reference.create(spec))
        self._steps = 0

    def _both(self, ask: Callable[[Index], Awaitable[T]]) -> T:
        async def asked() -> T:
            got, expected = await ask(self._index), await ask(self._oracle)
            assert got == expected
            return got

        return self._runner.run(asked())

    @rule(seed=SEEDS, first=st.integers(0, 30), count=st.integers(0, 12))
    def upsert(self, seed: int, first: int, count: int) -> None:
        """Write rows, some of which are there already; a few vectors are equal."""
        rng = random.Random(seed)
        pool = unit_rows(np.random.default_rng(7), 5, DIM)
        rows = batch(
            count,
            seed=seed,
            first=first,
            fields=[random_fields(rng, chunk) for chunk in chunks(count, first=first)],
            dense=pool[[rng.randrange(5) for _ in range(count)]].reshape(count, DIM),
        )
        self._both(lambda index: index.upsert(rows))

    @rule(seed=SEEDS)
    def delete(self, seed: int) -> None:
        """Remove what a random filter selects."""
        where = random_filter(random.Random(seed))
        self._both(lambda index: index.delete(where))

    @rule(seed=SEEDS)
    def patch(self, seed: int) -> None:
        """Change random fields of what a random filter selects."""
        rng = random.Random(seed)
        where, fields = random_filter(rng), random_fields(rng, chunks(1)[0])
        self._both(lambda index: index.patch(where, fields))

    @rule(seed=SEEDS, depth=st.integers(1, 50))
    def search(self, seed: int, depth: int) -> None:
        """Ask both."""
        rng = np.random.default_rng(seed)
        where: Filter = random_filter(random.Random(seed))
        query = Search(depth, where, unit_rows(rng, 1, DIM), sparse_rows(rng, 1))
        self._runner.run(assert_same(self._index, self._oracle, query))

    @rule()
    def reopen(self) -> None:
        """Close the index, and the whole store where its rows outlive it."""

        async def again() -> Index:
            await self._index.close()
            if self._backend.name != REFERENCE:
                await self._store.close()
                self._store = self._backend.store(Path(self._folder.name))
            return await self._store.open(self._name)

        self._index = self._runner.run(again())

    @rule()
    def optimize(self) -> None:
        """Look after the index: no answer may change."""
        self._both(lambda index: index.optimize())

    @invariant()
    def same_count(self) -> None:
        """Both have as many rows."""
        self._both(lambda index: index.count(EVERYTHING))

    def teardown(self) -> None:
        """Compare all that is left, then leave nothing behind."""

        async def rows(index: Index) -> object:
            return rows_by_id(await scanned(index))

        try:
            self._both(rows)
        finally:
            self._runner.run(self._store.drop(self._name))
            self._runner.run(self._store.close())
            self._runner.close()
            self._folder.cleanup()


def test_random_histories(backend: Backend) -> None:
    asked = os.environ.get("CUMULO_TEST_EXAMPLES")

    class OfBackend(History):
        def __init__(self) -> None:
            super().__init__(backend)

    run_state_machine_as_test(
        OfBackend,
        settings=settings(
            max_examples=int(asked or 8),
            stateful_step_count=15,
            derandomize=asked is None,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
