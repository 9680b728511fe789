"""Collections, documents and runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.shared import CollectionName, Reply, Request


class CollectionRequest(Request):
    """A collection to make; what is left out is the configured default."""

    name: CollectionName
    store: str | None = None
    embedder: str | None = None


class CollectionReply(Reply):
    """A collection and the pipeline of its live generation."""

    name: str
    documents: int
    chunks: int
    store: str
    embedder: str
    sparse_encoder: str
    dimension: int
    generation: str


class CollectionsReply(Reply):
    """All collections, by name."""

    data: list[CollectionReply]


class SourceStats(Reply):
    """A source of a collection."""

    id: str
    kind: str
    root: str
    documents: int


class CollectionStats(CollectionReply):
    """A collection in numbers."""

    sources: list[SourceStats]
    quarantined: int
    characters: int = Field(description="Of the chunks' documents, where they are known.")
    updated: float | None = Field(description="Epoch seconds of the last change.")


class CollectionDeleted(Reply):
    """What was deleted with a collection."""

    name: str
    documents: int
    unfindable: float
    gone: float | None


class TextRequest(Request):
    """A document given as text."""

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1000,
            pattern=r"^[^\x00\r\n]*$",
            description="Names the document; another of this name replaces it.",
            examples=["notes/monday.md"],
        ),
    ]
    text: Annotated[str, Field(max_length=8_000_000)]
    media_type: Annotated[str | None, Field(examples=["text/markdown"])] = None
    metadata: Annotated[dict[str, Any], Field(default_factory=dict, examples=[{"lang": "en"}])]


class UrlRequest(Request):
    """A document to fetch; addresses inside private networks are refused."""

    url: Annotated[str, Field(max_length=4000, examples=["https://example.org/page.html"])]
    name: Annotated[str | None, Field(max_length=1000)] = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class DocumentReply(Reply):
    """A document as it is visible."""

    id: str
    collection: str
    name: str = Field(description="What its source calls it.")
    uri: str
    title: str
    metadata: dict[str, Any]
    chunks: int
    digest: str
    original: bool = Field(description="Whether the original is kept and can be fetched.")
    updated: float


class DocumentsReply(Reply):
    """A page of documents by address; `next` is the cursor of the following page."""

    data: list[DocumentReply]
    next: str | None


class ChunkReply(Reply):
    """A chunk of a document; offsets are characters of its text."""

    id: str
    ordinal: int
    start: int
    end: int
    heading: list[str]
    text: str


class ChunksReply(Reply):
    """The chunks of a document, in order."""

    data: list[ChunkReply]
    next: int | None


class ReceiptReply(Reply):
    """Since when nobody finds a document, and since when nothing is left of it."""

    id: str
    document_id: str
    uri: str
    chunks: int
    unfindable: float
    gone: float | None


class MetadataRequest(Request):
    """New metadata of a document, in place of what was given before."""

    metadata: Annotated[dict[str, Any], Field(examples=[{"lang": "en", "year": 2026}])]


class FailureReply(Reply):
    """What could not be ingested, and why."""

    uri: str
    error: str


class RunReply(Reply):
    """A run; `counts` grows while it is under way."""

    id: str
    collection: str
    kind: str
    state: Literal["queued", "running", "done", "interrupted", "failed"]
    counts: dict[str, float]
    started: float
    updated: float
    error: str | None = None
    summary: dict[str, Any] | None = None
    failures: list[FailureReply] = Field(default_factory=list)


class RunsReply(Reply):
    """Runs, newest first."""

    data: list[RunReply]
    next: str | None
