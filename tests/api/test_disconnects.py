"""A client that goes away ends the work that it asked for, down to the language model."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from tests.api.test_answer import QUESTION, answering
from tests.fakes.faults import Fault
from tests.fakes.serving import Fake, fake

CHAT = {"messages": [{"role": "user", "content": QUESTION["question"]}]}


async def _until(quiet: Any) -> bool:
    for _ in range(200):
        if quiet():
            return True
        await asyncio.sleep(0.01)
    return False


async def _ask_and_go(client: httpx2.AsyncClient, model: Fake, path: str, body: Any) -> None:
    """Send a request, wait until the model is asked, hang up."""
    asked, url = len(model.requests), client.base_url
    _, writer = await asyncio.open_connection(url.host, url.port)
    content = orjson.dumps(body)
    head = f"POST {path} HTTP/1.1\r\nhost: {url.host}\r\ncontent-type: application/json\r\n"
    writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
    assert await _until(lambda: len(model.requests) > asked)
    await asyncio.sleep(0.1)  # words that the model says before it falls silent are on their way
    writer.transport.abort()


SILENT, MUTE = Fault(stall=True, after=3), Fault(hang=True)


@pytest.mark.parametrize(
    ("path", "stream", "fault"),
    [
        ("/v1/answer", False, MUTE),
        ("/v1/answer", True, MUTE),
        ("/v1/chat/completions", False, SILENT),
        ("/v1/chat/completions", True, SILENT),
    ],
)
async def test_nothing_is_left_of_the_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str, stream: bool, fault: Fault
) -> None:
    body = {**(QUESTION if path == "/v1/answer" else CHAT), "model": "fake", "stream": stream}
    async with (
        fake("vllm", text="a b c d e f") as model,
        answering(tmp_path, model.base_url) as client,
    ):
        assert (await client.post(path, json=body)).status_code == 200
        before = len(asyncio.all_tasks())
        model.faults.append(fault)
        await _ask_and_go(client, model, path, body)
        assert await _until(lambda: model.open == 0)
        assert await _until(lambda: len(asyncio.all_tasks()) <= before)
        assert model.requests[-1].abandoned
        assert (await client.post(path, json=body)).status_code == 200
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
