"""What the server says of what it keeps: collections, documents, runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class CollectionReply:
    """A collection and the pipeline of its live generation."""

    name: str
    documents: int
    chunks: int
    store: str
    embedder: str
    sparse_encoder: str
    dimension: int
    generation: str


@dataclass(frozen=True, slots=True)
class CollectionsReply:
    """All collections, by name."""

    data: tuple[CollectionReply, ...]


@dataclass(frozen=True, slots=True)
class SourceStats:
    """A source of a collection."""

    id: str
    kind: str
    root: str
    documents: int


@dataclass(frozen=True, slots=True)
class CollectionStats:
    """A collection in numbers."""

    name: str
    documents: int
    chunks: int
    store: str
    embedder: str
    sparse_encoder: str
    dimension: int
    generation: str
    sources: tuple[SourceStats, ...]
    quarantined: int
    """Files that cannot be read."""
    originals: int
    """Documents whose original is kept."""
    created: float
    updated: float | None
    """Epoch seconds of a document's last change; None: never yet."""


@dataclass(frozen=True, slots=True)
class CollectionDeleted:
    """What was deleted with a collection; since when nobody finds it, since when it is gone."""

    name: str
    documents: int
    unfindable: float
    gone: float


@dataclass(frozen=True, slots=True)
class DocumentReply:
    """A document as it is visible."""

    id: str
    collection: str
    name: str
    """What its source calls it."""
    uri: str
    title: str
    metadata: Mapping[str, Any]
    chunks: int
    digest: str
    original: bool
    """Whether the original is kept and can be fetched."""
    updated: float
    given: Mapping[str, Any]
    """Metadata that a person gave; it stands above the file's own."""


@dataclass(frozen=True, slots=True)
class DocumentsReply:
    """A page of documents."""

    data: tuple[DocumentReply, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class ChunkReply:
    """A chunk of a document; offsets are characters of its text."""

    id: str
    ordinal: int
    start: int
    end: int
    heading: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class ChunksReply:
    """A page of a document's chunks, in order."""

    data: tuple[ChunkReply, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class ReceiptReply:
    """Since when nobody finds a document, and since when nothing is left of it."""

    id: str
    document_id: str
    uri: str
    chunks: int
    unfindable: float
    gone: float | None


@dataclass(frozen=True, slots=True)
class FailureReply:
    """What could not be ingested, and why."""

    uri: str
    error: str


@dataclass(frozen=True, slots=True)
class NamedDocument:
    """A document by id and name."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class RunReply:
    """A run; `counts` grows while it is under way."""

    id: str
    collection: str
    kind: str
    state: Literal["queued", "running", "done", "interrupted", "failed"]
    counts: Mapping[str, float]
    started: float
    updated: float
    cancelled: bool
    """It was asked to stop."""
    error: str | None
    """Why all of it failed."""
    summary: Mapping[str, Any] | None
    documents: tuple[NamedDocument, ...]
    """What it ingests, where that is known."""
    failures: tuple[FailureReply, ...]
    """The first hundred; none in lists."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen in it."""
        return self.state not in ("queued", "running")


@dataclass(frozen=True, slots=True)
class RunsReply:
    """A page of runs, newest first."""

    data: tuple[RunReply, ...]
    next: str | None
