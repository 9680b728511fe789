"""Failures over HTTP: always a problem, with the id of the request and without secrets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.errors import PROBLEM, error_reply
from api.schemas.shared import Problem
from rag import errors as e
from tests.api.serving import Served, served, settings_of

JSON = {"content-type": "application/json"}


@pytest.fixture
async def empty(tmp_path: Path) -> Any:
    async with served(settings_of(tmp_path / "data", serving={"max_body_mb": 1})) as server:
        yield server


async def test_every_refusal_is_a_problem(empty: Served) -> None:
    deep = b'{"query": ' + b"[" * 100_000
    async with empty.client() as client:
        replies = {
            (404, "not-found"): await client.get("/nothing"),
            (405, "method-not-allowed"): await client.delete("/v1/search"),
            (400, "malformed"): await client.post("/v1/search", content=b"{", headers=JSON),
            (415, "media-type"): await client.post("/v1/search", content=b"{}"),
            (413, "too-large"): await client.post(
                "/v1/search", content=b" " * 1_100_000, headers=JSON
            ),
            (422, "invalid-request"): await client.post("/v1/search", json={"query": ""}),
            (504, "deadline"): await client.post(
                "/v1/embeddings",
                json={"model": "hashing", "input": "cats"},
                headers={"x-request-timeout": "0.0000001"},
            ),
        }
        for content in (b'{"query": NaN}', b'{"query": "\\ud800"}', b'{"query": "\xff"}', deep):
            malformed = await client.post("/v1/search", content=content, headers=JSON)
            assert malformed.status_code == 400
            assert "character" in malformed.json()["detail"]
    for (status, kind), reply in replies.items():
        assert (reply.status_code, reply.headers["content-type"]) == (status, PROBLEM)
        problem = Problem.model_validate_json(reply.content)
        assert problem.type == f"https://cumulo.dev/problems/{kind}"
        assert problem.status == status
        assert problem.instance == reply.headers["x-request-id"]


async def test_a_body_of_unknown_length_is_cut_off_at_the_limit(empty: Served) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 65536
            yield b" " * 65536

    async with empty.client() as client:
        try:
            reply = await client.post("/v1/search", content=endless(), headers=JSON)
        except httpx2.HTTPError:  # the server hung up on the rest of the body
            pass
        else:
            assert reply.status_code == 413
    assert sent < 20 * 2**20


async def test_what_is_said_of_a_long_name_is_short(empty: Served) -> None:
    long = "x" * 900_000
    async with empty.client() as client:
        key = await client.post("/v1/search", json={"query": "cats", long: 1})
        name = await client.post("/v1/embeddings", json={"model": long, "input": "cats"})
    assert (key.status_code, name.status_code) == (422, 404)
    assert len(key.content) + len(name.content) < 4000


async def test_a_body_that_dawdles_is_given_up(tmp_path: Path) -> None:
    async with served(settings_of(tmp_path / "data", serving={"timeout_s": 0.3})) as server:
        host, _, port = server.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /v1/search HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}content-length: 100\r\n\r\n{{".encode())
        async with asyncio.timeout(10):
            reply = await reader.read()
        writer.close()
    assert reply.startswith(b"HTTP/1.1 408 ")
    assert b"slow-body" in reply


@pytest.mark.parametrize("seconds", ["", "soon", "0", "-1", "nan"])
async def test_a_deadline_that_is_no_number_is_refused(empty: Served, seconds: str) -> None:
    async with empty.client() as client:
        reply = await client.post(
            "/v1/embeddings",
            json={"model": "hashing", "input": "cats"},
            headers={"x-request-timeout": seconds},
        )
    assert reply.status_code == 422
    assert "x-request-timeout" in reply.json()["detail"]


async def test_ids_of_requests_are_kept_where_they_are_harmless(empty: Served) -> None:
    async with empty.client() as client:
        kept = await client.get("/healthz", headers={"x-request-id": "job-7:a.b_c"})
        made = await client.get("/healthz", headers={"x-request-id": "a b\t<script>"})
        long = await client.get("/healthz", headers={"x-request-id": "x" * 1000})
    assert kept.headers["x-request-id"] == "job-7:a.b_c"
    assert len(made.headers["x-request-id"]) == len(long.headers["x-request-id"]) == 36


@pytest.mark.parametrize(
    "header", [{"host": "cumulo.example"}, {"origin": "https://evil.example"}, {"origin": "null"}]
)
async def test_pages_of_other_hosts_get_nothing(empty: Served, header: dict[str, str]) -> None:
    async with empty.client() as client:
        assert (await client.get("/v1/models", headers=header)).status_code == 403
        assert (await client.get("/healthz", headers=header)).status_code == 200


async def test_pages_of_this_machine_are_let_in(empty: Served) -> None:
    async with empty.client() as client:
        for origin in ("http://localhost:3000", "http://[::1]:3000", "http://app.localhost"):
            reply = await client.get("/v1/models", headers={"origin": origin})
            assert reply.status_code == 200


async def test_replies_are_safe_in_a_browser(empty: Served) -> None:
    async with empty.client() as client:
        reply = await client.get("/v1/models")
        docs = await client.get("/docs")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-security-policy"] == "default-src 'none'"
    assert reply.headers["cache-control"] == "no-store"
    assert docs.status_code == 200
    assert "content-security-policy" not in docs.headers


async def test_an_unforeseen_failure_tells_nothing_of_itself(
    empty: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(name: str) -> Any:
        raise ZeroDivisionError("secret-token")

    monkeypatch.setattr(empty.runtime, "named_embedder", fail)
    async with empty.client() as client:
        reply = await client.post("/v1/embeddings", json={"model": "hashing", "input": "cats"})
    assert reply.status_code == 500
    assert "secret-token" not in reply.text
    assert "Traceback" not in reply.text
    [record] = [r for r in caplog.records if r.name == "cumulo.api"]
    assert reply.json()["instance"] in record.getMessage()
    assert record.exc_info is not None


async def test_the_openai_wire_has_its_own_words(empty: Served) -> None:
    async with empty.client() as client:
        reply = await client.post("/v1/embeddings", json={"model": "nobody", "input": "cats"})
    problem = reply.json()
    assert reply.status_code == problem["status"] == 404
    assert problem["error"]["code"] == "not-found"
    assert "nobody" in problem["error"]["message"]


def _failures() -> Iterator[type[e.RagError]]:
    todo = [e.RagError]
    while todo:
        cls = todo.pop()
        if cls.__module__ == "rag.errors":
            yield cls
        todo += cls.__subclasses__()


@pytest.mark.parametrize("cls", sorted(_failures(), key=lambda cls: cls.__name__))
def test_every_failure_has_a_status_of_its_own_kind(cls: type[e.RagError]) -> None:
    failure = cls("words", model="m") if cls is e.ModelMissing else cls("words")
    reply = error_reply(failure, {"type": "http", "path": "/v1/search"})
    wrong_request = issubclass(cls, e.UserError) and not issubclass(
        cls, e.ConfigError | e.ModelMissing
    )
    assert (reply.status_code < 500) == (
        wrong_request or issubclass(cls, e.UnreadableDocument | e.IndexMismatch | e.Unsupported)
    )
    assert ("retry-after" in reply.headers) == (reply.status_code == 503)
    assert b"words" in reply.body


def test_an_unavailable_part_says_when_to_come_back() -> None:
    scope = {"type": "http", "path": "/v1/search"}
    assert error_reply(e.Unavailable("x", retry_after=2.2), scope).headers["retry-after"] == "3"
    assert error_reply(e.Conflict("x", retry_after=0.2), scope).headers["retry-after"] == "1"
