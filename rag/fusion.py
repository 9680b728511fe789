"""One ranking out of several: how the scores of dense and sparse search become one.

Knows candidates, scores and weights; knows nothing of where they came from. Whoever calls has
verified the candidates already, so that hidden ones cannot shift the scale of visible ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rag.errors import ConfigError
from rag.types import Candidate

Signals: TypeAlias = Mapping[str, Sequence[Candidate]]
Scaled: TypeAlias = Mapping[str, float]
"""Scores by chunk id, comparable between signals."""


@dataclass(frozen=True, slots=True)
class Fused:
    """A candidate of one or more signals with its place-giving score."""

    chunk_id: str
    document_id: str
    attempt: int
    score: float
    signals: Mapping[str, float]
    """Raw score per signal that found it."""


def fuse(signals: Signals, weights: Mapping[str, float]) -> list[Fused]:
    """Rank by the weighted sum of scores scaled to 0..1 per signal, best first, ties by chunk id.

    A signal that does not have the candidate adds 0; one whose scores are all equal adds its
    whole weight. A single signal keeps its raw scores. Convex combination of min-max scaled
    scores: Bruch, Gai and Ingber, An Analysis of Fusion Functions for Hybrid Retrieval (2023).
    """
    return _combine(signals, weights, _min_max)


def reciprocal_rank(signals: Signals, weights: Mapping[str, float], k: int = 60) -> list[Fused]:
    """Rank by the weighted sum of 1 / (k + rank), best first, ties by chunk id.

    Ranks start at 1 and follow the score; equal scores share the better rank. A single signal
    keeps its raw scores. Cormack, Clarke and Büttcher, Reciprocal Rank Fusion (2009).
    """
    return _combine(signals, weights, lambda candidates: _reciprocals(candidates, k))


def _combine(
    signals: Signals,
    weights: Mapping[str, float],
    scale: Callable[[Sequence[Candidate]], Scaled],
) -> list[Fused]:
    found: dict[str, Candidate] = {}
    raw: dict[str, dict[str, float]] = {}
    for name, candidates in signals.items():
        for candidate in candidates:
            found.setdefault(candidate.chunk_id, candidate)
            raw.setdefault(candidate.chunk_id, {})[name] = candidate.score
    totals = _totals(signals, weights, scale)
    fused = [
        Fused(id_, c.document_id, c.attempt, totals[id_], raw[id_]) for id_, c in found.items()
    ]
    return sorted(fused, key=lambda row: (-row.score, row.chunk_id))


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
        for chunk_id, score in scale(signals[name]).items():
            totals[chunk_id] = totals.get(chunk_id, 0.0) + weights[name] * score
    return totals


def _min_max(candidates: Sequence[Candidate]) -> Scaled:
    scores = [c.score for c in candidates]
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    if low == high:
        return {c.chunk_id: 1.0 for c in candidates}
    return {c.chunk_id: (c.score - low) / (high - low) for c in candidates}


def _reciprocals(candidates: Sequence[Candidate], k: int) -> Scaled:
    ordered = sorted((c.score for c in candidates), reverse=True)
    ranks: dict[float, int] = {}
    for rank, score in enumerate(ordered, start=1):
        ranks.setdefault(score, rank)
    return {c.chunk_id: 1.0 / (k + ranks[c.score]) for c in candidates}
