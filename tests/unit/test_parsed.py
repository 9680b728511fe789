"""A parsed document comes back as it was, so that the same chunks can be cut from it again."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexers.chunking import ChunkSpec, chunk
from indexers.parsing import parse
from rag.embedders.hashing import HashingEmbedder
from rag.errors import Rejected
from rag.parsed import has_structure, pack_document, unpack_document
from rag.types import Blob, Block, Document

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    "document",
    [
        Document(""),
        Document("one\ntwo\n"),
        Document('{"cumulo":1} is no head here', title="Ünïcödé \u2028 「題」"),
        Document("x" * 9, (Block("heading", 0, 4, 2, "a\nb"), Block("table", 5, 9)), "T", {"n": 1}),
        Document("lists", metadata={"a": ["x", "y"], "b": True, "c": 1.5, "d": 2**53, "e": []}),
    ],
    ids=range(5),
)
def test_what_was_packed_comes_back(document: Document) -> None:
    content = pack_document(document)
    assert unpack_document(content) == document
    assert pack_document(unpack_document(content)) == content
    assert has_structure(content)


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda p: p.name)
def test_the_same_chunks_are_cut_again(path: Path) -> None:
    (document,) = parse(Blob(path.name, "text/markdown", path=path))
    assert isinstance(document, Document)
    spec, embedder = ChunkSpec(64, 64, 16), HashingEmbedder(HashingEmbedder.Options())
    again = unpack_document(pack_document(document))
    spans = chunk(document, spec, embedder.count_tokens)
    assert len(spans) > 1
    assert chunk(again, spec, embedder.count_tokens) == spans


def test_a_text_of_before_is_read_as_it_is() -> None:
    assert unpack_document("naïve\ntext".encode()) == Document("naïve\ntext")
    assert not has_structure(b"text")


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(Rejected, match="format 2"):
        unpack_document(b'{"cumulo":2,"surprise":[]}\ntext')
