"""The nouns of the house: frozen, slotted, already valid when they exist.

Identifiers are lower-case UUID strings, times are epoch seconds, offsets are characters of the
parsed text. Vectors are in `rag.vectors`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from rag.filters import EVERYTHING, And, Eq, Filter, In, Value
from rag.messages import Finish, Usage

Metadata: TypeAlias = Mapping[str, Value]
Mode: TypeAlias = Literal["dense", "sparse", "hybrid"]
Role: TypeAlias = Literal["query", "passage"]
BlockKind: TypeAlias = Literal["heading", "paragraph", "code", "table", "list", "quote"]
PlaceKind: TypeAlias = Literal["page", "slide", "sheet"]

NAMESPACE = uuid.UUID("8f0e4d2c-6b1f-5d3a-9c57-2f8f3d0a7b11")
PUBLIC = "public"
DEFAULT_TENANT = "default"
LOCAL_OWNER = "user:owner"


def name_uuid(*parts: object) -> str:
    """Derive the UUID that these parts always have (RFC 9562 version 5)."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(map(str, parts))))


# --- what comes in -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """A configured connector of a collection: its kind and its absolute root."""

    id: str
    collection_id: str
    kind: str
    root: str


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes as a source gave them: a path (never the whole file in memory) or a short content."""

    uri: str
    media_type: str
    path: Path | None = None
    content: bytes | None = None
    title: str | None = None

    def read(self) -> bytes:
        """Return the bytes; raise `OSError` when the file cannot be read."""
        return self.path.read_bytes() if self.path is not None else self.content or b""


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of structure: a span of the text that is kept whole where it fits a chunk."""

    kind: BlockKind
    start: int
    end: int
    level: int = 0
    """Of a heading: 1 is the highest."""
    label: str = ""
    """Of a heading: its words without markup."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in its file a text stands, from `start` on until the next place."""

    start: int
    """Character of the text."""
    kind: PlaceKind
    number: int
    """1 is the first page, slide or sheet of the file."""
    label: str = ""
    """Name of a sheet."""
    row: int = 0
    """Of cells: the row (1 is the first) of the text's first line; each line is one row more."""
    column: int = 0
    """Of cells: the first column, 1 is A."""
    columns: int = 0
    """Of cells: how many columns there are."""


@dataclass(frozen=True, slots=True)
class Document:
    """Text and structure of one blob; `blocks` are in order and do not overlap."""

    text: str
    blocks: tuple[Block, ...] = ()
    title: str | None = None
    """From the content, never from the file name."""
    metadata: Metadata = field(default_factory=dict)
    places: tuple[Place, ...] = ()
    """In order of `start`; text before the first has none."""


@dataclass(frozen=True, slots=True)
class Span:
    """What the chunker makes of a document: a stretch of its text with its place in the outline."""

    start: int
    end: int
    heading: tuple[str, ...]
    """Headings above the span, outermost first."""
    embedded_text: str
    """Title, heading path and span: what encoders read."""
    tokens: int
    """Of the embedded text."""
    words: str = ""
    """What the sparse encoder reads, where it is more than the embedded text."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of one version of a document, as it stands in an index."""

    id: str
    document_id: str
    attempt: int
    ordinal: int
    start: int
    end: int
    text: str
    heading: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    """Where in the file the text stands; `start` is a character of the document's text."""
    outline: tuple[tuple[int, int, str], ...] = ()
    """Start, level and words of the headings inside the text."""


def chunk_id(generation_id: str, document_id: str, attempt: int, ordinal: int) -> str:
    """Name a chunk so that every version of every document has ids of its own."""
    return name_uuid(generation_id, document_id, attempt, ordinal)


# --- generations ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pinned:
    """A pipeline part as a generation keeps it: its configured name, options and fingerprint."""

    name: str
    options: Mapping[str, Any]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Generation:
    """One built index of a collection, with the pipeline that built it."""

    id: str
    collection_id: str
    state: Literal["building", "live", "retired"]
    store: str
    """Name of the configured store that holds it."""
    chunker: Pinned
    embedder: Pinned
    sparse: Pinned
    dim: int
    chunks: int = 0
    """Visible chunks: the N of BM25's inverse document frequency."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set of documents that belongs to exactly one tenant."""

    id: str
    tenant: str
    name: str
    live: Generation
    documents: int = 0


# --- asking --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: one tenant, and the strings that the caller is (`user:x`, `group:y`)."""

    tenant: str
    subjects: frozenset[str]

    @property
    def scope(self) -> Filter:
        """The filter that every search of this caller carries."""
        return And((Eq("tenant", self.tenant), In("subjects", sorted(self.subjects))))


def local_owner() -> Principal:
    """Return the caller of the command line: the owner of this machine's default tenant."""
    return Principal(DEFAULT_TENANT, frozenset({LOCAL_OWNER, PUBLIC}))


@dataclass(frozen=True, slots=True)
class Query:
    """What a caller asks of a collection; `k` counts chunks."""

    text: str
    collection: str
    principal: Principal
    k: int = 10
    mode: Mode = "hybrid"
    where: Filter = EVERYTHING
    exact: bool = False
    """Compare with every chunk: slower, nothing approximate."""
    reranker: str | None = None
    """Name of a configured reranker that decides the order; None is the configured default."""


class Candidate(NamedTuple):
    """An index's row with its score in one signal; not yet known to be visible.

    A tuple, because every search makes hundreds of them.
    """

    chunk_id: str
    document_id: str
    attempt: int
    score: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A verified, fused result. `score` is comparable within one mode only."""

    chunk: Chunk
    uri: str
    title: str
    metadata: Metadata
    score: float
    signals: Mapping[str, float]
    """Raw score per signal: cosine for `dense`, BM25 for `sparse`, a reranker's for `rerank`."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Hits best first, with what an answerer needs to judge them."""

    hits: tuple[Hit, ...]
    generation: Generation
    frequencies: Mapping[int, int]
    """Visible chunks that have each of the question's terms."""
    partial: bool = False
    """Verification left fewer than asked for, although more may exist, or some are damaged."""
    unread: bool = False
    """The embedder cannot read the question, so the dense signal is left out or not to trust."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where in its file a quote is to be found, for people."""

    kind: PlaceKind
    number: int
    """1 is the first page, slide or sheet."""
    last: int
    """The page or slide that the quote ends on."""
    label: str = ""
    """Name of a sheet."""
    cells: str = ""
    """Range in a sheet, such as `A5:F9`."""

    def __str__(self) -> str:
        if self.cells:
            return f"{self.label}!{self.cells}" if self.label else self.cells
        if self.label:
            return self.label
        if self.last > self.number:
            return f"{self.kind}s {self.number}-{self.last}"
        return f"{self.kind} {self.number}"


@dataclass(frozen=True, slots=True)
class Citation:
    """A quote and where it stands: `quote == text[start:end]` of the document's parsed text."""

    n: int
    document_id: str
    uri: str
    title: str
    heading: tuple[str, ...]
    start: int
    end: int
    quote: str
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer; its `[n]` marks point to citations."""

    text: str
    citations: tuple[Citation, ...]
    model: str
    abstained: bool = False
    unsupported: tuple[tuple[int, int], ...] = ()
    """Start and end in `text` of sentences that no source supports."""
    finish: Finish = "stop"
    partial: bool = False
    """More may match the question than could be verified."""
    question: str = ""
    """The question as it was searched."""
    rewritten: bool | None = None
    """Whether a model rewrote it to stand alone; None outside conversations."""
    usage: Usage | None = None
    id: str = ""
    """Of the stored answer; empty where it is not stored."""
