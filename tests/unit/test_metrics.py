"""Metrics against a golden run whose expected values were computed by hand, and by formula.

`tests/golden/runs/cases.json` holds a query per case: judgements, results, and the four values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.beir import Qrels
from evals.metrics import NAMES, Run, latency_ms, retrieval_metrics

CASES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "golden" / "runs" / "cases.json").read_text("utf-8")
)
JUDGED = [name for name, case in CASES.items() if case["qrels"] is not None]


def parts(field: str) -> dict[str, Any]:
    return {name: case[field] for name, case in CASES.items() if case[field] is not None}


def by_formula(judged: Mapping[str, int], scores: Mapping[str, float]) -> dict[str, float]:
    """Score one query.

    nDCG@10 = DCG@10 / ideal DCG@10, DCG@k = sum of relevance_i / log2(i + 1) over ranks i <= k;
    recall@100 = relevant among the first hundred / relevant; MRR@10 = 1 / first relevant rank, 0
    from rank 11 on; average precision = sum of precision at each relevant rank / relevant.
    Each is 0 where nothing is relevant. Ties: trec_eval puts the greater document id first, the
    MS MARCO script, which ir_measures takes for MRR with a cutoff, the lesser.
    """
    greater, lesser = sorted(scores, reverse=True), sorted(scores)
    trec, msmarco = (
        [judged.get(d, 0) for d in sorted(order, key=lambda d: -scores[d])]  # stable at ties
        for order in (greater, lesser)
    )
    relevant = sum(grade > 0 for grade in judged.values())
    if not relevant:
        return dict.fromkeys(NAMES, 0.0)
    ranks = [rank for rank, grade in enumerate(trec, 1) if grade > 0]
    first = next((rank for rank, grade in enumerate(msmarco, 1) if grade > 0), 11)
    return {
        "ndcg@10": gain(trec) / gain(sorted(judged.values(), reverse=True)),
        "recall@100": sum(rank <= 100 for rank in ranks) / relevant,
        "mrr@10": 1 / first if first <= 10 else 0.0,
        "map": sum(found / rank for found, rank in enumerate(ranks, 1)) / relevant,
    }


def gain(grades: list[int]) -> float:
    return sum(grade / log2(rank + 1) for rank, grade in enumerate(grades[:10], 1))


def mean_by_formula(qrels: Qrels, run: Run) -> dict[str, float]:
    single = [by_formula(judged, run.get(query, {})) for query, judged in qrels.items()]
    return {name: float(np.mean([one[name] for one in single])) for name in NAMES}


@pytest.mark.parametrize("name", JUDGED)
def test_each_query_scores_what_was_computed_by_hand(name: str) -> None:
    case = CASES[name]
    run = {} if case["run"] is None else {name: case["run"]}
    assert retrieval_metrics({name: case["qrels"]}, run) == case["expected"]
    exact = by_formula(case["qrels"], case["run"] or {})
    assert {metric: round(value, 4) for metric, value in exact.items()} == case["expected"]


def test_the_mean_is_over_the_judged_queries() -> None:
    found = retrieval_metrics(parts("qrels"), parts("run"))
    assert found == {"ndcg@10": 0.1592, "recall@100": 0.3452, "mrr@10": 0.1929, "map": 0.1587}
    hand = {n: np.mean([case[n] for case in parts("expected").values()]) for n in NAMES}
    assert found == pytest.approx(hand, abs=1e-4)


def test_random_runs_score_as_the_formulas_say() -> None:
    rng = np.random.default_rng(11)
    documents = [f"d{i:03}" for i in range(150)]
    qrels: dict[str, dict[str, int]] = {}
    run: dict[str, dict[str, float]] = {}
    for query in (f"q{i}" for i in range(40)):
        judged = rng.choice(documents, rng.integers(1, 30), replace=False)
        found = rng.choice(documents, rng.integers(0, 140), replace=False)
        qrels[query] = {str(d): int(rng.integers(0, 4)) for d in judged}
        run[query] = {str(d): int(rng.integers(0, 60)) / 64 for d in found}  # many ties
    assert retrieval_metrics(qrels, run) == pytest.approx(mean_by_formula(qrels, run), abs=6e-5)


def test_latencies_are_interpolated_percentiles_in_milliseconds() -> None:
    assert latency_ms([i / 1000 for i in range(101, 0, -1)]) == {
        "p50": 51.0,
        "p95": 96.0,
        "p99": 100.0,
    }
    assert latency_ms([0.010, 0.020]) == {"p50": 15.0, "p95": 19.5, "p99": 19.9}
    assert latency_ms([0.0123456]) == {"p50": 12.35, "p95": 12.35, "p99": 12.35}
