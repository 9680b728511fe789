"""A question answered: retrieved, decided whether to answer at all, quoted or written, kept.

Knows the order of these steps. `extractive` quotes; any other name is a language model, of whose
sentences each is attributed to what supports it. Knows ports and the catalog, no backend.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol

from rag.abstaining import NOTHING_FOUND, abstains
from rag.catalog.answers import store_answer
from rag.catalog.database import Catalog
from rag.citing import cite
from rag.conversing import earlier_turns, standalone
from rag.errors import Rejected, Unavailable
from rag.extracting import PASSAGES, extract, quoted
from rag.generating import Asking, Piece, generate
from rag.messages import Message
from rag.ports import LLM
from rag.retrieval import Pipelines, Retrieval
from rag.settings import EXTRACTIVE, Answering
from rag.types import Answer, Citation, Query, Retrieved

__all__ = ["Answerer", "Asked", "Opened", "Piece"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what it needs to be answered."""

    query: Query
    model: str = EXTRACTIVE
    """`extractive`, or the name of a configured language model."""
    history: tuple[Message, ...] = ()
    """Earlier turns that the caller gives."""
    conversation: str | None = None
    """Name of a conversation that is kept: its turns are read before those of `history`."""
    keep: bool = False
    """Keep the answer, so that a conversation goes on and feedback can name it."""
    max_tokens: int | None = None
    temperature: float | None = None
    stop: tuple[str, ...] = ()


class Opened(Pipelines, Protocol):
    """What generations pinned and what is configured, opened: provided by the runtime."""

    def named_llm(self, name: str) -> LLM:
        """Open a configured language model."""
        ...


@dataclass(slots=True)
class _Progress:
    """What is known of an answer that is under way."""

    searched: str
    model: str
    rewritten: bool | None = None
    text: str = ""
    citations: tuple[Citation, ...] = ()


class Answerer:
    """Answers questions over collections."""

    def __init__(
        self, retrieval: Retrieval, opened: Opened, catalog: Catalog, settings: Answering
    ) -> None:
        self._retrieval, self._opened = retrieval, opened
        self._catalog, self._settings = catalog, settings

    async def answer(self, asked: Asked) -> Answer:
        """Return the whole answer; `abstained` when the collection seems to hold none."""
        async with aclosing(self.stream(asked)) as parts:
            async for part in parts:
                if isinstance(part, Answer):
                    return part
        raise AssertionError("unreachable: a stream ends with its answer")

    async def stream(self, asked: Asked) -> AsyncGenerator[Piece | Answer, None]:
        """Yield the answer in pieces, then whole: its text is that of the pieces, joined.

        Raise `Unavailable` or `Rejected`, also after some pieces: then the answer is cut, and kept
        as incomplete where it was to be kept. So it is when the caller goes away.
        """
        progress = _Progress(asked.query.text, asked.model)
        answer: Answer | None = None
        try:
            async with aclosing(self._parts(asked, progress)) as parts:
                async for part in parts:
                    if isinstance(part, Answer):
                        answer = part
                        continue
                    progress.text += part.text
                    progress.citations += part.citations
                    yield part
        except BaseException:
            if asked.keep and progress.text:
                cut = Answer(progress.text, progress.citations, progress.model)
                await self._keep(asked, replace(cut, question=progress.searched), complete=False)
            raise
        if answer is None:
            raise AssertionError("unreachable: the parts end with the answer")
        if asked.keep:
            answer = replace(answer, id=await self._keep(asked, answer))
        yield answer

    async def _parts(
        self, asked: Asked, progress: _Progress
    ) -> AsyncGenerator[Piece | Answer, None]:
        llm: LLM | None = None
        if asked.model != EXTRACTIVE:
            llm = await asyncio.to_thread(self._opened.named_llm, asked.model)  # it may load files
            progress.model = llm.model
        turns = await self._turns(asked)
        query = asked.query
        if asked.conversation is not None or asked.history:
            progress.rewritten = False
        if llm is not None and turns:
            query, progress.rewritten = await standalone(llm, query, turns)
            progress.searched = query.text
        # The first hits do for k of them; quoting needs a few more to choose from.
        wider = replace(query, k=PASSAGES) if 0 < query.k < PASSAGES else query
        found = await self._retrieval.search(wider)
        if abstains(query, found, self._opened.sparse_encoder(found.generation)):
            parts = _abstained(progress)
        elif llm is None:
            parts = self._quoted(query, found, progress)
        else:
            parts = self._written(llm, asked, query, found, turns, progress)
        async with aclosing(parts):
            async for part in parts:
                if isinstance(part, Answer):
                    yield replace(
                        part,
                        partial=found.partial,
                        question=query.text,
                        rewritten=progress.rewritten,
                    )
                else:
                    yield part

    async def _turns(self, asked: Asked) -> tuple[Message, ...]:
        if asked.conversation is None:
            return asked.history
        kept = await earlier_turns(
            self._catalog, asked.query.principal, asked.conversation, asked.history
        )
        return (*kept, *asked.history)

    async def _quoted(
        self, query: Query, found: Retrieved, progress: _Progress
    ) -> AsyncGenerator[Piece | Answer, None]:
        quotes = await extract(query, found, self._opened)
        if not quotes:
            async for part in _abstained(progress):
                yield part
            return
        citations = tuple(cite(n, quote) for n, quote in enumerate(quotes, start=1))
        texts = [quoted(citation) for citation in citations]
        for citation, text in zip(citations, texts, strict=True):
            yield Piece(text if citation.n == 1 else f" {text}", (citation,))
        yield Answer(" ".join(texts), citations, progress.model)

    async def _written(
        self,
        llm: LLM,
        asked: Asked,
        query: Query,
        found: Retrieved,
        turns: tuple[Message, ...],
        progress: _Progress,
    ) -> AsyncGenerator[Piece | Answer, None]:
        asking = Asking(
            # The question as the caller put it: with its history, the model reads it in context.
            question=asked.query.text,
            hits=found.hits[: min(asked.query.k, self._settings.passages)],
            turns=turns,
            max_tokens=asked.max_tokens or self._settings.max_tokens,
            temperature=self._settings.temperature
            if asked.temperature is None
            else asked.temperature,
            stop=asked.stop,
        )
        parts = generate(llm, asking, found, self._opened, self._catalog, self._settings)
        async with aclosing(parts):
            async for part in parts:
                yield part

    async def _keep(self, asked: Asked, answer: Answer, *, complete: bool = True) -> str:
        """Keep an answer; return its id, empty when it cannot be kept: it is one all the same."""
        try:
            return await self._catalog.write(
                store_answer,
                asked.query.principal,
                answer,
                question=asked.query.text,
                collection=asked.query.collection,
                conversation=asked.conversation,
                complete=complete,
            )
        except (Unavailable, Rejected):
            return ""


async def _abstained(progress: _Progress) -> AsyncGenerator[Piece | Answer, None]:
    yield Piece(NOTHING_FOUND)
    yield Answer(NOTHING_FOUND, (), progress.model, abstained=True)
