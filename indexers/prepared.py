"""What passes through the stages of ingestion, and how far a run is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rag.catalog.documents import Known
from rag.ports import Changed
from rag.types import Blob, Document, Span
from rag.vectors import Matrix, SparseMatrix


@dataclass(slots=True)
class Progress:
    """How far a run is; engines count, whoever shows it reads."""

    files: int = 0
    """To fetch."""
    bytes: int = 0
    files_done: int = 0
    bytes_done: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    empty: int = 0
    """Documents in which there is no text."""
    chunks: int = 0
    tokens: int = 0
    """Embedded in this run; a vector found in the cache costs none."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    unknown: float = 0.0
    """Sum of unreadable shares over `sampled` texts."""
    sampled: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document ready to be embedded."""

    change: Changed
    known: Known | None
    digest: str
    original: Blob | None
    """The content, where the source cannot give it again; a file of it is there until the end."""
    document: Document
    parsed: bytes
    """The document as it is kept."""
    spans: Sequence[Span]
    sparse: SparseMatrix
    tokens: int
    container: str | None = None
    """External id of the file that it was taken out of."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """A window with its vectors, rows in the order of documents and spans."""

    window: Sequence[Prepared]
    dense: Matrix
