"""Conversations over HTTP: a model server behind, follow-ups rewritten, cut answers marked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from tests.api.serving import Served, served, settings_of
from tests.fakes.faults import Fault
from tests.fakes.serving import Fake, fake

PAGES = {
    "server.md": "# The server\n\nThe server listens on port 8473 by default.\n",
    "backup.md": "# Backups\n\nBackups are written every night at three.\n",
}


def says(messages: list[dict[str, Any]]) -> str:
    """Rewrite when asked to rewrite, else answer."""
    if "rewrite" in messages[0]["content"]:
        return "When are backups of the server written?"
    return "Backups are written every night at three [1]. Penguins cannot fly."


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[tuple[Served, httpx2.AsyncClient, Fake]]:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name, text in PAGES.items():
        (docs / name).write_text(text)
    async with fake("vllm", text=says) as model:
        connection = {"base_url": model.base_url}
        options = {"model": "served-model", "connection": connection, "attempts": 1}
        settings = settings_of(
            tmp_path / "data", llms={"vllm": {"kind": "openai_compatible", "options": options}}
        )
        async with served(settings) as server, server.client() as client:
            await server.fill(docs)
            yield server, client, model


async def ask(client: httpx2.AsyncClient, question: str, **more: Any) -> dict[str, Any]:
    body = {"question": question, "model": "vllm", "conversation": "talk", **more}
    reply = await client.post("/v1/answer", json=body)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


async def test_a_conversation_goes_on_and_is_read_and_deleted(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, client, model):
        first = await ask(client, "tell me of backups")
        assert first["answer"] == (
            "Backups are written every night at three. [1] Penguins cannot fly."
        )
        assert first["unsupported"] == [[46, 66]]
        assert first["citations"][0]["quote"] == "Backups are written every night at three."
        assert first["usage"]["total_tokens"] > 0
        assert (first["rewritten"], first["model"]) == (False, "served-model")
        second = await ask(client, "and when?")
        assert second["question"] == "When are backups of the server written?"
        assert second["rewritten"] is True
        assert [turn["role"] for turn in model.bodies()[-1]["messages"]] == [
            "system", "user", "assistant", "user"
        ]  # fmt: skip

        read = (await client.get("/v1/conversations/talk")).json()
        assert read["name"] == "talk"
        assert [turn["asked"] for turn in read["data"]] == ["tell me of backups", "and when?"]
        kept = (await client.get(f"/v1/answers/{second['id']}")).json()
        assert kept == read["data"][1]
        assert kept["state"] == "complete"
        same = ("answer", "citations", "model", "question", "rewritten", "usage", "conversation")
        assert {key: kept[key] for key in same} == {key: second[key] for key in same}

        gone = await client.delete("/v1/conversations/talk")
        assert (gone.status_code, gone.content) == (204, b"")
        for path in ("/v1/conversations/talk", f"/v1/answers/{first['id']}"):
            missing = await client.get(path)
            assert missing.status_code == 404
            assert missing.headers["content-type"] == "application/problem+json"
        assert (await client.delete("/v1/conversations/talk")).status_code == 404


async def test_a_cut_stream_ends_in_an_error_and_is_kept_as_incomplete(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, client, model):
        model.faults.append(Fault(cut=True, after=6))
        body = {"question": "backups?", "model": "vllm", "conversation": "cut", "stream": True}
        reply = await client.post("/v1/answer", json=body)
        events = [event.split("\n") for event in reply.text.strip().split("\n\n")]
        names = [lines[0].removeprefix("event: ") for lines in events]
        assert names[-1] == "error"
        assert set(names[:-1]) == {"piece"}
        text = "".join(json.loads(lines[1][6:])["text"] for lines in events[:-1])
        (kept,) = (await client.get("/v1/conversations/cut")).json()["data"]
        assert (kept["state"], kept["answer"]) == ("incomplete", text)
        await ask(client, "and when?", conversation="cut")
        assert len(model.bodies()) == 2  # what broke off is no turn to rewrite from


async def test_the_name_of_a_conversation_is_checked(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, client, _model):
        for name in ("a b", "x" * 201, "%00"):
            assert (await client.get(f"/v1/conversations/{name}")).status_code == 422
