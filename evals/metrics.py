"""Retrieval metrics through `ir_measures`, and percentiles of latencies.

nDCG has linear gain, as trec_eval and BEIR have it. Queries without results count as zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from evals.beir import Qrels

Run = Mapping[str, Mapping[str, float]]
"""Query id to document id to score."""

NAMES = ("ndcg@10", "recall@100", "mrr@10", "map")


def retrieval_metrics(qrels: Qrels, run: Run) -> dict[str, float]:
    """Return the mean of each metric over the judged queries."""
    import ir_measures
    from ir_measures import AP, RR, R, nDCG

    measures = dict(zip(NAMES, (nDCG @ 10, R @ 100, RR @ 10, AP), strict=True))
    found = ir_measures.calc_aggregate(list(measures.values()), qrels, run)
    return {name: round(float(found[measure]), 4) for name, measure in measures.items()}


def latency_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Return the 50th, 95th and 99th percentile in milliseconds."""
    p50, p95, p99 = (np.percentile(seconds, [50, 95, 99]) * 1e3).tolist()
    return {"p50": round(p50, 2), "p95": round(p95, 2), "p99": round(p99, 2)}
