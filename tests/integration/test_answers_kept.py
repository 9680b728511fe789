"""Kept answers: each its caller's own, and nothing in them of what is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from indexers import ingest as job
from rag.answering import Asked
from rag.catalog import answers
from rag.catalog.collections import delete_collection, find_collection
from rag.catalog.writing import remove, set_access
from rag.errors import NotFound
from rag.runtime import Runtime
from rag.settings import Settings, load_settings
from rag.types import PUBLIC, Answer, Principal, Query, local_owner

OWNER = local_owner()
PORTS = "The server listens on port 8473 by default.\n"


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """A data folder with its catalog in a file, or in Postgres."""
    url = None
    if getattr(request, "param", "sqlite") == "postgres":
        url = SecretStr(request.getfixturevalue("postgres_url"))
    return load_settings(
        data_dir=tmp_path / "data", catalog_url=url, defaults={"embedder": "hashing"}
    )


both = pytest.mark.parametrize("settings", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
async def docs(runtime: Runtime, tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    root.mkdir()
    (root / "ports.md").write_text(PORTS)
    (root / "whales.md").write_text("Whales sing in the deep sea.\n")
    await ingest(runtime, root)
    return root


async def ingest(runtime: Runtime, root: Path) -> None:
    collection = await job.open_collection(runtime, "default", "docs")
    listings = await job.list_paths(runtime, collection, [root], {})
    assert (await job.ingest(runtime, collection, listings)).failed == 0


async def ask(runtime: Runtime, text: str, principal: Principal = OWNER) -> Answer:
    query = Query(text, "docs", principal)
    answer = await runtime.answerer.answer(Asked(query, conversation="talk", keep=True))
    assert answer.id
    return answer


async def read(runtime: Runtime, answer: Answer, principal: Principal = OWNER) -> answers.Kept:
    return await runtime.catalog.read(answers.get_answer, principal, answer.id)


async def test_an_answer_is_kept_as_it_was_given(runtime: Runtime, docs: Path) -> None:
    answer = await ask(runtime, "which port?")
    kept = await read(runtime, answer)
    assert (kept.text, kept.state, kept.question) == (answer.text, "complete", "which port?")
    assert (kept.collection, kept.conversation) == ("docs", "talk")
    assert [c["quote"] for c in kept.citations] == [c.quote for c in answer.citations]
    assert (kept.model, kept.usage) == ("extractive", None)
    query = Query("which port?", "docs", OWNER)
    assert (await runtime.answerer.answer(Asked(query))).id == ""


@pytest.mark.parametrize("tenant", ["default", "elsewhere"])
async def test_nobody_else_finds_it(runtime: Runtime, docs: Path, tenant: str) -> None:
    answer = await ask(runtime, "which port?")
    other = Principal(tenant, frozenset({"user:other", PUBLIC}))
    assert (await read(runtime, answer)).id == answer.id
    with pytest.raises(NotFound, match="there is no answer"):
        await read(runtime, answer, other)
    for work in (answers.list_conversation, answers.delete_conversation):
        with pytest.raises(NotFound, match="there is no conversation"):
            await runtime.catalog.write(work, other, "talk")
    assert await runtime.catalog.read(answers.conversation_turns, other, "talk", 9) == []


@both
async def test_a_conversation_is_listed_and_deleted(runtime: Runtime, docs: Path) -> None:
    given = [await ask(runtime, text) for text in ("which port?", "whales?", "the sea?")]
    listed = await runtime.catalog.read(answers.list_conversation, OWNER, "talk")
    assert [kept.id for kept in listed] == [answer.id for answer in given]
    newest = await runtime.catalog.read(answers.conversation_turns, OWNER, "talk", 2)
    assert [kept.question for kept in newest] == ["whales?", "the sea?"]
    assert await runtime.catalog.write(answers.delete_conversation, OWNER, "talk") == 3
    with pytest.raises(NotFound):
        await read(runtime, given[0])
    with pytest.raises(NotFound):
        await runtime.catalog.write(answers.delete_conversation, OWNER, "talk")


async def gone_with(runtime: Runtime, answer: Answer) -> None:
    kept = await read(runtime, answer)
    assert (kept.state, kept.text, kept.citations) == ("withdrawn", "", ())
    assert kept.question == "which port does the server listen on?"
    turns = await runtime.catalog.read(answers.conversation_turns, OWNER, "talk", 9)
    assert answer.id not in [turn.id for turn in turns]


@both
async def test_a_deleted_document_takes_its_quotes_with_it(runtime: Runtime, docs: Path) -> None:
    answer = await ask(runtime, "which port does the server listen on?")
    document = answer.citations[0].document_id
    await runtime.catalog.write(remove, {document: None}, "request")
    await gone_with(runtime, answer)


async def test_so_does_one_that_changes_and_only_then(runtime: Runtime, docs: Path) -> None:
    answer = await ask(runtime, "which port does the server listen on?")
    (docs / "whales.md").write_text("Whales are mammals.\n")
    (docs / "ports.md").touch()
    await ingest(runtime, docs)
    assert (await read(runtime, answer)).state == "complete"
    (docs / "ports.md").write_text(PORTS.replace("8473", "9000"))
    await ingest(runtime, docs)
    await gone_with(runtime, answer)


async def test_so_does_a_deleted_collection(runtime: Runtime, docs: Path) -> None:
    answer = await ask(runtime, "which port does the server listen on?")
    collection = await runtime.catalog.read(find_collection, "default", "docs")
    assert collection is not None
    await runtime.catalog.write(delete_collection, collection.id)
    await gone_with(runtime, answer)


@both
async def test_a_document_that_is_hidden_is_quoted_no_more(runtime: Runtime, docs: Path) -> None:
    answer = await ask(runtime, "which port does the server listen on?")
    for citation in answer.citations:
        await runtime.catalog.write(set_access, citation.document_id, ["user:other"])
    await gone_with(runtime, answer)
    for citation in answer.citations:
        await runtime.catalog.write(set_access, citation.document_id, [PUBLIC])
    assert (await read(runtime, answer)).text == answer.text


async def test_an_answer_from_a_document_that_is_gone_is_not_kept(
    runtime: Runtime, docs: Path
) -> None:
    answer = await ask(runtime, "which port does the server listen on?")
    await runtime.catalog.write(remove, {answer.citations[0].document_id: None}, "request")
    late = await runtime.catalog.write(
        answers.store_answer, OWNER, answer, question="late", collection="docs"
    )
    kept = await runtime.catalog.read(answers.get_answer, OWNER, late)
    assert (kept.state, kept.text, kept.citations) == ("withdrawn", "", ())
