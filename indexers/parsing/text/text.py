"""Plain text: paragraphs separated by blank lines. Knows of no markup and changes no character."""

from __future__ import annotations

from collections.abc import Iterator

from indexers.parsing.content import Content
from indexers.parsing.text.decoding import decode
from rag.types import Block, Document


def parse_text(data: bytes) -> Document:
    """Read plain text in any encoding; it has no title of its own."""
    text = decode(data)
    if not text.strip():
        return Document(text="")
    return Document(text=text, blocks=tuple(_paragraphs(text)))


def _paragraphs(text: str) -> Iterator[Block]:
    start: int | None = None
    end = position = 0
    for line in text.split("\n"):
        if line.strip():
            start = position if start is None else start
            end = position + len(line)
        elif start is not None:
            yield Block("paragraph", start, end)
            start = None
        position += len(line) + 1
    if start is not None:
        yield Block("paragraph", start, end)


def parse_plain(content: Content) -> Iterator[Document]:
    """Yield the whole text as one document."""
    yield parse_text(content.read())


def parse_code(content: Content) -> Iterator[Document]:
    """Yield a program or settings as one block of code."""
    text = decode(content.read())
    blocks = (Block("code", 0, len(text.rstrip())),) if text.strip() else ()
    yield Document(text=text, blocks=blocks)
