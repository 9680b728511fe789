"""`POST /v1/answer`: whole or as events, always with citations that can be opened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

import api.events
from api.schemas.searching import AnswerReply
from api.schemas.shared import Citation, Problem
from tests.api.conftest import PAGES
from tests.api.serving import Served, served, settings_of
from tests.fakes.faults import Fault
from tests.fakes.serving import Fake, fake

module_loop = pytest.mark.asyncio(loop_scope="module")
QUESTION = {"question": "Which port does the server listen on?"}


def events_of(reply: httpx2.Response) -> list[tuple[str, Any]]:
    """Read a whole stream: names and data of its events; comments are skipped."""
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.text.endswith("\n\n")
    events = []
    for block in reply.text.removesuffix("\n\n").split("\n\n"):
        if not block.startswith(":"):
            name, data = block.split("\n")
            events.append((name.removeprefix("event: "), orjson.loads(data.removeprefix("data: "))))
    return events


@module_loop
async def test_citations_quote_the_documents(library: Served, client: httpx2.AsyncClient) -> None:
    reply = await client.post("/v1/answer", json=QUESTION)
    answer = AnswerReply.model_validate_json(reply.content)
    assert "8000" in answer.answer
    assert "[1]" in answer.answer
    assert answer.citations
    assert not answer.abstained
    for citation in answer.citations:
        text = (await client.get(f"/v1/documents/{citation.document_id}/text")).text
        assert text[citation.start : citation.end] == citation.quote


@module_loop
async def test_events_join_to_the_answer(client: httpx2.AsyncClient) -> None:
    whole = (await client.post("/v1/answer", json=QUESTION)).json()
    *pieces, (last, done) = events_of(
        await client.post("/v1/answer", json={**QUESTION, "stream": True})
    )
    assert last == "done"
    assert {name for name, _ in pieces} == {"piece"}
    assert "".join(piece["text"] for _, piece in pieces) == done["answer"] == whole["answer"]
    cited = [citation for _, piece in pieces for citation in piece["citations"]]
    assert cited == done["citations"] == whole["citations"]
    assert [Citation.model_validate(citation) for citation in cited]


@module_loop
async def test_the_stored_answer_can_be_read(library: Served, client: httpx2.AsyncClient) -> None:
    made = (await client.post("/v1/answer", json=QUESTION)).json()
    kept = await client.get(f"/v1/answers/{made['id']}")
    assert kept.status_code == 200
    assert kept.json()["answer"] == made["answer"]


@module_loop
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"collection": "nothing"}, 404),
        ({"model": "nobody"}, 404),
        ({"conversation": "no spaces"}, 422),
        ({"question": ""}, 422),
        ({"filter": {"near": 1}}, 422),
        ({"kk": 1}, 422),
    ],
)
async def test_what_fails_before_the_first_word_has_a_status(
    client: httpx2.AsyncClient, change: dict[str, Any], status: int, stream: bool
) -> None:
    reply = await client.post("/v1/answer", json={**QUESTION, **change, "stream": stream})
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"


@asynccontextmanager
async def answering(place: Path, base_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve a page about ports, with the language model `fake` at this address."""
    connection = {"base_url": base_url, "api_key": "secret-key"}
    plugin = {"kind": "openai_compatible", "options": {"model": "m", "connection": connection}}
    (place / "pages").mkdir()
    (place / "pages" / "ports.md").write_text(PAGES["ports.md"])
    async with served(settings_of(place / "data", llms={"fake": plugin})) as server:
        await server.fill(place / "pages")
        async with server.client() as client:
            yield client


async def test_a_cut_answer_ends_in_an_error_event(tmp_path: Path) -> None:
    words = "The server listens on port 8000 of the loopback address. It is so. " * 3
    asked = {**QUESTION, "model": "fake", "stream": True}
    async with fake("vllm", text=words) as model, answering(tmp_path, model.base_url) as client:
        whole = events_of(await client.post("/v1/answer", json=asked))
        model.ill = lambda _: Fault(cut=True, after=25)
        cut = events_of(await client.post("/v1/answer", json=asked))
        model.ill = lambda _: Fault(status=400)
        refused = await client.post("/v1/answer", json=asked)
        model.ill = lambda _: None
        again = events_of(await client.post("/v1/answer", json=asked))
    assert whole[-1][0] == again[-1][0] == "done"
    assert cut[0][0] == "piece"
    assert [name for name, _ in cut].count("error") == 1
    name, problem = cut[-1]
    assert name == "error"
    assert Problem.model_validate(problem).status == 503
    assert refused.status_code == 502
    for text in (str(cut), refused.text):
        assert "secret-key" not in text


async def _left_alone(model: Fake) -> bool:
    """Wait until no call to the model is under way; it hears of closed connections a bit later."""
    for _ in range(200):
        if model.open == 0:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_a_quiet_stream_says_that_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.events, "QUIET_S", 0.05)
    asked = {**QUESTION, "model": "fake", "stream": True}
    async with (
        fake("vllm", text="Port 8000.") as model,
        answering(tmp_path, model.base_url) as client,
    ):
        model.faults.append(Fault(delay_s=0.5))
        reply = await client.post("/v1/answer", json=asked)
    assert reply.text.startswith(": ")
    assert events_of(reply)[-1][0] == "done"


@pytest.mark.parametrize("fault", [Fault(hang=True), Fault(stall=True, after=3)])
async def test_the_deadline_ends_a_stream_in_an_error_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr(api.events, "QUIET_S", 0.05)
    asked = {**QUESTION, "model": "fake", "stream": True}
    async with (
        fake("vllm", text="a b c d e f") as model,
        answering(tmp_path, model.base_url) as client,
    ):
        warm = await client.post("/v1/answer", json=asked)
        model.faults.append(fault)
        reply = await client.post("/v1/answer", json=asked, headers={"x-request-timeout": "1"})
        assert await _left_alone(model)
    assert events_of(warm)[-1][0] == "done"
    name, problem = events_of(reply)[-1]
    assert (name, problem["status"]) == ("error", 504)


async def test_the_deadline_of_a_whole_answer_is_a_status(tmp_path: Path) -> None:
    asked = {**QUESTION, "model": "fake"}
    async with (
        fake("vllm", text="a b c d e f") as model,
        answering(tmp_path, model.base_url) as client,
    ):
        await client.post("/v1/answer", json=asked)
        model.faults.append(Fault(hang=True))
        reply = await client.post("/v1/answer", json=asked, headers={"x-request-timeout": "0.5"})
        assert await _left_alone(model)
    assert reply.status_code == 504
