"""A runtime whose ports note how long they were busy and which texts were embedded.

Everything else passes through, so that what is watched is the real ingestion.
"""

from __future__ import annotations

import inspect
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rag.catalog.database import Catalog
from rag.ports import Embedder, Index
from rag.runtime import Runtime
from rag.settings import Settings
from rag.types import Generation, Role
from rag.vectors import Embedded

STAGES = ("embed", "store", "catalog")


class Watch:
    """What was noted: seconds in which a stage had at least one call under way, and the texts."""

    def __init__(self) -> None:
        self.busy: defaultdict[str, float] = defaultdict(float)
        self.texts: list[str] = []
        self._under_way: Counter[str] = Counter()
        self._since: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time inside; calls that overlap count once."""
        if not self._under_way[name]:
            self._since[name] = time.perf_counter()
        self._under_way[name] += 1
        try:
            yield
        finally:
            self._under_way[name] -= 1
            if not self._under_way[name]:
                self.busy[name] += time.perf_counter() - self._since[name]


class Timed:
    """A port some of whose waiting verbs are timed as a stage."""

    def __init__(self, inner: Any, stages: Mapping[str, str], watch: Watch) -> None:
        self._inner, self._stages, self._watch = inner, stages, watch

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._timed(found, self._stages[name]) if name in self._stages else found

    def _timed(self, call: Callable[..., Any], stage: str) -> Callable[..., Any]:
        assert inspect.iscoroutinefunction(call), f"{call} does not wait"

        async def timed(*args: Any, **kwargs: Any) -> Any:
            with self._watch.stage(stage):
                return await call(*args, **kwargs)

        return timed


class Noting:
    """An embedder that notes the texts that it embeds."""

    def __init__(self, inner: Embedder, texts: list[str]) -> None:
        self._inner, self._texts = inner, texts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
        """Embed as the inner one does."""
        self._texts += texts
        return await self._inner.embed(texts, role)


class WatchedRuntime(Runtime):
    """A runtime around an embedder that is open already and stays open."""

    def __init__(
        self, settings: Settings, catalog: Catalog, *, embedder: Embedder, watch: Watch
    ) -> None:
        verbs = {"read": "catalog", "write": "catalog"}
        timed: Any = Timed(catalog, verbs, watch)
        super().__init__(settings, timed)
        self._shared: Any = Timed(Noting(embedder, watch.texts), {"embed": "embed"}, watch)
        self._watch = watch

    def named_embedder(self, name: str) -> Embedder:
        """Return the one embedder, loaded and warm."""
        embedder: Embedder = self._shared
        return embedder

    async def index(self, generation: Generation) -> Index:
        """Return the index with its writes timed."""
        timed: Any = Timed(await super().index(generation), {"upsert": "store"}, self._watch)
        index: Index = timed
        return index
