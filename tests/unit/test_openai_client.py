"""Connections to OpenAI-compatible servers: what is sent, and what failures become."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from time import time
from typing import Any

import pytest
from pydantic import ValidationError

from rag.errors import ConfigError, Rejected, Unavailable
from rag.openai_client import Connection, described_error, open_openai, refusing_status, told

KEY = "sk-secret-0123456789"


@dataclass
class Server:
    """A server that gives one answer to everything and remembers what it was asked."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"data": [], "object": "list"}'
    hang: bool = False
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        self.requests.append((head[0], {k.lower(): v for k, v in headers.items()}))
        if self.hang:
            await reader.read()
        else:
            lines = [f"HTTP/1.1 {self.status} X", f"content-length: {len(self.body)}"]
            lines += [f"{name}: {value}" for name, value in self.headers.items()]
            lines += ["content-type: application/json", "connection: close", "", ""]
            writer.write("\r\n".join(lines).encode() + self.body)
        writer.close()


@asynccontextmanager
async def serving(**answer: Any) -> AsyncIterator[Server]:
    made = Server(**answer)
    listening = await asyncio.start_server(made.handle, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        yield made


async def models(connection: Connection) -> None:
    client = open_openai(connection)
    try:
        with told(connection):
            await client.models.list()
    finally:
        await client.close()


def to(server: Server, path: str = "/v1", **options: Any) -> Connection:
    return Connection.model_validate({"base_url": f"{server.url}{path}", **options})


# --- what is sent --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1", "/openai/v1", "/ns/model/v1", "", "/v1/"])
async def test_the_address_is_used_as_it_stands(path: str) -> None:
    async with serving() as server:
        await models(to(server, path))
    assert server.requests[0][0] == f"GET {path.rstrip('/')}/models HTTP/1.1"


async def test_key_headers_and_parameters_are_sent() -> None:
    async with serving() as server:
        headers = {"Host": "llama.example.org", "x-route": "a/b"}
        await models(to(server, api_key=KEY, headers=headers, query={"api-version": "7"}))
    line, sent = server.requests[0]
    assert line == "GET /v1/models?api-version=7 HTTP/1.1"
    assert (sent["authorization"], sent["host"]) == (f"Bearer {KEY}", "llama.example.org")
    assert sent["x-route"] == "a/b"


async def test_without_a_key_no_token_is_sent() -> None:
    async with serving() as server:
        await models(to(server))
        await models(to(server, headers={"Authorization": "Basic abc"}))
    assert "authorization" not in server.requests[0][1]
    assert server.requests[1][1]["authorization"] == "Basic abc"


async def test_nothing_of_the_environment_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-other")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-other")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-leak: other")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://192.0.2.1/")
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:1")
    async with serving() as server:
        await models(to(server))
    assert "other" not in json.dumps(server.requests)


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "ftp://host/v1"},
        {"base_url": "host/v1"},
        {"base_url": "http://user:secret@host/v1"},
        {"base_url": "http://host/v1?key=secret"},
        {"base_url": "http://host/v1", "headers": {"Content-Length": "5"}},
        {"base_url": "http://host/v1", "headers": {"a b": "5"}},
        {"base_url": "http://host/v1", "headers": {"x": "secret\r\nHost: x"}},
        {"base_url": "http://host/v1", "key": "x"},
    ],
)
def test_a_wrong_connection_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        Connection.model_validate(options)
    said = [problem["msg"] for problem in caught.value.errors(include_input=False)]
    assert "secret" not in str(said)


def test_secrets_are_not_shown() -> None:
    connection = Connection.model_validate(
        {"base_url": "http://h/v1", "api_key": KEY, "headers": {"x-key": "hidden"}}
    )
    assert KEY not in repr(connection)
    assert "hidden" not in f"{connection!r}{connection.model_dump_json()}"
    assert connection.who == "h"


def test_certificates_that_are_none_are_told(tmp_path: Any) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    with pytest.raises(ConfigError, match="has no certificates"):
        open_openai(Connection(base_url="https://h/v1", ca_file=file))


# --- what failures become ------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
async def test_what_may_pass_is_unavailable(status: int) -> None:
    async with serving(status=status, body=b'{"error": {"message": "Busy."}}') as server:
        with pytest.raises(Unavailable, match=f"status {status}.: Busy") as caught:
            await models(to(server))
    assert refusing_status(caught.value) == status
    assert len(server.requests) == 1  # who tries again is decided elsewhere


@pytest.mark.parametrize("status", [302, 307, 400, 401, 403, 404, 413, 422, 424, 501])
async def test_what_will_not_pass_is_rejected(status: int) -> None:
    async with serving(status=status, headers={"location": "http://192.0.2.1/"}) as server:
        with pytest.raises(Rejected, match=f"status {status}") as caught:
            await models(to(server))
    assert refusing_status(caught.value) == status


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "1.5"}, 2.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "Retry-After": "9"}, 0.25),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "9" * 40}, 86400.0),
        ({}, None),
    ],
)
async def test_retry_after_is_read(headers: dict[str, str], seconds: float | None) -> None:
    async with serving(status=429, headers=headers) as server:
        with pytest.raises(Unavailable) as caught:
            await models(to(server))
    assert caught.value.retry_after == seconds


async def test_retry_after_may_be_a_date() -> None:
    when = formatdate(time() + 60, usegmt=True)
    async with serving(status=503, headers={"Retry-After": when}) as server:
        with pytest.raises(Unavailable) as caught:
            await models(to(server))
    assert caught.value.retry_after is not None
    assert 50 < caught.value.retry_after <= 60


async def test_a_servers_message_is_short_and_has_no_secret() -> None:
    said = json.dumps({"error": {"message": f"Wrong key {KEY}\nat hidden " + "x" * 9000}}).encode()
    async with serving(status=401, body=said) as server:
        with pytest.raises(Rejected, match="Wrong key … at …") as caught:
            await models(to(server, api_key=KEY, headers={"x-key": "hidden"}))
    assert KEY not in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert len(str(caught.value)) < 500


async def test_who_is_not_there_or_silent_is_unavailable() -> None:
    async with serving(hang=True) as server:
        with pytest.raises(Unavailable, match="gave no answer in time"):
            await models(to(server, timeout_s=0.2))
        gone = to(server)
    with pytest.raises(Unavailable, match="cannot be reached"):
        await models(gone)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "no"}}, "no"),
        ({"message": "no", "object": "error"}, "no"),
        ({"error": "no", "error_type": "Validation"}, "no"),
        ({"detail": "no"}, "no"),
        ({"detail": [{"msg": "no"}]}, "[{'msg': 'no'}]"),
        ({"title": "no", "status": 400}, "no"),
        ("no", "no"),
        (None, ""),
    ],
)
def test_the_message_is_found_in_many_shapes(body: Any, message: str) -> None:
    assert described_error(body) == message
