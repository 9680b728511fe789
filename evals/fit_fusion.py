"""Fits the dense weight of hybrid search on a dataset's train split.

Run as `python -m evals.fit_fusion FOLDER`; writes the file that `rag.fusion_weight` reads. Opens
the judgements of the train split and no others, so that figures on the test split stay honest.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

from evals.beir import BeirDataset, Qrels, load_beir
from evals.metrics import retrieval_metrics
from evals.run import index_dataset
from rag.errors import RagError, UserError
from rag.fusion import Signals, fuse
from rag.runtime import Runtime, open_runtime
from rag.settings import load_settings
from rag.types import Candidate, Collection, Hit, Mode, Query, local_owner

SPLIT = "train"
METHOD = "convex combination of min-max scaled scores"
METRIC = "ndcg@10"
WEIGHTS = tuple(round(0.05 * step, 2) for step in range(21))
TOLERANCE = 0.001
"""Weights this close to the best score are as good as the best."""
WRITTEN = Path(__file__).parents[1] / "rag" / "fusion_weight.json"

Curve: TypeAlias = Mapping[float, float]
"""Weight to score."""

T = TypeVar("T")


class Shown(Protocol):
    """Goes through a sequence and shows how far it is."""

    def __call__(self, work: Sequence[T], what: str) -> Iterable[T]:
        """Yield the elements in order."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """What both signals found for one question, before fusion."""

    question_id: str
    signals: Signals
    external_ids: Mapping[str, str]
    """By document id."""


async def fit(runtime: Runtime, dataset: BeirDataset, shown: Shown) -> dict[str, Any]:
    """Index the dataset, score every weight, and return the facts of the file."""
    if not dataset.questions:
        raise UserError(
            f"no query of {dataset.path} has judgements in qrels/{SPLIT}.tsv",
            hint="fit on a dataset with a train split, such as SciFact",
        )
    collection, summary = await index_dataset(runtime, dataset)
    if summary.failures:
        failure = summary.failures[0]
        raise UserError(
            f"{summary.failed} documents of {dataset.name} could not be indexed; the first is "
            f"{failure['uri']}: {failure['error']}"
        )
    asked = shown(dataset.questions, "questions")
    found = [await search(runtime, collection, q.id, q.text) for q in asked]
    curve = {weight: score(found, dataset.qrels, weight) for weight in shown(WEIGHTS, "weights")}
    qrels = dataset.path / "qrels" / f"{SPLIT}.tsv"
    return {
        "dense_weight": plateau_middle(curve),
        "method": METHOD,
        "dataset": dataset.name,
        "split": SPLIT,
        "qrels_sha256": hashlib.sha256(qrels.read_bytes()).hexdigest(),
        "queries": len(dataset.questions),
        "depth": runtime.settings.retrieval.depth,
        "embedder_fingerprint": collection.live.embedder.fingerprint,
        "sparse_fingerprint": collection.live.sparse.fingerprint,
        METRIC: {f"{weight:.2f}": value for weight, value in curve.items()},
    }


async def search(runtime: Runtime, collection: Collection, question_id: str, text: str) -> Found:
    """Ask once per signal; as in hybrid search, an unreadable question has no dense signal."""
    k = runtime.settings.retrieval.depth
    modes: tuple[Mode, ...] = ("dense", "sparse")
    dense, sparse = [
        await runtime.retrieval.search(Query(text, collection.name, local_owner(), k=k, mode=mode))
        for mode in modes
    ]
    signals = {} if dense.unread else {"dense": [_candidate(hit) for hit in dense.hits]}
    return Found(
        question_id,
        {**signals, "sparse": [_candidate(hit) for hit in sparse.hits]},
        {h.chunk.document_id: h.uri.partition("/")[2] for h in (*dense.hits, *sparse.hits)},
    )


def _candidate(hit: Hit) -> Candidate:
    """Return what the index gave; a single signal keeps its raw score."""
    return Candidate(hit.chunk.id, hit.chunk.document_id, hit.chunk.attempt, hit.score)


def score(found: Sequence[Found], qrels: Qrels, dense_weight: float) -> float:
    """Return nDCG@10 of the fused rankings; a document is scored by its best chunk."""
    weights = {"dense": dense_weight, "sparse": 1.0 - dense_weight}
    run: dict[str, dict[str, float]] = {}
    for one in found:
        documents = run.setdefault(one.question_id, {})
        for row in fuse(one.signals, weights):  # best first
            documents.setdefault(one.external_ids[row.document_id], row.score)
    return retrieval_metrics(qrels, run)[METRIC]


def plateau_middle(curve: Curve) -> float:
    """Return the middle of the stretch of weights around the best that are as good as it."""
    weights = sorted(curve)
    best = max(weights, key=lambda weight: curve[weight])
    good = [round(curve[best] - curve[weight], 6) <= TOLERANCE for weight in weights]
    first = last = weights.index(best)
    while first > 0 and good[first - 1]:
        first -= 1
    while last + 1 < len(weights) and good[last + 1]:
        last += 1
    return round((weights[first] + weights[last]) / 2, 4)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit on a BEIR folder and write the file."""
    parser = argparse.ArgumentParser(prog="python -m evals.fit_fusion", description=__doc__)
    parser.add_argument("folder", type=Path, help="a BEIR folder with qrels/train.tsv")
    parser.add_argument("--data-dir", type=Path, help="its subfolder evals keeps the index")
    parser.add_argument("--out", type=Path, default=WRITTEN, help="file to write")
    given = parser.parse_args(arguments)
    try:
        facts = asyncio.run(_run(given.folder, given.data_dir))
    except RagError as exc:
        sys.exit(f"error: {exc}")
    given.out.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    print(f"dense weight {facts['dense_weight']}: {given.out}", file=sys.stderr)


async def _run(folder: Path, data_dir: Path | None) -> dict[str, Any]:
    from rich.console import Console
    from rich.progress import Progress

    dataset = load_beir(folder, SPLIT)
    configured = load_settings(data_dir=data_dir)
    own = load_settings(data_dir=configured.data_dir / "evals")
    async with open_runtime(own) as runtime:
        with Progress(console=Console(stderr=True)) as progress:
            progress.console.print(f"indexing {dataset.name}: takes minutes the first time only")
            return await fit(
                runtime, dataset, lambda work, what: progress.track(work, description=what)
            )


if __name__ == "__main__":
    main()
