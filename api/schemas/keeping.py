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
    quarantined: int = Field(description="Files that cannot be read, see `rag failures list`.")
    originals: int = Field(description="Documents whose original is kept.")
    created: float
    updated: float | None = Field(description="When a document last changed; null: never yet.")


class CollectionDeleted(Reply):
    """What was deleted with a collection."""

    name: str
    documents: int
    unfindable: float = Field(description="Since when nobody finds anything of it.")
    gone: float = Field(description="Since when nothing is left of it.")


NAME = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
GIVEN = {"lang": "en", "year": 2026}


class TextRequest(Request):
    """A document given as text."""

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1000,
            pattern=NAME,
            description="Names the document; another of this name replaces it. "
            "Its ending tells the format.",
            examples=["notes/monday.md"],
        ),
    ]
    text: Annotated[str, Field(max_length=8_000_000, examples=["# Monday\n\nAll is well.\n"])]
    media_type: Annotated[
        str | None,
        Field(max_length=200, pattern=r"^[\w.+-]+/[\w.+-]+$", examples=["text/markdown"]),
    ] = None
    metadata: Annotated[
        dict[str, Any] | None,
        Field(
            description="Fields for filters (`meta.lang`); null leaves what the document has.",
            examples=[GIVEN],
        ),
    ] = None


class UrlRequest(Request):
    """A document to fetch; addresses inside private networks are refused."""

    url: Annotated[
        str, Field(min_length=1, max_length=4000, examples=["https://example.org/page.html"])
    ]
    name: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=1000,
            pattern=NAME,
            description="Names the document; null: its address does.",
        ),
    ] = None
    metadata: Annotated[dict[str, Any] | None, Field(examples=[GIVEN])] = None


class DocumentReply(Reply):
    """A document as it is visible."""

    id: str
    collection: str
    name: str = Field(description="What its source calls it.")
    uri: str
    title: str
    metadata: dict[str, Any] = Field(description="As filters see it: what was given on top.")
    given: dict[str, Any] = Field(description="The part of the metadata that a person gave.")
    chunks: int
    digest: str = Field(description="SHA-256 of the content.")
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
    """The chunks of a document, in order; `next` is the `after` of the following page."""

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

    metadata: Annotated[
        dict[str, Any],
        Field(
            description="Names and texts, numbers, booleans or lists of these. They stand above "
            "what the file says of itself, and stay when it is ingested again.",
            examples=[GIVEN],
        ),
    ]


class FailureReply(Reply):
    """What could not be ingested, and why."""

    uri: str
    error: str


class NamedDocument(Reply):
    """A document by id and name."""

    id: str
    name: str


class RunReply(Reply):
    """A run; `counts` grows while it is under way."""

    id: str
    collection: str
    kind: str
    state: Literal["queued", "running", "done", "interrupted", "failed"]
    counts: dict[str, float]
    started: float
    updated: float
    cancelled: bool = Field(description="It was asked to stop.")
    error: str | None = Field(description="Why all of it failed.")
    summary: dict[str, Any] | None
    documents: list[NamedDocument] = Field(description="What it ingests, where that is known.")
    failures: list[FailureReply] = Field(description="The first hundred; none in lists.")


class RunsReply(Reply):
    """Runs, newest first."""

    data: list[RunReply]
    next: str | None
