"""What must hold of every fusion, whatever the signals."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.fusion import Fused, fuse, reciprocal_rank
from rag.types import Candidate

Signals: TypeAlias = dict[str, list[Candidate]]
Method: TypeAlias = Callable[[Mapping[str, Sequence[Candidate]], Mapping[str, float]], list[Fused]]

IDS = "abcdefghij"
# Whole numbers, so that rounding makes no order of its own.
SCORES = st.dictionaries(st.sampled_from(IDS), st.integers(-20, 20), max_size=len(IDS))
NAMES = ("dense", "sparse", "other")
WEIGHTS = st.fixed_dictionaries({name: st.floats(0.1, 1) for name in NAMES})
STEADY = settings(deadline=None, derandomize=True)
METHODS = pytest.mark.parametrize("method", [fuse, reciprocal_rank])


@st.composite
def any_signals(draw: st.DrawFn) -> Signals:
    return {name: candidates(draw(SCORES)) for name in NAMES}


def candidates(scores: Mapping[str, float]) -> list[Candidate]:
    return [Candidate(id_, id_.upper(), 1, float(score)) for id_, score in scores.items()]


def scores(fused: list[Fused]) -> dict[str, float]:
    return {row.chunk_id: row.score for row in fused}


@METHODS
@STEADY
@given(signals=any_signals(), weights=WEIGHTS)
def test_every_candidate_comes_out_once_best_first(
    method: Method, signals: Signals, weights: dict[str, float]
) -> None:
    fused = method(signals, weights)
    assert {row.chunk_id for row in fused} == {c.chunk_id for s in signals.values() for c in s}
    assert len(fused) == len(scores(fused))
    assert fused == sorted(fused, key=lambda row: (-row.score, row.chunk_id))


@METHODS
@STEADY
@given(signals=any_signals(), weights=WEIGHTS, seed=st.integers(0, 99))
def test_the_order_of_the_input_does_not_matter(
    method: Method, signals: Signals, weights: dict[str, float], seed: int
) -> None:
    rng = random.Random(seed)
    shuffled = {n: rng.sample(signals[n], len(signals[n])) for n in reversed(list(signals))}
    assert method(shuffled, weights) == method(signals, weights)


@METHODS
@STEADY
@given(
    signals=any_signals(),
    weights=WEIGHTS,
    factor=st.sampled_from([0.25, 0.5, 2, 8]),
    shift=st.integers(-64, 64),
)
def test_the_scale_of_a_signal_does_not_matter(
    method: Method, signals: Signals, weights: dict[str, float], factor: float, shift: int
) -> None:
    rescaled = [c._replace(score=c.score * factor + shift) for c in signals["sparse"]]
    before = method(signals, weights)
    after = method({**signals, "sparse": rescaled}, weights)
    assert scores(after) == pytest.approx(scores(before))
    assert [row.chunk_id for row in after] == [row.chunk_id for row in before]


@METHODS
@STEADY
@given(signals=any_signals(), weights=WEIGHTS, data=st.data())
def test_a_better_score_never_costs_a_place(
    method: Method, signals: Signals, weights: dict[str, float], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from([n for n in signals if signals[n]] or [""]))
    if not name:
        return
    raised = data.draw(st.sampled_from(signals[name]))
    gain = data.draw(st.integers(1, 50))
    better = [
        c._replace(score=c.score + gain) if c.chunk_id == raised.chunk_id else c
        for c in signals[name]
    ]
    before = method(signals, weights)
    after = method({**signals, name: better}, weights)
    assert overtaken(after, raised.chunk_id) <= overtaken(before, raised.chunk_id)


def overtaken(fused: list[Fused], chunk_id: str) -> int:
    """Count the candidates with a clearly better score."""
    mine = scores(fused)[chunk_id]
    return sum(row.score > mine + 1e-9 for row in fused)


@METHODS
@STEADY
@given(signals=any_signals(), weights=WEIGHTS)
def test_what_is_best_in_every_signal_is_first(
    method: Method, signals: Signals, weights: dict[str, float]
) -> None:
    crowned = {n: [*s, Candidate("winner", "W", 1, 21.0)] for n, s in signals.items()}
    assert method(crowned, weights)[0].chunk_id == "winner"


@METHODS
@STEADY
@given(only=SCORES)
def test_a_single_signal_keeps_its_scores_and_order(method: Method, only: dict[str, int]) -> None:
    fused = method({"dense": candidates(only)}, {})
    assert scores(fused) == only
    assert [row.chunk_id for row in fused] == sorted(only, key=lambda id_: (-only[id_], id_))


@STEADY
@given(signals=any_signals(), share=st.floats(0, 1))
def test_convex_scores_stay_between_zero_and_one(signals: Signals, share: float) -> None:
    fused = fuse(signals, {"dense": share, "sparse": 1 - share, "other": 0.0})
    assert all(0 <= row.score <= 1 + 1e-9 for row in fused)
