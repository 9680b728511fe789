"""An answer that a language model writes, sentence by sentence attributed to its sources.

The model's own marks are taken out as they stream; behind each sentence that a source supports
stands the number of our citation, counted by first use. Knows ports and the catalog.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from rag.abstaining import NOTHING_FOUND
from rag.attributing import Attribution
from rag.catalog.database import Catalog
from rag.catalog.statistics import frequencies
from rag.citing import Quote, cite
from rag.errors import Rejected, Unavailable
from rag.messages import Delta, Finish, Message, Usage
from rag.ports import LLM
from rag.prompting import build_prompt
from rag.retrieval import Pipelines
from rag.sentence_stream import Ended, SentenceStream
from rag.settings import Answering
from rag.types import Answer, Citation, Hit, Retrieved


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer as it streams: its text, and what the text cites for the first time."""

    text: str
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Asking:
    """What a model is asked, with what, and within which limits."""

    question: str
    hits: tuple[Hit, ...]
    turns: tuple[Message, ...]
    max_tokens: int
    temperature: float | None
    stop: tuple[str, ...] = ()


async def generate(
    llm: LLM,
    asking: Asking,
    found: Retrieved,
    pipelines: Pipelines,
    catalog: Catalog,
    settings: Answering,
) -> AsyncGenerator[Piece | Answer, None]:
    """Yield what the model writes, then the answer; raise what the model raises."""
    prompt = build_prompt(
        llm,
        asking.question,
        asking.hits,
        name=settings.prompt,
        max_tokens=asking.max_tokens,
        turns=asking.turns,
        history_tokens=settings.history_tokens,
    )
    generation = found.generation

    async def count(terms: Collection[int]) -> Mapping[int, int]:
        return await catalog.read(frequencies, generation.id, list(terms))

    sources = Attribution(
        prompt.hits,
        pipelines.sparse_encoder(generation),
        None if found.unread else pipelines.embedder(generation),
        chunks=generation.chunks,
        count=count,
    )
    deltas = llm.stream(
        prompt.messages,
        max_tokens=asking.max_tokens,
        temperature=asking.temperature,
        stop=asking.stop,
    )
    writing, stream, last = _Writing(sources), SentenceStream(), Delta()
    async with sources, aclosing(deltas):
        async for delta in deltas:
            last = _latest(last, delta)
            for part in stream.feed(delta.text):
                if (piece := await writing.take(part)).text:
                    yield piece
        if last.finish is None:
            raise Unavailable(f"{llm.model} broke off", hint="try again")
        for part in stream.end():
            if (piece := await writing.take(part)).text:
                yield piece
    yield _answer(writing, last, llm.model)


@dataclass(slots=True)
class _Writing:
    """The answer as far as it is written."""

    sources: Attribution
    text: str = ""
    citations: list[Citation] = field(default_factory=list)
    unsupported: list[tuple[int, int]] = field(default_factory=list)
    _numbers: dict[tuple[str, int], int] = field(default_factory=dict)

    async def take(self, part: str | Ended) -> Piece:
        """Add text as it is; behind a sentence that ended, add the number of what supports it."""
        if isinstance(part, str):
            self.text += part
            return Piece(part)
        if not self.sources.judged(part.text) or part.text == NOTHING_FOUND:
            return Piece("")
        quote = await self.sources.support(part.text, part.hints)
        if quote is None:
            self.unsupported.append((len(self.text) - len(part.text), len(self.text)))
            return Piece("")
        citation, new = self._cited(quote)
        mark = f" [{citation.n}]"
        self.text += mark
        return Piece(mark, (citation,) if new else ())

    def _cited(self, quote: Quote) -> tuple[Citation, bool]:
        place = (quote.hit.chunk.document_id, quote.start)
        if place in self._numbers:
            return self.citations[self._numbers[place] - 1], False
        citation = cite(len(self.citations) + 1, quote)
        self._numbers[place] = citation.n
        self.citations.append(citation)
        return citation, True


def _latest(last: Delta, delta: Delta) -> Delta:
    usage: Usage | None = delta.usage or last.usage
    finish: Finish | None = delta.finish or last.finish
    return Delta(finish=finish, usage=usage, model=delta.model or last.model)


def _answer(writing: _Writing, last: Delta, model: str) -> Answer:
    if not writing.text and last.finish != "content_filter":
        raise Rejected(
            f"{model} wrote nothing",
            hint="allow more max_tokens" if last.finish == "length" else None,
        )
    return Answer(
        writing.text,
        tuple(writing.citations),
        last.model or model,
        abstained=writing.text == NOTHING_FOUND,
        unsupported=tuple(writing.unsupported),
        finish=last.finish or "stop",
        usage=last.usage,
    )
