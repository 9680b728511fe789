"""Fusion by hand: worked examples of both formulas, and the edges where they degenerate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import pytest

from rag.errors import ConfigError
from rag.fusion import Fused, Signals, fuse, reciprocal_rank
from rag.types import Candidate

Method: TypeAlias = Callable[[Signals, Mapping[str, float]], list[Fused]]


def found(**scores: float) -> list[Candidate]:
    return [Candidate(id_, f"document of {id_}", 7, score) for id_, score in scores.items()]


HALF = {"dense": 0.5, "sparse": 0.5}


def test_scores_are_scaled_weighed_and_added() -> None:
    signals = {"dense": found(a=0.9, b=0.7, c=0.5), "sparse": found(b=12.0, d=4.0)}
    fused = fuse(signals, {"dense": 0.6, "sparse": 0.4})
    assert [f.chunk_id for f in fused] == ["b", "a", "c", "d"]
    assert [f.score for f in fused] == pytest.approx([0.6 * 0.5 + 0.4 * 1.0, 0.6, 0.0, 0.0])


def test_rows_carry_identity_and_raw_scores() -> None:
    (row,) = fuse({"dense": found(a=0.9), "sparse": found(a=12.0)}, HALF)
    assert (row.chunk_id, row.document_id, row.attempt) == ("a", "document of a", 7)
    assert row.signals == {"dense": 0.9, "sparse": 12.0}


def test_a_signal_that_missed_a_candidate_is_not_in_its_row() -> None:
    rows = {f.chunk_id: f for f in fuse({"dense": found(a=0.9), "sparse": found(b=2.0)}, HALF)}
    assert rows["a"].signals == {"dense": 0.9}
    assert rows["b"].signals == {"sparse": 2.0}


def test_equal_scores_count_in_full() -> None:
    fused = fuse({"dense": found(b=0.4, a=0.4), "sparse": found(c=3.0)}, HALF)
    assert [(f.chunk_id, f.score) for f in fused] == [("a", 0.5), ("b", 0.5), ("c", 0.5)]


def test_an_empty_signal_adds_nothing() -> None:
    fused = fuse({"dense": found(a=0.9, b=0.8), "sparse": []}, HALF)
    assert [(f.chunk_id, f.score) for f in fused] == [("a", 0.5), ("b", 0.0)]


@pytest.mark.parametrize("method", [fuse, reciprocal_rank])
def test_a_single_signal_keeps_its_scores(method: Method) -> None:
    fused = method({"sparse": found(a=3.0, c=11.5, b=3.0)}, {})
    assert [(f.chunk_id, f.score) for f in fused] == [("c", 11.5), ("a", 3.0), ("b", 3.0)]


@pytest.mark.parametrize("method", [fuse, reciprocal_rank])
def test_nothing_found_is_an_empty_ranking(method: Method) -> None:
    assert method({}, {}) == []
    assert method({"dense": [], "sparse": []}, HALF) == []


@pytest.mark.parametrize("method", [fuse, reciprocal_rank])
def test_a_signal_without_weight_is_refused(method: Method) -> None:
    with pytest.raises(ConfigError, match="'sparse' has no weight"):
        method({"dense": found(a=1.0), "sparse": found(a=1.0)}, {"dense": 1.0})


def test_reciprocal_ranks_are_added() -> None:
    signals = {"dense": found(c=0.5, a=0.9, b=0.7), "sparse": found(b=12.0, d=4.0)}
    fused = reciprocal_rank(signals, {"dense": 1.0, "sparse": 2.0}, k=10)
    assert [f.chunk_id for f in fused] == ["b", "d", "a", "c"]
    assert [f.score for f in fused] == pytest.approx([1 / 12 + 2 / 11, 2 / 12, 1 / 11, 1 / 13])


def test_equal_scores_share_the_better_rank() -> None:
    signals = {"dense": found(a=0.9, b=0.9, c=0.1), "sparse": []}
    fused = reciprocal_rank(signals, HALF, k=0)
    assert [f.chunk_id for f in fused] == ["a", "b", "c"]
    assert [f.score for f in fused] == pytest.approx([0.5, 0.5, 0.5 / 3])
