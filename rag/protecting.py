"""What questions go through: the runtime's parts, each behind one guard of its own.

Knows which part is a dependency, and which are the same one; not how anything is opened.
"""

from __future__ import annotations

from rag.answering import Opened
from rag.guarded import GuardedEmbedder, GuardedRows
from rag.guarding import HUNG_S, Guard
from rag.ports import LLM, Embedder, Reranker, SparseEncoder
from rag.retrieval import Rows
from rag.settings import Dependency
from rag.types import Generation


class Protected:
    """The pipelines of a runtime, guarded."""

    def __init__(self, pipelines: Opened, dependency: Dependency, *, window_s: float) -> None:
        """Take what opens, the limits of each part, and the window of `BatchingEmbedder`."""
        self._pipelines = pipelines
        self._dependency = dependency
        self._window_s = window_s
        self._guards: dict[str, Guard] = {}
        self._embedders: dict[str, tuple[Embedder, GuardedEmbedder]] = {}

    async def index(self, generation: Generation) -> Rows:
        """Open the generation's index."""
        guard = self.guard(f"the store {generation.store!r}")
        return GuardedRows(await guard.call(lambda: self._pipelines.index(generation)), guard)

    def embedder(self, generation: Generation) -> Embedder:
        """Open the generation's embedder."""
        name = generation.embedder.name
        return self.guarded(name, self._pipelines.embedder(generation))

    def sparse_encoder(self, generation: Generation) -> SparseEncoder:
        """Open the generation's sparse encoder."""
        return self._pipelines.sparse_encoder(generation)

    def named_reranker(self, name: str) -> Reranker:
        """Open a configured reranker."""
        return self._pipelines.named_reranker(name)

    def named_llm(self, name: str) -> LLM:
        """Open a configured language model."""
        return self._pipelines.named_llm(name)

    def guarded(self, name: str, embedder: Embedder) -> GuardedEmbedder:
        """Return the embedder of this name behind its guard, the same one as long as it is."""
        known = self._embedders.get(name)
        if known is None or known[0] is not embedder:
            guard = self.guard(f"the embedder {name!r}")
            known = embedder, GuardedEmbedder(embedder, guard, window_s=self._window_s)
            self._embedders[name] = known
        return known[1]

    def guard(self, what: str, *, hung_s: float = HUNG_S) -> Guard:
        """Return the one guard of a dependency, which messages call by this name."""
        return self._guards.setdefault(what, Guard(what, self._dependency, hung_s=hung_s))

    async def close(self) -> None:
        """End what is under way; what was opened is closed by whoever opened it."""
        for _, embedder in self._embedders.values():
            await embedder.close()
