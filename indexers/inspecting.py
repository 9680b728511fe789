"""One file parsed and cut as an ingest would do it, and nothing kept: for people to look at.

Knows the parser and the chunker; nothing of collections.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass
from pathlib import Path

from indexers.chunking import ChunkSpec, chunk
from indexers.opening import Opened, open_blob
from indexers.parser import Parser
from rag.errors import UnreadableDocument
from rag.ports import Embedder
from rag.settings import Parsing
from rag.types import Blob, Document, Metadata, Span


@dataclass(frozen=True, slots=True)
class Inspected:
    """A document of the file, or why a member of it is none."""

    path: tuple[str, ...]
    """Names of the members that lead to it; empty for the file itself."""
    document: Document | None
    metadata: Metadata
    spans: Sequence[Span]
    error: UnreadableDocument | None

    @property
    def result(self) -> str:
        """Say in one word what came of it: ok, empty, or one of `rag.errors.UNREADABLE`."""
        if self.error is not None or self.document is None:
            return self.error.code if self.error is not None else "crashed"
        return "ok" if self.document.text.strip() else "empty"


async def inspect(
    path: Path, settings: Parsing, cut: tuple[Embedder, ChunkSpec] | None
) -> AsyncIterator[Inspected]:
    """Yield the documents of a file; raise `OSError` or `UnreadableDocument` when there is none.

    `cut`: for which embedder to make chunks, and how; None makes none.
    """
    parser = Parser(settings)
    try:
        with closing(await asyncio.to_thread(_open, path)) as file:
            async with aclosing(parser.parse(file)) as found:
                async for parsed in found:
                    document = parsed.document
                    spans: Sequence[Span] = ()
                    if document is not None and cut is not None:
                        embedder, spec = cut
                        spans = await asyncio.to_thread(
                            chunk, document, spec, embedder.count_tokens
                        )
                    yield Inspected(
                        parsed.path,
                        document,
                        {**(document.metadata if document else {}), **parsed.metadata},
                        spans,
                        parsed.error,
                    )
    finally:
        await parser.close()


def _open(path: Path) -> Opened:
    place = path.resolve()
    return open_blob(Blob(place.as_uri(), "", path=place))
