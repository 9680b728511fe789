"""Evaluation runs: a dataset through the real ingestion and the real retrieval path.

Each dataset has a collection of its own in the evaluations' data folder, so that a second run
embeds nothing. A document is scored by its best chunk.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from evals.beir import BeirConnector, BeirDataset
from evals.metrics import latency_ms, retrieval_metrics
from indexers.ingest import Listing, ingest, open_collection
from indexers.prepared import Progress
from indexers.summary import Summary
from rag.runtime import Runtime
from rag.types import Collection, Mode, Query, local_owner

CHUNKS = 200
"""Chunks asked for per query, so that a hundred documents are among them."""
MODES: tuple[Mode, ...] = ("dense", "sparse", "hybrid")


@dataclass(frozen=True, slots=True)
class EvalResult:
    """What one mode scored on one dataset."""

    dataset: str
    mode: Mode
    backend: str
    queries: int
    metrics: dict[str, float]
    latency_ms: dict[str, float]
    warnings: tuple[str, ...] = field(default=())


async def index_dataset(
    runtime: Runtime,
    dataset: BeirDataset,
    *,
    backend: str | None = None,
    embedder: str | None = None,
    progress: Progress | None = None,
) -> tuple[Collection, Summary]:
    """Bring the dataset's collection level with its corpus: embedded once for all modes."""
    defaults = runtime.settings.defaults
    name = f"{dataset.name}.{backend or defaults.store}.{embedder or defaults.embedder}"
    collection = await open_collection(
        runtime, local_owner().tenant, name, store=backend, embedder=embedder
    )
    connector = BeirConnector(dataset.path)
    listing = Listing(connector.kind, connector.root, connector)
    return collection, await ingest(runtime, collection, [listing], progress=progress)


async def evaluate(
    runtime: Runtime, dataset: BeirDataset, collection: Collection, mode: Mode
) -> EvalResult:
    """Ask every question once and score the documents that come back."""
    run: dict[str, dict[str, float]] = {}
    seconds: list[float] = []
    for question in dataset.questions:
        began = time.perf_counter()
        run[question.id] = await ranked_documents(runtime, collection, question.text, mode)
        seconds.append(time.perf_counter() - began)
    return EvalResult(
        dataset=dataset.name,
        mode=mode,
        backend=collection.live.store,
        queries=len(dataset.questions),
        metrics=retrieval_metrics(dataset.qrels, run),
        latency_ms=latency_ms(seconds),
    )


async def ranked_documents(
    runtime: Runtime, collection: Collection, text: str, mode: Mode
) -> dict[str, float]:
    """Return external ids with the score of their best chunk."""
    query = Query(text, collection.name, local_owner(), k=CHUNKS, mode=mode)
    found = await runtime.retrieval.search(query)
    scores: dict[str, float] = {}
    for hit in found.hits:  # best first
        scores.setdefault(hit.uri.partition("/")[2], hit.score)
    return scores


def as_json(results: Sequence[EvalResult]) -> list[dict[str, Any]]:
    """Shape results for scripts."""
    return [
        {
            "dataset": result.dataset,
            "mode": result.mode,
            "backend": result.backend,
            "queries": result.queries,
            "metrics": result.metrics,
            "latency_ms": result.latency_ms,
        }
        for result in results
    ]
