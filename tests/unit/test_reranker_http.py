"""Rerankers behind HTTP, against the fakes of the servers that speak each shape."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.errors import Rejected, Unavailable
from rag.openai_client import Connection
from rag.ports import Folders
from rag.rerankers.http import HttpReranker
from rag.testing.rerankers import PASSAGES, QUESTION
from tests.fakes.faults import Fault, one_missing, one_twice, same_index
from tests.fakes.ranking import Ranking, judged
from tests.fakes.serving import Fake, fake

# server, flavour, what stands between its root and the path
SHAPES = {
    "vllm": ("vllm", "cohere", "/v1"),
    "vllm at its root": ("vllm", "cohere", ""),
    "vllm as Cohere": ("vllm", "cohere", "/v2"),
    "vllm scores": ("vllm", "vllm-score", "/v1"),
    "kserve": ("kserve", "cohere", "/openai/v1"),
    "cohere": ("cohere", "cohere", "/v2"),
    "tei": ("tei", "tei", ""),
    "nim": ("nim", "nim", "/v1"),
}
MANY = [f"{passage} {i}" for i in range(20) for passage in PASSAGES]


@asynccontextmanager
async def opened(
    shape: str, *, ranking: Ranking | None = None, **options: Any
) -> AsyncIterator[tuple[HttpReranker, Fake]]:
    name, flavour, below = SHAPES[shape]
    async with fake(name, **({} if ranking is None else {"ranking": ranking})) as server:
        connection = Connection(base_url=server.root + below, timeout_s=5.0)
        if name != "tei":
            options.setdefault("model", "m")
        chosen = HttpReranker.Options(connection=connection, flavour=flavour, **options)  # type: ignore[arg-type]
        reranker = HttpReranker(chosen, Folders(Path(), Path()))
        try:
            yield reranker, server
        finally:
            await reranker.close()


async def left_alone(server: Fake) -> None:
    """Wait until no request is under way."""
    for _ in range(500):
        if not server.open:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{server.open} requests are still under way")


@pytest.mark.parametrize("shape", SHAPES)
async def test_scores_are_in_the_order_of_the_passages(shape: str) -> None:
    async with opened(shape) as (reranker, server):
        scores = await reranker.score(QUESTION, MANY)
        assert scores.dtype == np.float32
        assert (await reranker.score(QUESTION, [])).shape == (0,)
    expected = np.array(judged(QUESTION, MANY, Ranking()), np.float32)
    if shape == "nim":
        expected = 20 * expected - 10
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    assert len(server.requests) == 4  # 100 passages, 32 at once
    assert {asked.status for asked in server.requests} == {200}


@pytest.mark.parametrize("shape", ["vllm", "tei", "nim", "vllm scores"])
@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_is_too_much_for_a_server_is_halved(shape: str, status: int) -> None:
    ranking = Ranking(max_batch=5, too_large=status)
    async with opened(shape, ranking=ranking, max_batch_items=64) as (reranker, server):
        scores = await reranker.score(QUESTION, MANY[:40])
    assert scores.argmax() == np.argmax(judged(QUESTION, MANY[:40], Ranking()))
    taken = [asked for asked in server.requests if asked.status == 200]
    assert len(taken) == 8


@pytest.mark.parametrize("shape", ["vllm", "tei", "nim", "cohere", "vllm scores"])
@pytest.mark.parametrize("spoil", [one_missing, one_twice, same_index])
async def test_answers_that_do_not_fit_the_passages_are_refused(
    shape: str, spoil: Callable[[Any], Any]
) -> None:
    async with opened(shape) as (reranker, server):
        server.faults.append(Fault(spoil=spoil))
        with pytest.raises(Rejected, match="passages"):
            await reranker.score(QUESTION, PASSAGES)
        assert (await reranker.score(QUESTION, PASSAGES)).argmax() == 0


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"results": None},
        {"results": [1, 2]},
        {"results": [{"index": 9, "relevance_score": 1.0}] * 5},
        {"results": [{"index": -1, "relevance_score": 1.0}] * 5},
        {"results": [{"index": "0", "relevance_score": 1.0}] * 5},
        {"results": [{"index": i, "relevance_score": None} for i in range(5)]},
        {"results": [{"index": i, "relevance_score": "1"} for i in range(5)]},
        {"results": [{"index": i, "relevance_score": 1e300} for i in range(5)]},
        {"results": [{"index": i} for i in range(5)]},
    ],
    ids=json.dumps,
)
async def test_answers_of_another_shape_are_refused(answer: Any) -> None:
    async with opened("cohere") as (reranker, server):
        server.faults.append(Fault(spoil=lambda value: answer))
        with pytest.raises(Rejected):
            await reranker.score(QUESTION, PASSAGES)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=429, retry_after="3"), Unavailable),
        (Fault(status=503), Unavailable),
        (Fault(status=500), Unavailable),
        (Fault(reset=True), Unavailable),
        (Fault(truncate=True), Unavailable),
        (Fault(spoil=lambda value: float("nan")), Unavailable),
        (Fault(status=401), Rejected),
        (Fault(status=404), Rejected),
        (Fault(status=424), Rejected),
    ],
)
async def test_failures_say_whether_they_may_pass(fault: Fault, error: type[Exception]) -> None:
    async with opened("tei") as (reranker, server):
        server.faults.append(fault)
        with pytest.raises(error) as caught:
            await reranker.score(QUESTION, PASSAGES)
        assert getattr(caught.value, "retry_after", None) == (3.0 if fault.retry_after else None)
        assert len(server.requests) == 1  # nothing is tried again here


async def test_a_refusal_ends_the_other_requests() -> None:
    async with opened("tei", max_batch_items=2, concurrency=8) as (reranker, server):
        server.faults += [Fault(hang=True), Fault(hang=True), Fault(status=424, delay_s=0.1)]
        with pytest.raises(Rejected):
            await reranker.score(QUESTION, PASSAGES)
        await left_alone(server)


async def test_one_that_hangs_is_given_up_and_its_request_with_it() -> None:
    async with opened("tei") as (reranker, server):
        server.faults.append(Fault(hang=True))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await reranker.score(QUESTION, PASSAGES)
        await left_alone(server)
        assert (await reranker.score(QUESTION, PASSAGES)).argmax() == 0


async def test_long_texts_are_cut() -> None:
    async with opened("tei", max_characters=64) as (reranker, server):
        await reranker.score("q" * 1000, ["p" * 1000])
    assert server.bodies()[0]["query"] == "q" * 64
    assert server.bodies()[0]["texts"] == ["p" * 64]
