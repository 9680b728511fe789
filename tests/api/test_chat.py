"""`POST /v1/chat/completions`, as bytes on the wire; `test_openai_client.py` has the client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from api.schemas.openai import ChatReply, CumuloReply
from tests.api.test_answer import answering
from tests.fakes.faults import Fault
from tests.fakes.serving import fake

module_loop = pytest.mark.asyncio(loop_scope="module")
QUESTION = {"role": "user", "content": "Which port does the server listen on?"}
ASKED: dict[str, Any] = {"model": "extractive", "messages": [QUESTION]}


def chunks_of(reply: httpx2.Response) -> list[Any]:
    """Read the chunks of a stream that ends well."""
    *blocks, last, rest = reply.text.split("\n\n")
    assert (last, rest) == ("data: [DONE]", "")
    return [orjson.loads(block.removeprefix("data: ")) for block in blocks]


@module_loop
async def test_a_completion_carries_citations_under_our_key(client: httpx2.AsyncClient) -> None:
    raw = await client.post("/v1/chat/completions", json=ASKED)
    reply = ChatReply.model_validate_json(raw.content)
    [choice] = reply.choices
    assert choice.finish_reason == "stop"
    assert "8000" in choice.message.content
    assert choice.message.cumulo is not None
    assert choice.message.cumulo.citations[0].quote in choice.message.content
    assert reply.model == "extractive"


@module_loop
@pytest.mark.parametrize("usage", [False, True])
async def test_chunks_are_those_of_openai(client: httpx2.AsyncClient, usage: bool) -> None:
    options = {"stream": True, "stream_options": {"include_usage": usage}}
    whole = (await client.post("/v1/chat/completions", json=ASKED)).json()
    chunks = chunks_of(await client.post("/v1/chat/completions", json={**ASKED, **options}))
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    if usage:
        assert chunks[-1]["choices"] == []
        assert set(chunks.pop()["usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens"}
    assert [chunk["choices"][0]["delta"].get("role") for chunk in chunks] == [
        "assistant",
        *[None] * (len(chunks) - 1),
    ]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    message = whole["choices"][0]["message"]
    assert text == message["content"]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [
        *[None] * (len(chunks) - 1),
        "stop",
    ]
    assert [chunk for chunk in chunks if "cumulo" in chunk] == chunks[-1:]
    ours = CumuloReply.model_validate(chunks[-1]["cumulo"])
    assert ours.citations == CumuloReply.model_validate(message["cumulo"]).citations


@module_loop
async def test_what_other_clients_send_is_let_pass(client: httpx2.AsyncClient) -> None:
    body = {
        **ASKED,
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hello"}], "name": "x"},
            {"role": "assistant", "content": None, "tool_calls": []},
            QUESTION,
        ],
        "user": "somebody",
        "seed": 7,
        "logit_bias": {},
        "response_format": {"type": "text"},
        "stop": ["\n\n"],
        "max_completion_tokens": 100,
        "cumulo": {"filter": {"eq": {"meta.ext": ".md"}}, "k": 3},
    }
    reply = await client.post("/v1/chat/completions", json=body)
    assert reply.status_code == 200
    assert "8000" in reply.json()["choices"][0]["message"]["content"]


@module_loop
@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"model": "nobody"}, 404, None),
        ({"messages": []}, 422, "messages"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, 422, None),
        ({"messages": [{"role": "user", "content": " "}]}, 422, None),
        ({"n": 2}, 422, "n"),
        ({"cumulo": {"kk": 1}}, 422, "cumulo.kk"),
        ({"cumulo": {"collection": "nothing"}}, 404, None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_refusals_are_in_openai_s_words_too(
    client: httpx2.AsyncClient,
    change: dict[str, Any],
    status: int,
    param: str | None,
    stream: bool,
) -> None:
    reply = await client.post("/v1/chat/completions", json={**ASKED, **change, "stream": stream})
    assert reply.status_code == status
    error = reply.json()["error"]
    assert error["message"]
    assert error["param"] == param


async def test_a_cut_stream_never_looks_whole(tmp_path: Path) -> None:
    asked = {**ASKED, "model": "fake", "stream": True}
    words = "The server listens on port 8000 of the loopback address. It is so. " * 3
    async with fake("vllm", text=words) as model, answering(tmp_path, model.base_url) as client:
        whole = await client.post("/v1/chat/completions", json=asked)
        model.ill = lambda _: Fault(cut=True, after=25)
        cut = await client.post("/v1/chat/completions", json=asked)
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks_of(whole))
    assert "8000" in text
    assert "[DONE]" not in cut.text
    *_, last, rest = cut.text.split("\n\n")
    name, data = last.split("\n")
    assert (name, rest) == ("event: error", "")
    assert orjson.loads(data.removeprefix("data: "))["error"]["code"] == "unavailable"
