"""What the server answers to questions, as the OpenAPI document names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Location:
    """Where in its file a text stands, for people."""

    kind: Literal["page", "slide", "sheet"]
    number: int
    """1 is the first."""
    last: int
    label: str = ""
    cells: str = ""


@dataclass(frozen=True, slots=True)
class Citation:
    """A quote and where it stands: `quote` is `text[start:end]` of the document's text."""

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
class Usage:
    """Tokens that a language model read and wrote, and what they cost where prices are set."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found. `score` is comparable within one reply only."""

    id: str
    document_id: str
    uri: str
    title: str
    heading: tuple[str, ...]
    location: Location | None
    start: int
    end: int
    text: str
    score: float
    signals: Mapping[str, float]
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SearchReply:
    """Hits, best first."""

    hits: tuple[Hit, ...]
    partial: bool
    """More may match than could be verified in time."""
    unread: bool
    """The embedder cannot read the question."""


@dataclass(frozen=True, slots=True)
class AnswerReply:
    """An answer; its `[n]` marks point to citations."""

    id: str
    """Of the stored answer."""
    answer: str
    citations: tuple[Citation, ...]
    model: str
    abstained: bool
    """The collection holds no answer."""
    unsupported: tuple[tuple[int, int], ...]
    """Start and end in `answer` of sentences that no source supports."""
    partial: bool
    question: str
    """As it was searched."""
    rewritten: bool | None
    """Whether a model rewrote it to stand alone; None outside conversations."""
    conversation: str | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingRow:
    """The vector of one text."""

    index: int
    embedding: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class EmbeddingsReply:
    """Vectors in the order of the texts."""

    model: str
    data: tuple[EmbeddingRow, ...]


@dataclass(frozen=True, slots=True)
class RerankResult:
    """A document's place in the request, and its score; higher is better."""

    index: int
    relevance_score: float
    document: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class RerankReply:
    """Results, best first."""

    id: str
    model: str
    results: tuple[RerankResult, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A model that requests may name; `cumulo["role"]` says what for: llm, embedder, reranker."""

    id: str
    created: int
    owned_by: str
    cumulo: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelsReply:
    """Models of the server."""

    data: tuple[Model, ...]


@dataclass(frozen=True, slots=True)
class KeptReply:
    """An answer that was given before, with what was asked."""

    id: str
    answer: str
    citations: tuple[Citation, ...]
    model: str
    abstained: bool
    unsupported: tuple[tuple[int, int], ...]
    partial: bool
    question: str
    """As it was searched."""
    rewritten: bool | None
    conversation: str | None
    usage: Usage | None
    asked: str
    """As it was asked."""
    collection: str
    state: Literal["complete", "abstained", "incomplete", "withdrawn"]
    """`incomplete` broke off; of `withdrawn` a source is gone, and so is its text."""
    created: float
    """Epoch seconds."""


@dataclass(frozen=True, slots=True)
class ConversationReply:
    """The turns of a conversation, oldest first."""

    name: str
    data: tuple[KeptReply, ...]
