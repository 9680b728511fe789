"""Which quote supports a sentence, and which sentence nothing supports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence

import pytest

from rag.attributing import Attribution
from rag.embedders.bm25 import Bm25Encoder
from rag.embedders.hashing import HashingEmbedder
from rag.errors import Unavailable
from rag.types import Chunk, Hit, Role
from rag.vectors import Embedded

TEXTS = (
    "The server listens on port 8473 by default. It runs on Linux and macOS.",
    "# Backups\n\nBackups are written every night at three. Each takes 1.5 GB.\n",
    "Copies are written every night at three to another machine.",
)


def hits(texts: Sequence[str] = TEXTS) -> list[Hit]:
    chunks = [
        Chunk(f"c{n}", f"d{n}", 1, 0, 100, 100 + len(text), text) for n, text in enumerate(texts)
    ]
    return [Hit(chunk, "file:///x", "Manual 7", {}, 1.0, {}) for chunk in chunks]


async def count(terms: Collection[int]) -> Mapping[int, int]:
    return dict.fromkeys(terms, 1)


def attribution(embedder: HashingEmbedder | None, texts: Sequence[str] = TEXTS) -> Attribution:
    encoder = Bm25Encoder(Bm25Encoder.Options())
    return Attribution(hits(texts), encoder, embedder, chunks=100, count=count)


@pytest.fixture(params=[True, False], ids=["words and meaning", "words"])
async def sources(request: pytest.FixtureRequest) -> AsyncIterator[Attribution]:
    embedder = HashingEmbedder(HashingEmbedder.Options()) if request.param else None
    async with attribution(embedder) as opened:
        yield opened


@pytest.mark.parametrize(
    ("sentence", "quote"),
    [
        ("By default the server listens on port 8473.", TEXTS[0][:43]),
        ("- It runs on Linux and on macOS.", "It runs on Linux and macOS."),
        ("Backups are written at three every night.", "Backups are written every night at three."),
        ("3. Each takes 1.5 GB.", "Each takes 1.5 GB."),
    ],
)
async def test_the_quote_that_says_it_is_found(
    sources: Attribution, sentence: str, quote: str
) -> None:
    found = await sources.support(sentence)
    assert found is not None
    assert found.text == quote
    text = found.hit.chunk.text
    assert text[found.start - 100 : found.end - 100] == quote


@pytest.mark.parametrize(
    "sentence",
    [
        "Penguins cannot fly.",
        "The server listens on port 9999 by default.",
        "Each takes 15 GB.",
        "The moon is made of green cheese and the server knows.",
    ],
)
async def test_what_no_source_says_is_not_supported(sources: Attribution, sentence: str) -> None:
    assert await sources.support(sentence) is None


async def test_a_models_own_mark_decides_between_equals(sources: Attribution) -> None:
    both = "Written every night at three."
    for number in (2, 3):
        found = await sources.support(both, {number})
        assert found is not None
        assert found.hit.chunk.document_id == f"d{number - 1}"
    assert await sources.support("Penguins cannot fly.", {1, 2, 3, 99}) is None


def test_what_says_nothing_is_not_judged() -> None:
    sources = attribution(None)
    for text in ("# Backups", "| a | b |", "```python", "These are the ports:", "***"):
        assert not sources.judged(text)
    for text in ("Backups are written.", "- Linux", "8473", "東京です。"):
        assert sources.judged(text)


async def test_without_passages_nothing_is_supported() -> None:
    async with attribution(HashingEmbedder(HashingEmbedder.Options()), ()) as sources:
        assert await sources.support("The server listens on port 8473.") is None


class Failing(HashingEmbedder):
    """An embedder that is down."""

    async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
        raise Unavailable("the embedder is down")


async def test_an_embedder_that_fails_is_told_where_it_matters() -> None:
    async with attribution(Failing(HashingEmbedder.Options())):
        pass
    async with attribution(Failing(HashingEmbedder.Options())) as sources:
        with pytest.raises(Unavailable, match="is down"):
            await sources.support("The server listens on port 8473.")
