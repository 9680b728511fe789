"""One ranking out of several: how the scores of dense and sparse search become one.

Knows candidates, scores and weights; knows nothing of where they came from. Whoever calls has
verified the candidates already, so that hidden ones cannot shift the scale of visible ones.
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rag.errors import ConfigError
from rag.types import Candidate

Signals: TypeAlias = Mapping[str, Sequence[Candidate]]
Scaled: TypeAlias = Mapping[str, float]
"""Scores by chunk id, comparable between signals."""
ALL = sys.maxsize


@dataclass(frozen=True, slots=True)
class Fused:
    """A candidate of one or more signals with its place-giving score."""

    chunk_id: str
    document_id: str
    attempt: int
    score: float
    signals: Mapping[str, float]
    """Raw score per signal that found it."""


def fuse(signals: Signals, weights: Mapping[str, float], *, limit: int = ALL) -> list[Fused]:
    """Rank by the weighted sum of scores scaled to 0..1 per signal, best first, ties by chunk id.

    A signal that does not have the candidate adds 0; one whose scores are all equal adds its
    whole weight. A single signal keeps its raw scores. Convex combination of min-max scaled
    scores: Bruch, Gai and Ingber, An Analysis of Fusion Functions for Hybrid Retrieval (2023).
    """
    return _combine(signals, weights, _min_max, limit)


def reciprocal_rank(
    signals: Signals, weights: Mapping[str, float], *, k: int = 60, limit: int = ALL
) -> list[Fused]:
    """Rank by the weighted sum of 1 / (k + rank), best first, ties by chunk id.

    Ranks start at 1 and follow the score; equal scores share the better rank. A single signal
    keeps its raw scores. Cormack, Clarke and Büttcher, Reciprocal Rank Fusion (2009).
    """
    return _combine(signals, weights, lambda rows: _reciprocals(rows, k), limit)


def _combine(
    signals: Signals,
    weights: Mapping[str, float],
    scale: Callable[[Sequence[Candidate]], Scaled],
    limit: int,
) -> list[Fused]:
    totals = _totals(signals, weights, scale)
    best = heapq.nsmallest(limit, totals, key=lambda id_: (-totals[id_], id_))
    by_id = {name: {c.chunk_id: c for c in rows} for name, rows in signals.items()}
    fused = []
    for chunk_id in best:
        found = {name: rows[chunk_id] for name, rows in by_id.items() if chunk_id in rows}
        one = next(iter(found.values()))
        raw = {name: candidate.score for name, candidate in found.items()}
        fused.append(Fused(chunk_id, one.document_id, one.attempt, totals[chunk_id], raw))
    return fused


def _totals(
    signals: Signals,
    weights: Mapping[str, float],
    scale: Callable[[Sequence[Candidate]], Scaled],
) -> dict[str, float]:
    if len(signals) == 1:
        (candidates,) = signals.values()
        return {c.chunk_id: c.score for c in candidates}
    totals: dict[str, float] = {}
    for name in sorted(signals):  # float sums depend on the order
        if name not in weights:
            raise ConfigError(
                f"the signal {name!r} has no weight, only {', '.join(weights) or 'none'} have",
                hint="give every signal that is fused a weight",
            )
        weight = weights[name]
        for chunk_id, score in scale(signals[name]).items():
            totals[chunk_id] = totals.get(chunk_id, 0.0) + weight * score
    return totals


def _min_max(candidates: Sequence[Candidate]) -> Scaled:
    scores = [c.score for c in candidates]
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    if low == high:
        return {c.chunk_id: 1.0 for c in candidates}
    width = high - low
    return {c.chunk_id: (score - low) / width for c, score in zip(candidates, scores, strict=True)}


def _reciprocals(candidates: Sequence[Candidate], k: int) -> Scaled:
    ordered = sorted((c.score for c in candidates), reverse=True)
    ranks: dict[float, int] = {}
    for rank, score in enumerate(ordered, start=1):
        ranks.setdefault(score, rank)
    return {c.chunk_id: 1.0 / (k + ranks[c.score]) for c in candidates}
