"""`/v1/embeddings`, `/v1/rerank` and `/v1/models`: the models themselves, on foreign wires."""

from __future__ import annotations

import base64
from typing import Any

import httpx2
import numpy as np
import pytest

from api.schemas.openai import EmbeddingsReply, ModelsReply
from tests.api.serving import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")
TEXTS = ["How are deletes handled?", "", "Cats sleep.", "猫は眠る"]


async def test_vectors_are_the_embedder_s_in_both_formats(
    library: Served, client: httpx2.AsyncClient
) -> None:
    embedder = library.runtime.named_embedder("hashing")
    for role in ("query", "passage"):
        due = (await embedder.embed(TEXTS, role)).vectors  # type: ignore[arg-type]
        body = {"model": "hashing", "input": TEXTS, "input_type": role}
        plain = (await client.post("/v1/embeddings", json=body)).json()
        packed = (
            await client.post("/v1/embeddings", json={**body, "encoding_format": "base64"})
        ).json()
        EmbeddingsReply.model_validate(plain)
        EmbeddingsReply.model_validate(packed)
        assert [row["index"] for row in plain["data"]] == [0, 1, 2, 3]
        numbers = np.array([row["embedding"] for row in plain["data"]], np.float32)
        coded = [np.frombuffer(base64.b64decode(row["embedding"]), "<f4") for row in packed["data"]]
        np.testing.assert_array_equal(numbers, due)
        np.testing.assert_array_equal(np.array(coded), due)


async def test_one_text_may_stand_alone(client: httpx2.AsyncClient) -> None:
    body = {"model": "hashing", "input": "cats", "user": "somebody"}
    reply = (await client.post("/v1/embeddings", json=body)).json()
    assert len(reply["data"]) == 1
    assert reply["usage"]["total_tokens"] > 0


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"model": "nobody", "input": "x"}, 404, "nobody"),
        ({"model": "hashing", "input": []}, 422, "input"),
        ({"model": "hashing", "input": ["x"] * 2049}, 422, "input"),
        ({"model": "hashing", "input": [[1, 2]]}, 422, "input"),
        ({"model": "hashing", "input": "x", "dimensions": 7}, 422, "dimensions"),
    ],
)
async def test_what_cannot_be_embedded_is_refused(
    client: httpx2.AsyncClient, body: Any, status: int, words: str
) -> None:
    reply = await client.post("/v1/embeddings", json=body)
    assert reply.status_code == status
    assert words in reply.json()["error"]["message"]


async def test_models_are_those_of_the_settings(
    library: Served, client: httpx2.AsyncClient
) -> None:
    reply = await client.get("/v1/models")
    listed = ModelsReply.model_validate_json(reply.content).data
    roles = {(model.id, model.cumulo["role"]) for model in listed}
    settings = library.runtime.settings
    assert roles == (
        {("extractive", "llm")}
        | {(name, "llm") for name in settings.llms}
        | {(name, "embedder") for name in settings.embedders}
        | {(name, "reranker") for name in settings.rerankers}
    )
    assert {model.id for model in listed if model.cumulo["default"]} == {"extractive", "hashing"}
    one = await client.get("/v1/models/extractive")
    assert one.json() == reply.json()["data"][0]
    assert (await client.get("/v1/models/nobody")).status_code == 404
