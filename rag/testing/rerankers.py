"""What every reranker must do, as a suite for pytest with pytest-asyncio in auto mode.

Subclass it as `class TestMine(RerankerSuite)` and give two fixtures: `reranker`, which tests may
share, and `reranker_factory`, a function that makes another one with the same options. A model
that judges at random sets `judges` to False.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from rag.errors import RagError
from rag.ports import Reranker

RerankerFactory: TypeAlias = Callable[[], Reranker]
Scores: TypeAlias = npt.NDArray[np.float32]

CLOSE = 1e-2
"""Of two scores of one passage, relative to the spread: fast runtimes are not bit-stable."""

QUESTION = "Which animals can be kept in a small flat?"
PASSAGES = (
    "Cats and small dogs are animals that can be kept in a small flat.",
    "Interest rates rose again in March.",
    "東京タワーは東京にあります。",
    "x",
    "0x80070005 Get-ChildItem v1.2.3",
)
ODD = ("", " \n\t", "😀😀", "...", "\u202eright to left", "a " * 3000, "\x07bell")


class RerankerSuite:
    """The meaning of the port `Reranker`."""

    judges = True

    async def test_there_is_one_finite_score_for_each_passage(self, reranker: Reranker) -> None:
        scores = await reranker.score(QUESTION, PASSAGES)
        assert scores.shape == (len(PASSAGES),)
        assert scores.dtype == np.float32
        assert np.all(np.isfinite(scores))

    async def test_no_passages_have_no_scores(self, reranker: Reranker) -> None:
        scores = await reranker.score(QUESTION, [])
        assert scores.shape == (0,)
        assert scores.dtype == np.float32

    async def test_the_passage_that_answers_is_the_best(self, reranker: Reranker) -> None:
        if not self.judges:
            pytest.skip("this model was not trained")
        assert int((await reranker.score(QUESTION, PASSAGES)).argmax()) == 0

    async def test_scores_have_the_order_of_the_passages(self, reranker: Reranker) -> None:
        forwards = await reranker.score(QUESTION, PASSAGES)
        backwards = await reranker.score(QUESTION, PASSAGES[::-1])
        assert_same(forwards, backwards[::-1])

    async def test_a_passage_alone_is_the_passage_among_others(self, reranker: Reranker) -> None:
        together = await reranker.score(QUESTION, PASSAGES)
        alone = [await reranker.score(QUESTION, [passage]) for passage in PASSAGES]
        assert_same(together, np.concatenate(alone))

    async def test_passages_are_more_than_any_bound_inside(self, reranker: Reranker) -> None:
        many = [f"{passage} {i}" for i in range(25) for passage in PASSAGES]
        scores = await reranker.score(QUESTION, many)
        assert scores.shape == (len(many),)
        assert_same(scores[-5:], await reranker.score(QUESTION, many[-5:]))

    async def test_odd_passages_and_questions_have_scores(self, reranker: Reranker) -> None:
        assert np.all(np.isfinite(await reranker.score(QUESTION, ODD)))
        for question in ODD:
            assert np.all(np.isfinite(await reranker.score(question, PASSAGES[:2])))

    async def test_concurrent_calls_do_not_mix(self, reranker: Reranker) -> None:
        questions = [QUESTION, *PASSAGES]
        alone = [await reranker.score(question, PASSAGES) for question in questions]
        calls = (reranker.score(question, PASSAGES) for question in questions)
        for expected, got in zip(alone, await asyncio.gather(*calls), strict=True):
            assert_same(expected, got)

    async def test_another_instance_gives_the_same_scores(
        self, reranker: Reranker, reranker_factory: RerankerFactory
    ) -> None:
        other = reranker_factory()
        ours = await reranker.score(QUESTION, PASSAGES)
        assert_same(ours, await other.score(QUESTION, PASSAGES))
        await other.close()

    async def test_closing_twice_does_no_harm(self, reranker_factory: RerankerFactory) -> None:
        mine = reranker_factory()
        await mine.score(QUESTION, PASSAGES)
        await mine.close()
        await mine.close()
        with pytest.raises((RagError, RuntimeError)):
            await mine.score(QUESTION, PASSAGES)


def assert_same(a: Scores, b: Scores) -> None:
    """Assert that scores differ by less than what matters."""
    np.testing.assert_allclose(a, b, atol=max(CLOSE * float(np.ptp(a)), 1e-6))
