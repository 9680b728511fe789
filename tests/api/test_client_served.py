"""Both clients against the real server: every method once, and what it says must agree."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rag.client import (
    AnswerReply,
    AsyncCumulo,
    BadRequest,
    Conflict,
    NotFound,
    Piece,
    Upload,
)
from tests.api.scripted import asking
from tests.api.serving import Served, served, settings_of

TEA = "# Tea\n\nGreen tea steeps for two minutes. Black tea needs four.\n"
COFFEE = "# Coffee\n\nAn espresso takes thirty seconds.\n"

both = pytest.mark.parametrize("kind", ["sync", "async"])


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(settings_of(tmp_path / "data")) as opened:
        yield opened


@both
async def test_a_life_of_documents(kind: str, server: Served, tmp_path: Path) -> None:
    (tmp_path / "tea.md").write_text(TEA)
    files = [tmp_path / "tea.md", Upload("drinks/ü ?.md", COFFEE.encode())]
    async with asking(kind, server.url) as ask:
        created = await ask("collections.create", "drinks")
        assert await ask("collections.create", "drinks", embedder="hashing") == created
        with pytest.raises(Conflict):
            await ask("collections.create", "drinks", embedder="minilm")

        run = await ask("documents.upload", "drinks", files, metadata={"hot": True})
        assert [one.name for one in run.documents] == ["tea.md", "drinks/ü ?.md"]
        run = await ask("runs.wait", run.id, timeout_s=30)
        assert (run.state, run.failures) == ("done", ())
        assert await ask("runs.get", run.id) == run
        assert (await ask("runs.follow", run.id))[-1] == run
        assert (await ask("runs.cancel", run.id)).state == "done"
        assert [one.id for one in await ask("runs.list", "drinks")] == [run.id]

        listed = await ask("documents.list", "drinks")
        assert [one.name for one in listed] == ["drinks/ü ?.md", "tea.md"]
        tea = await ask("documents.get", listed[1].id)
        assert tea == listed[1]
        assert list(tea.given.values()) == [True]
        assert tea.digest == hashlib.sha256(TEA.encode()).hexdigest()
        assert await ask("documents.original", tea.id) == TEA.encode()
        text = await ask("documents.text", tea.id)
        chunks = await ask("documents.chunks", tea.id)
        assert len(chunks) == tea.chunks
        assert all(text[chunk.start : chunk.end] == chunk.text for chunk in chunks)

        changed = await ask("documents.set_metadata", tea.id, {"kind": "leaf"})
        assert changed.given != tea.given
        found = await ask(
            "search", "tea", collection="drinks", filter={"eq": {"meta.kind": "leaf"}}
        )
        assert {hit.document_id for hit in found.hits} == {tea.id}

        stats = await ask("collections.stats", "drinks")
        assert (stats.documents, stats.originals, stats.quarantined) == (2, 2, 0)
        receipt = await ask("documents.delete", tea.id)
        assert await ask("documents.receipt", receipt.id) == receipt
        for method in ("get", "text", "original", "delete", "chunks"):
            with pytest.raises(NotFound):
                await ask(f"documents.{method}", tea.id)
        assert (await ask("collections.get", "drinks")).documents == 1
        deleted = await ask("collections.delete", "drinks")
        assert deleted.documents == 1
        assert await ask("collections.list") == ()


@both
async def test_answers_are_the_same_whole_and_streamed(kind: str, server: Served) -> None:
    question = "How long does green tea steep?"
    async with asking(kind, server.url) as ask:
        assert (await ask("ready"))["ready"] is True
        await ask("collections.create", "default")
        await ask("documents.add_text", "default", "tea.md", TEA, wait=True)
        whole = await ask("answer", question, conversation="tea:time")
        *pieces, streamed = await ask("stream_answer", question)
        assert isinstance(streamed, AnswerReply)
        assert all(isinstance(piece, Piece) for piece in pieces)
        assert "".join(piece.text for piece in pieces) == streamed.answer == whole.answer
        assert whole.answer.startswith("Green tea steeps for two minutes. [1]")
        text = await ask("documents.text", whole.citations[0].document_id)
        for citation in (*whole.citations, *streamed.citations):
            assert text[citation.start : citation.end] == citation.quote

        kept = await ask("kept_answer", whole.id)
        assert (kept.answer, kept.citations) == (whole.answer, whole.citations)
        assert (kept.asked, kept.state, kept.conversation) == (question, "complete", "tea:time")
        assert (await ask("conversations.get", "tea:time")).data == (kept,)
        assert await ask("conversations.delete", "tea:time") is None
        with pytest.raises(NotFound):
            await ask("kept_answer", whole.id)
        with pytest.raises(BadRequest) as caught:
            await ask("answer", question, conversation="tea time")
        assert caught.value.errors[0]["place"].endswith("conversation")


@both
async def test_models_are_named_and_used(kind: str, server: Served) -> None:
    async with asking(kind, server.url) as ask:
        roles = {model.id: model.cumulo["role"] for model in await ask("models")}
        assert roles["extractive"] == "llm"
        assert roles["hashing"] == "embedder"
        assert (await ask("model", "hashing")).cumulo["default"] is True
        rows = (await ask("embed", ["tea", "coffee"], model="hashing")).data
        assert [row.index for row in rows] == [0, 1]
        assert abs(sum(value * value for value in rows[0].embedding) - 1) < 1e-3
        with pytest.raises(NotFound):
            await ask("embed", ["tea"], model="nothing")
        with pytest.raises(NotFound):
            await ask("rerank", "tea", ["a"], model="nothing")


async def test_many_at_once_share_a_client(server: Served) -> None:
    async with AsyncCumulo(server.url) as client:
        await client.collections.create("default")
        names = [f"{i}.md" for i in range(4)]
        runs = await asyncio.gather(
            *(client.documents.add_text("default", name, TEA, wait=True) for name in names)
        )
        assert {run.state for run in runs} == {"done"}
        listed = [document.name async for document in client.documents.list("default")]
        assert listed == sorted(names)
        hits = await asyncio.gather(*(client.search("tea", k=3) for _ in range(20)))
        assert {len(found.hits) for found in hits} == {3}
