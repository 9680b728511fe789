"""Sentences of hits as quotes: where each stands in its document, so that a citation lands.

Knows offsets; knows nothing of why a sentence was chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.places import locate
from rag.sentences import sentences
from rag.types import Chunk, Citation, Hit

MIN_CHARACTERS = 3


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence of a hit; `start` and `end` are characters of the document's parsed text."""

    hit: Hit
    start: int
    end: int
    text: str


def quotes(hits: Sequence[Hit]) -> Iterator[Quote]:
    """Yield the sentences of the hits without the white space around them, each place once."""
    seen: set[tuple[str, int]] = set()
    for hit in hits:
        for start, end in sentences(hit.chunk.text):
            text = hit.chunk.text[start:end]
            bare = text.strip()
            first = hit.chunk.start + start + len(text) - len(text.lstrip())
            if len(bare) < MIN_CHARACTERS or (hit.chunk.document_id, first) in seen:
                continue
            seen.add((hit.chunk.document_id, first))
            yield Quote(hit, first, first + len(bare), bare)


def cite(n: int, quote: Quote) -> Citation:
    """Number a quote."""
    chunk = quote.hit.chunk
    return Citation(
        n=n,
        document_id=chunk.document_id,
        uri=quote.hit.uri,
        title=quote.hit.title,
        heading=_headings_above(chunk, quote.start),
        start=quote.start,
        end=quote.end,
        quote=quote.text,
        location=locate(chunk.places, chunk.text, quote.start, quote.end, offset=chunk.start),
    )


def _headings_above(chunk: Chunk, start: int) -> tuple[str, ...]:
    """Return the headings above a place in a chunk, outermost first.

    Those above the chunk hold for all of it; of those inside, each ends the ones as deep as it.
    """
    inside: list[tuple[int, str]] = []
    for place, level, label in chunk.outline:
        if place >= start:
            break
        while inside and inside[-1][0] >= level:
            inside.pop()
        inside.append((level, label))
    return (*chunk.heading, *(label for _, label in inside))
