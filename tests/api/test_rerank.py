"""`POST /v1/rerank` in the shape of Jina and Cohere, with a reranker of the test's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx2
import numpy as np
import numpy.typing as npt
import pytest

from api.schemas.openai import RerankReply
from tests.api.serving import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")
DOCUMENTS: list[Any] = ["aa", {"text": "aaaa", "id": 7}, "b", "aaa"]


class Counting:
    """Scores a passage by how often it has the letters of the question."""

    async def score(self, query: str, passages: Sequence[str]) -> npt.NDArray[np.float32]:
        """Count."""
        return np.array([passage.count(query) for passage in passages], np.float32)

    async def close(self) -> None:
        """Close nothing."""


@pytest.fixture
def _counting(library: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library.runtime, "named_reranker", lambda name: Counting())


@pytest.mark.usefixtures("_counting")
async def test_the_best_come_first_with_their_places(client: httpx2.AsyncClient) -> None:
    body = {"model": "late_interaction", "query": "a", "documents": DOCUMENTS}
    reply = await client.post("/v1/rerank", json=body)
    results = RerankReply.model_validate_json(reply.content).results
    assert [(r.index, r.relevance_score) for r in results] == [(1, 4), (3, 3), (0, 2), (2, 0)]
    assert all("document" not in row for row in reply.json()["results"])


@pytest.mark.usefixtures("_counting")
async def test_as_many_as_asked_with_their_texts(client: httpx2.AsyncClient) -> None:
    body = {
        "model": "late_interaction",
        "query": "a",
        "documents": DOCUMENTS,
        "top_n": 2,
        "return_documents": True,
    }
    results = (await client.post("/v1/rerank", json=body)).json()["results"]
    assert [row["document"]["text"] for row in results] == ["aaaa", "aaa"]


@pytest.mark.usefixtures("_counting")
@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"model": "nobody"}, 404),
        ({"model": None}, 422),
        ({"documents": []}, 422),
        ({"documents": [{"body": "x"}]}, 422),
        ({"query": ""}, 422),
        ({"top_n": 0}, 422),
    ],
)
async def test_what_cannot_be_reranked_is_refused(
    client: httpx2.AsyncClient, change: dict[str, Any], status: int
) -> None:
    body = {"model": "late_interaction", "query": "a", "documents": ["a"], **change}
    assert (await client.post("/v1/rerank", json=body)).status_code == status
