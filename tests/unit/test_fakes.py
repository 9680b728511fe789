"""The fakes of model servers are what they say: published examples come back, requests are read
strictly, faults happen. The official OpenAI client is content with them.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.fakes.chatting import Speaking
from tests.fakes.checking import examples
from tests.fakes.embedding import Embedding
from tests.fakes.faults import Fault, too_many
from tests.fakes.serving import SERVERS, Fake, fake

if TYPE_CHECKING:
    from openai import AsyncOpenAI

CHATTERS = ("kserve", "nim", "openai", "tgi", "vllm")
EMBEDDERS = ("kserve", "openai", "tei", "vllm")

PUBLISHED = [(name, n) for name in SERVERS for n in range(len(examples(name)))]


def client(server: Fake) -> AsyncOpenAI:
    from openai import AsyncOpenAI

    plain = httpx2.AsyncClient(verify=False)
    url = server.base_url
    return AsyncOpenAI(base_url=url, api_key="none", max_retries=0, http_client=plain)


async def ask(server: Fake, operation: str, body: Any) -> httpx2.Response:
    method, path = operation.split(" ")
    async with httpx2.AsyncClient(verify=False, base_url=server.root) as plain:
        return await plain.request(method, path, json=body if method == "POST" else None)


def shape(value: Any) -> Any:
    """Reduce a value to its keys; lists to what their first element has."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [shape(value[0])]
    return None


@pytest.mark.parametrize(("name", "n"), PUBLISHED)
async def test_a_published_example_names_its_source_and_is_kept_to(name: str, n: int) -> None:
    example = examples(name)[n]
    assert example["source"].startswith("https://")
    assert example["version"]
    async with fake(name) as server:
        if example["status"] != 200:
            server.faults.append(Fault(status=example["status"]))
            asked = {} if example["request"] is None else example["request"]
            reply = await ask(server, example["operation"], asked)
            assert reply.status_code == example["status"]
            assert shape(example["response"]).keys() <= shape(reply.json()).keys()
            return
        reply = await ask(server, example["operation"], example["request"])
        assert reply.status_code == 200, reply.text
        assert reply.headers["x-fake"] == name
        if reply.headers["content-type"].startswith("text/event-stream"):
            lines = [line for line in reply.text.split("\n\n") if line]
            assert lines.pop() == "data: [DONE]"
            got = [shape(json.loads(line.removeprefix("data: "))) for line in lines]
            for chunk in example["response"]:
                wanted = shape({key: val for key, val in chunk.items() if val is not None})
                assert any(wanted.keys() - OPTIONAL <= seen.keys() for seen in got), wanted
        else:
            assert reply.json() == example["response"]
        # and what the fake makes up has the keys that the server publishes
        if example["request"] is not None and isinstance(example["response"], dict):
            other = {
                **example["request"],
                **({"user": "u"} if "input" in example["request"] else {}),
            }
            if "messages" in other:
                other["seed"] = 7
            elif "query" in other and "texts" not in other and name != "nim":
                other["documents"] = list(reversed(other["documents"]))
            made = await ask(server, example["operation"], other)
            assert made.status_code == 200, made.text
            assert shape(made.json()).keys() >= shape(example["response"]).keys() - OPTIONAL


OPTIONAL = {"system_fingerprint"}


@pytest.mark.parametrize("name", SERVERS)
async def test_unknown_fields_and_wrong_types_are_refused(name: str) -> None:
    async with fake(name) as server:
        for example in examples(name):
            if example["status"] != 200 or example["request"] is None:
                continue
            for wrong in ({"surprise": 1}, {"model": 5, "query": 5, "texts": 5}):
                reply = await ask(server, example["operation"], {**example["request"], **wrong})
                assert 400 <= reply.status_code < 500, (example["operation"], wrong)
                assert reply.headers["x-fake"] == name
        assert (await ask(server, "POST /nowhere", {})).status_code == 404


