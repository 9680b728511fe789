"""`POST /v1/search`: what it finds is what retrieval finds, and what it cannot read it refuses."""

from __future__ import annotations

import random
from typing import Any

import httpx2
import orjson
import pytest

from api.schemas.searching import SearchReply
from rag.filters import EVERYTHING, from_json
from rag.replies import retrieved_json
from rag.types import Query, local_owner
from tests.api.conftest import PAGES
from tests.api.serving import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORDS = sorted({word.strip(".#") for text in PAGES.values() for word in text.split()} - {""})
FILTERS: list[dict[str, Any] | None] = [None, {"eq": {"meta.ext": ".md"}}, {"eq": {"meta.ext": ""}}]


async def test_hits_are_those_of_retrieval(library: Served, client: httpx2.AsyncClient) -> None:
    chance, found = random.Random(5), 0
    for _ in range(40):
        asked: dict[str, Any] = {
            "query": " ".join(chance.choices(WORDS, k=chance.randint(1, 6))),
            "k": chance.choice([1, 2, 3, 10]),
            "mode": chance.choice(["dense", "sparse", "hybrid"]),
            "filter": chance.choice(FILTERS),
            "exact": chance.choice([False, True]),
        }
        reply = await client.post("/v1/search", json=asked)
        where = EVERYTHING if asked["filter"] is None else from_json(asked["filter"])
        query = Query(
            asked["query"],
            "default",
            local_owner(),
            k=asked["k"],
            mode=asked["mode"],
            where=where,
            exact=asked["exact"],
        )
        due = retrieved_json(await library.runtime.retrieval.search(query))
        assert reply.json() == orjson.loads(orjson.dumps(due)), asked
        SearchReply.model_validate_json(reply.content)
        found += len(due["hits"])
    assert found > 40


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "query"),
        ({"query": " \n"}, "query"),
        ({"query": "cats", "kk": 3}, "kk"),
        ({"query": "cats", "k": 0}, "k"),
        ({"query": "cats", "mode": "both"}, "mode"),
        ({"query": "cats", "collection": "../x"}, "collection"),
        ({"query": "cats", "filter": []}, "filter"),
        ([], "body"),
    ],
)
async def test_a_wrong_body_names_the_place(
    client: httpx2.AsyncClient, body: Any, place: str
) -> None:
    reply = await client.post("/v1/search", json=body)
    assert reply.status_code == 422
    problem = reply.json()
    assert problem["errors"][0]["place"] == place
    assert problem["detail"].startswith(f"{place}: ")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"query": "cats", "filter": {"near": {"x": 1}}}, 422, "near"),
        ({"query": "cats", "collection": "nothing"}, 404, "nothing"),
        ({"query": "cats", "reranker": "nobody"}, 404, "nobody"),
    ],
)
async def test_what_does_not_exist_is_named(
    client: httpx2.AsyncClient, body: Any, status: int, words: str
) -> None:
    reply = await client.post("/v1/search", json=body)
    assert reply.status_code == status
    assert words in reply.json()["detail"]


async def test_a_filter_nested_beyond_measure_is_refused(client: httpx2.AsyncClient) -> None:
    body = b'{"query": "cats", "filter": ' + b'{"not": ' * 500 + b"{}" + b"}" * 501
    reply = await client.post(
        "/v1/search", content=body, headers={"content-type": "application/json"}
    )
    assert reply.status_code == 422
    assert "nested" in reply.json()["detail"]
