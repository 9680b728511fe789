"""The nouns of the house: frozen, slotted, already valid when they exist.

Identifiers are lower-case UUID strings, times are epoch seconds, offsets are characters of the
parsed text, matrices are float32 and C-contiguous with rows of length one.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from rag.errors import IndexMismatch
from rag.filters import EVERYTHING, And, Eq, Filter, In, Value

Matrix: TypeAlias = npt.NDArray[np.float32]
Metadata: TypeAlias = Mapping[str, Value]
Mode: TypeAlias = Literal["dense", "sparse", "hybrid"]
Role: TypeAlias = Literal["query", "passage"]
BlockKind: TypeAlias = Literal["heading", "paragraph", "code", "table", "list", "quote"]

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
class Document:
    """Text and structure of one blob; `blocks` are in order and do not overlap."""

    text: str
    blocks: tuple[Block, ...] = ()
    title: str | None = None
    """From the content, never from the file name."""
    metadata: Metadata = field(default_factory=dict)


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


def chunk_id(generation_id: str, document_id: str, attempt: int, ordinal: int) -> str:
    """Name a chunk so that every version of every document has ids of its own."""
    return name_uuid(generation_id, document_id, attempt, ordinal)


# --- vectors -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SparseMatrix:
    """Rows of (term, weight) pairs: row i is `terms[indptr[i]:indptr[i+1]]`, terms ascending."""

    indptr: npt.NDArray[np.int64]
    terms: npt.NDArray[np.uint32]
    weights: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def row(self, i: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
        """Return the terms and weights of one row, as views."""
        span = slice(self.indptr[i], self.indptr[i + 1])
        return self.terms[span], self.weights[span]

    def take(self, rows: Sequence[int]) -> SparseMatrix:
        """Copy some rows, in the order given."""
        return SparseMatrix.from_rows([self.row(i) for i in rows])

    @staticmethod
    def stack(parts: Sequence[SparseMatrix]) -> SparseMatrix:
        """Put matrices below each other."""
        return SparseMatrix.from_rows([part.row(i) for part in parts for i in range(len(part))])

    @staticmethod
    def from_rows(
        rows: Sequence[tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]],
    ) -> SparseMatrix:
        """Stack rows of (terms, weights)."""
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(terms) for terms, _ in rows], out=indptr[1:])
        return SparseMatrix(
            indptr,
            np.concatenate([terms for terms, _ in rows] or [np.empty(0, np.uint32)]),
            np.concatenate([weights for _, weights in rows] or [np.empty(0, np.float32)]),
        )


@dataclass(frozen=True, slots=True)
class Embedded:
    """Unit rows (n, dim) in the order of the texts, and the tokens that the model read."""

    vectors: Matrix
    tokens: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Chunks beside their vectors and the fields that filters see; checked when built."""

    chunks: Sequence[Chunk]
    fields: Sequence[Metadata]
    """Per chunk: `tenant`, `subjects`, `document`, `attempt`, `uri`, `title`, `meta.*`."""
    dense: Matrix
    sparse: SparseMatrix

    def __post_init__(self) -> None:
        n = len(self.chunks)
        if len(self.fields) != n or len(self.dense) != n or len(self.sparse) != n:
            raise IndexMismatch(
                f"a batch of {n} chunks has {len(self.fields)} field rows, "
                f"{len(self.dense)} dense and {len(self.sparse)} sparse rows"
            )
        check_unit_rows(self.dense)


def check_unit_rows(vectors: Matrix) -> None:
    """Raise `IndexMismatch` unless this is a float32 matrix of finite rows of length one."""
    if vectors.dtype != np.float32 or vectors.ndim != 2 or not vectors.flags.c_contiguous:
        raise IndexMismatch(
            f"vectors must be a contiguous float32 matrix, got {vectors.dtype} {vectors.shape}"
        )
    norms = np.einsum("ij,ij->i", vectors, vectors)
    if not np.all(np.abs(norms - 1.0) < 1e-3):  # also false for NaN and infinity
        row = int(np.argmax(~(np.abs(norms - 1.0) < 1e-3)))
        raise IndexMismatch(f"vector {row} has squared length {norms[row]:.4g}, not 1")


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


@dataclass(frozen=True, slots=True)
class Search:
    """What an index is asked: one or both vectors, how deep, and the filter with scope in it."""

    depth: int
    where: Filter
    dense: Matrix | None = None
    """Shape (1, dim)."""
    sparse: SparseMatrix | None = None
    """One row of query weights."""
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """An index's row with its score in one signal; not yet known to be visible."""

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
    """Raw score per signal: cosine for `dense`, BM25 for `sparse`."""


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
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer; its `[n]` marks point to citations."""

    text: str
    citations: tuple[Citation, ...]
    model: str
    abstained: bool = False