@pytest.mark.parametrize("name", CHATTERS)
async def test_the_official_client_chats_with_it(name: str) -> None:
    async with fake(name, text="One two  three.\nFour") as server, client(server) as connected:
        messages: Any = [{"role": "user", "content": "Hello!"}]
        whole = await connected.chat.completions.create(model="tgi", messages=messages)
        assert whole.choices[0].message.content == "One two  three.\nFour"
        assert whole.choices[0].finish_reason == "stop"
        stream = await connected.chat.completions.create(
            model="tgi",
            messages=messages,
            stream=True,
            max_tokens=2,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert said == "One two"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    assert chunks[-1].choices == []
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == 2


@pytest.mark.parametrize("name", EMBEDDERS)
async def test_the_official_client_embeds_with_it(name: str) -> None:
    async with fake(name) as server, client(server) as connected:
        floats = await connected.embeddings.create(
            model="m", input=["one", "two"], encoding_format="float"
        )
        encoded = await connected.embeddings.create(model="m", input=["one", "two"])
        models = await connected.models.list() if name != "tei" else None
    assert server.bodies("/embeddings")[1]["encoding_format"] == "base64"
    for a, b in zip(floats.data, encoded.data, strict=True):
        assert b.embedding == pytest.approx(a.embedding)
    assert models is None or models.data


async def test_tei_takes_32_texts_and_never_splits() -> None:
    async with fake("tei") as server:
        fits = await ask(server, "POST /embed", {"inputs": ["a"] * 32})
        assert len(fits.json()) == 32
        for path, key in (("/embed", "inputs"), ("/v1/embeddings", "input")):
            reply = await ask(server, f"POST {path}", {key: ["a"] * 33})
            assert reply.status_code == 422
            assert reply.json()["message"] == "batch size 33 > maximum allowed batch size 32"
    async with fake("tei", model="reranker") as server:
        assert (await ask(server, "POST /embed", {"inputs": "a"})).status_code == 424
    large = Embedding(max_batch=1, too_large=413, max_tokens=4)
    async with fake("tei", embedding=large) as server:
        assert (await ask(server, "POST /embed", {"inputs": ["a", "b"]})).status_code == 413
        long: dict[str, Any] = {"inputs": "a b c d e f"}
        assert (await ask(server, "POST /embed", long)).status_code == 413
        assert (await ask(server, "POST /embed", {**long, "truncate": True})).status_code == 200


async def test_nim_needs_to_know_what_a_text_is() -> None:
    body = {"model": "m", "input": ["a"]}
    async with fake("nim") as server:
        assert (await ask(server, "POST /v1/embeddings", body)).status_code == 422
        body["input_type"] = "query"  # type: ignore[assignment]
        assert (await ask(server, "POST /v1/embeddings", body)).status_code == 200


async def test_kserve_is_found_by_its_host_below_its_prefix() -> None:
    async with fake("kserve", host="models.example.com") as server:
        assert server.base_url == f"{server.root}/openai/v1"
        async with httpx2.AsyncClient(verify=False, base_url=server.base_url) as plain:
            assert (await plain.get("/models")).status_code == 404
            headers = {"host": "models.example.com"}
            assert (await plain.get("/models", headers=headers)).status_code == 200


async def test_a_key_is_asked_for_where_there_is_one() -> None:
    async with fake("vllm", api_key="secret") as server:
        assert (await ask(server, "GET /v1/models", None)).status_code == 401


# --- faults --------------------------------------------------------------------------------------


async def test_refusals_wrong_json_and_connections_that_break() -> None:
    body = {"inputs": ["a", "b"]}
    async with fake("tei") as server:
        server.faults += [too_many("7"), Fault(status=503), None]
        replies = [await ask(server, "POST /embed", body) for _ in range(3)]
        assert [reply.status_code for reply in replies] == [429, 503, 200]
        assert replies[0].headers["retry-after"] == "7"
        server.faults += [Fault(spoil=lambda rows: rows[:1]), Fault(truncate=True)]
        assert len((await ask(server, "POST /embed", body)).json()) == 1
        with pytest.raises(ValueError, match="Expecting"):
            (await ask(server, "POST /embed", body)).json()
        server.faults.append(Fault(reset=True))
        with pytest.raises(httpx2.ReadError):
            await ask(server, "POST /embed", body)
        server.ill = lambda asked: Fault(status=500) if len(asked.body["inputs"]) > 1 else None
        assert (await ask(server, "POST /embed", body)).status_code == 500
        assert (await ask(server, "POST /embed", {"inputs": "a"})).status_code == 200


async def test_one_that_hangs_notices_that_its_client_went() -> None:
    async with fake("vllm") as server, httpx2.AsyncClient(verify=False, timeout=0.1) as plain:
        server.faults.append(Fault(hang=True))
        with pytest.raises(httpx2.ReadTimeout):
            await plain.get(f"{server.root}/health")
        await until(lambda: server.open == 0)
        assert server.requests[0].abandoned


@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut=True, after=2),
        Fault(reset=True, after=2),
        Fault(garbage=True, after=2),
        Fault(error="out of memory", after=2),
        Fault(cut=True),
    ],
)
async def test_streams_that_break_are_noticed_by_the_official_client(fault: Fault) -> None:
    async with fake("vllm", text="a b c d e f") as server, client(server) as connected:
        server.faults.append(fault)
        said = []

        async def listen() -> None:
            stream = await connected.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "x"}], stream=True
            )
            async for chunk in stream:
                said.append(chunk.choices[0].delta.content)  # noqa: PERF401, what came is kept

        from openai import APIError

        with pytest.raises((APIError, httpx2.TransportError, ValueError)):
            await listen()
    assert len(said) == fault.after


async def test_a_stream_may_end_early_have_comments_or_no_reason() -> None:
    speaking = Speaking("a b c", comments=True, finish=False, usage=False)
    async with fake("vllm", speaking=speaking) as server, client(server) as connected:

        async def reasons() -> list[Any]:
            stream = await connected.chat.completions.create(
                model="m",
                messages=[{"role": "user", "content": "x"}],
                stream=True,
                stream_options={"include_usage": True},
            )
            return [chunk.choices[0].finish_reason async for chunk in stream]

        assert await reasons() == [None] * 5
        server.faults.append(Fault(clean_end=True, after=2))
        assert await reasons() == [None] * 2


async def until(condition: Any) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)
