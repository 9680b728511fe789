"""Extractive answers on real parts: every quote stands where its citation says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from indexers import ingest as job
from rag import abstaining
from rag.abstaining import NOTHING_FOUND
from rag.answering import Answerer, Asked, Piece
from rag.catalog.documents import get_document
from rag.embedders.hashing import HashingEmbedder
from rag.extracting import SENTENCES
from rag.runtime import Runtime
from rag.types import Answer, Citation, Mode, Query, local_owner

PAGES = {
    "server.md": """---
title: The server
---
# Installation

The server runs on Linux. Download the archive and unpack it into any folder you like.

## Network

Names are resolved when the server starts. The server listens on port 8473 by default. Requests
that are too large are refused.

- Connections are kept alive for thirty seconds.
- Proxies must set the forwarded header.

| setting | meaning |
|---|---|
| retries | how often a name is tried |
""",
    "backup.md": """# Backups

Ein Überblick — naïve façade, 東京。 Backups are written every night at three.
To restore a backup, stop the server and copy the archive "latest" over the data folder.

> Never restore a backup while the server is running.
""",
    "crlf.txt": "First line of the log.\r\nThe rotation of the log happens on Sundays.\r\n",
    "indented.txt": "\n\n   Lemurs sleep in high trees. They eat leaves.\n",
    "long.txt": "gibberish " * 200 + "\n",
}
QUESTIONS = (
    "which port does the server listen on?",
    "how do I restore a backup?",
    "when are backups written?",
    "restore a backup while the server is running",
    "when does the rotation of the log happen?",
    "connections kept alive",
    "Überblick façade 東京",
    "where do lemurs sleep?",
    "server",
)
MODES: tuple[Mode, ...] = ("dense", "sparse", "hybrid")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    root.mkdir()
    for name, text in PAGES.items():
        (root / name).write_bytes(text.encode())
    return root


@pytest.fixture
async def answerer(runtime: Runtime, folder: Path) -> Answerer:
    collection = await job.open_collection(runtime, "default", "docs")
    listings = await job.list_paths(runtime, collection, [folder], {})
    summary = await job.ingest(runtime, collection, listings)
    assert (summary.added, summary.failed) == (len(PAGES), 0)
    return Answerer(runtime.retrieval, runtime, runtime.catalog, runtime.settings.answering)


def query(text: str, mode: Mode = "hybrid", collection: str = "docs") -> Asked:
    return Asked(Query(text, collection, local_owner(), mode=mode))


async def stored_text(runtime: Runtime, citation: Citation) -> str:
    stored = await runtime.catalog.read(get_document, citation.document_id, local_owner())
    assert (stored.uri, stored.title) == (citation.uri, citation.title)
    return await runtime.text(stored)


async def test_every_quote_stands_where_it_says(runtime: Runtime, answerer: Answerer) -> None:
    seen = 0
    for text in QUESTIONS:
        for mode in MODES:
            answer = await answerer.answer(query(text, mode))
            assert 1 <= len(answer.citations) <= SENTENCES
            assert [c.n for c in answer.citations] == list(range(1, len(answer.citations) + 1))
            assert re.findall(r"\[(\d+)\]", answer.text) == [str(c.n) for c in answer.citations]
            places = {(c.document_id, c.start) for c in answer.citations}
            assert len(places) == len(answer.citations)
            for citation in answer.citations:
                whole = await stored_text(runtime, citation)
                assert citation.quote == whole[citation.start : citation.end]
                assert citation.quote == citation.quote.strip() != ""
                seen += 1
    assert seen > len(QUESTIONS) * len(MODES)  # some answers quote more than once


async def test_the_sentence_that_answers_is_chosen(answerer: Answerer) -> None:
    for text, quote in (
        ("which port does the server listen on?", "The server listens on port 8473 by default."),
        ("when are backups written at night?", "Backups are written every night at three."),
        ("the rotation of the log", "The rotation of the log happens on Sundays."),
    ):
        answer = await answerer.answer(query(text))
        first = answer.citations[0]
        assert " ".join(first.quote.split()) == quote
        assert first.start > 0  # it is not the sentence that its document begins with
        assert answer.text.startswith(f"{quote} [1]")
        assert (answer.model, answer.abstained) == ("extractive", False)


async def test_quotes_are_whole_sentences_of_prose(answerer: Answerer) -> None:
    for text in ("how often a name is tried", "gibberish", "Installation", "Network"):
        for citation in (await answerer.answer(query(text))).citations:
            assert not citation.quote.startswith("#")
            assert len(citation.quote) <= 600


async def test_marks_of_lists_and_quotes_are_left_out_of_the_answer(
    answerer: Answerer,
) -> None:
    answer = await answerer.answer(query("connections are kept alive for thirty seconds"))
    assert answer.text.startswith("Connections are kept alive for thirty seconds. [1]")
    answer = await answerer.answer(query("never restore a backup while the server is running"))
    assert answer.text.startswith("Never restore a backup while the server is running. [1]")


async def test_the_stream_adds_up_to_the_answer(answerer: Answerer) -> None:
    for text in (*QUESTIONS, "zebra"):
        parts = [part async for part in answerer.stream(query(text))]
        pieces = [part for part in parts if isinstance(part, Piece)]
        whole = parts[-1]
        assert isinstance(whole, Answer)
        assert len(pieces) == len(parts) - 1 > 0
        assert "".join(piece.text for piece in pieces) == whole.text
        assert tuple(c for piece in pieces for c in piece.citations) == whole.citations
        assert whole == await answerer.answer(query(text))


# --- abstaining ----------------------------------------------------------------------------------


async def test_an_empty_collection_answers_nothing(runtime: Runtime) -> None:
    await job.open_collection(runtime, "default", "empty")
    answerer = Answerer(runtime.retrieval, runtime, runtime.catalog, runtime.settings.answering)
    answer = await answerer.answer(query("which port?", collection="empty"))
    assert answer == Answer(NOTHING_FOUND, (), "extractive", abstained=True, question="which port?")
    parts = [part async for part in answerer.stream(query("which port?", collection="empty"))]
    assert parts == [Piece(NOTHING_FOUND), answer]


async def test_a_model_of_unknown_scale_never_abstains(answerer: Answerer) -> None:
    for text in ("zebra giraffe okapi", "quantum", "1234"):
        answer = await answerer.answer(query(text, "dense"))
        assert not answer.abstained
        assert answer.citations


async def test_a_calibrated_model_abstains_below_both_thresholds(
    answerer: Answerer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprint = HashingEmbedder(HashingEmbedder.Options()).fingerprint
    off_topic, on_topic = "zebra giraffe okapi", "which port does the server listen on?"
    cases = (((0.9, 0.5), True, False), ((0.0, 0.5), False, False), ((0.9, 0.0), False, False))
    for thresholds, off, on in cases:
        monkeypatch.setitem(abstaining.THRESHOLDS, fingerprint, thresholds)
        assert (await answerer.answer(query(off_topic))).abstained is off
        assert (await answerer.answer(query(on_topic))).abstained is on
