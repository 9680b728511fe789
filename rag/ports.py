"""The seams: what plug-ins provide. Protocols, inherited from by nobody.

Ports that wait are async; what only computes is a plain function. An adapter of a blocking driver
hides its own bounded thread. Conformance suites in `rag.testing` hold the meaning.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from rag.filters import Filter
from rag.messages import Delta, Message
from rag.types import Blob, Candidate, Chunk, Metadata, Role
from rag.vectors import Batch, Embedded, Search, SparseMatrix


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a plug-in finds model files and may keep what it can make again."""

    models: Path
    cache: Path


# --- sources -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Changed:
    """A document that the source has now; `fingerprint` is cheap and changes with the content."""

    external_id: str
    uri: str
    fingerprint: str
    access: tuple[str, ...]
    metadata: Metadata = field(default_factory=dict)
    size: int = 0
    given: Metadata | None = None
    """Metadata that a person gave, which stand above all others; None leaves what there is."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A document that the source has but cannot show; what is indexed of it stays."""

    external_id: str
    uri: str
    error: str


@dataclass(frozen=True, slots=True)
class ListingComplete:
    """The listing reached its end: what it covers and did not name is gone from the source."""

    covers: Callable[[str], bool]
    """Whether this listing would have named the external id, had it existed."""


Change: TypeAlias = Changed | Failed | ListingComplete


class Connector(Protocol):
    """A source of documents."""

    kind: str
    root: str
    repeatable: bool
    """Whether a document can be fetched again on another day; if not, its original is kept."""

    def changes(self) -> AsyncIterator[Change]:
        """List what exists. Absence means deletion only after `ListingComplete`."""
        ...

    async def fetch(self, change: Changed) -> Blob:
        """Open one document; raise `Unavailable` when the source cannot give it now."""
        ...


# --- encoders ------------------------------------------------------------------------------------


class Embedder(Protocol):
    """Turns texts into unit vectors of one space."""

    fingerprint: str
    """Weights, tokenizer, pooling, prefixes and token limit; not runtime, device or bf16."""
    dim: int
    max_tokens: int
    """Of one text, prefix and special tokens included; longer texts are cut."""

    async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
        """Embed texts in order. Raise `Unavailable` or `Rejected` when the model fails."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text alone, without prefix and special tokens, uncut."""
        ...

    @property
    def overhead_tokens(self) -> int:
        """Tokens of `max_tokens` that the passage prefix and the special tokens take."""
        ...

    def unknown_share(self, texts: Sequence[str]) -> float:
        """Return the share of tokens (0 to 1) that the model cannot read."""
        ...

    async def close(self) -> None:
        """Stop threads and connections; idempotent."""
        ...


class SparseEncoder(Protocol):
    """Turns texts into term weights, such that the inner product is the score."""

    fingerprint: str

    def encode(self, texts: Sequence[str]) -> SparseMatrix:
        """Encode passages: the term-frequency part of the score."""
        ...

    def terms(self, text: str) -> npt.NDArray[np.uint32]:
        """Return the distinct terms of a question, ascending."""
        ...

    def weigh_query(
        self, text: str, *, chunks: int, frequencies: Mapping[int, int]
    ) -> SparseMatrix:
        """Encode a question as one row; a term weighs more the fewer of the chunks have it."""
        ...


# --- models that read and write ------------------------------------------------------------------


class Reranker(Protocol):
    """Judges passages against a question, more exactly than an index can."""

    async def score(self, query: str, passages: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return one score per passage in their order; higher is better, the scale is its own.

        Raise `Unavailable` or `Rejected` when the model fails.
        """
        ...

    async def close(self) -> None:
        """Stop threads and connections; idempotent."""
        ...


class LLM(Protocol):
    """A language model that continues a conversation."""

    model: str
    """Its name in answers."""
    context_tokens: int
    """Of prompt and answer together."""

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Count what the messages take of `context_tokens`; rather too many than too few."""
        ...

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float | None = None,
        stop: Sequence[str] = (),
    ) -> AsyncGenerator[Delta, None]:
        """Yield the answer; the last delta has `finish`. Closing the generator ends the call.

        Raise `Unavailable` or `Rejected`, also after the first delta: then the answer is cut.
        """
        ...

    async def close(self) -> None:
        """Stop processes and connections; idempotent."""
        ...


# --- stores --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """What an index is created with."""

    name: str
    dim: int
    filterable: tuple[str, ...] = ()
    """Fields that filters will use often; a hint about cost, never about answers."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a store can hold and share; never changes an answer, only cost and limits."""

    shared: bool
    """Several processes may use one index at the same time."""
    max_dim: int
    max_k: int


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidates per signal, best first, ties by chunk id; a signal not asked for is empty."""

    dense: tuple[Candidate, ...] = ()
    sparse: tuple[Candidate, ...] = ()
    lost: int = 0
    """Rows that the index holds but cannot read any more: left out of every search."""


class Index(Protocol):
    """The rows of one generation. Every verb is durable and visible when it returns."""

    async def upsert(self, batch: Batch) -> None:
        """Insert or replace rows by chunk id, all or none."""
        ...

    async def delete(self, where: Filter) -> int:
        """Remove the rows that match; return how many."""
        ...

    async def patch(self, where: Filter, fields: Metadata) -> int:
        """Set these fields on the rows that match, keep the others; return how many."""
        ...

    async def search(self, search: Search) -> Candidates:
        """Return up to `depth` best rows per signal among those that match the filter."""
        ...

    async def fetch(self, chunk_ids: Sequence[str]) -> dict[str, Chunk]:
        """Return the chunks that exist among these ids, and are still what was written."""
        ...

    async def count(self, where: Filter) -> int:
        """Count the rows that match."""
        ...

    def scan(self, where: Filter, *, size: int = 1000) -> AsyncIterator[Batch]:
        """Yield all rows that match, with fields and vectors, in batches in a stable order.

        Rows that cannot be read any more are left out: who needs all of them counts.
        """
        ...

    async def optimize(self) -> None:
        """Make searches fast after many writes, and leave nothing behind of deleted rows.

        Never changes an exact answer. Any process may ask at any time.
        """
        ...

    async def repair(self) -> int:
        """Remove rows that are not what was written, so that they can be written again.

        Return how many are known to be lost; an index that cannot be read at all starts empty.
        """
        ...

    async def close(self) -> None:
        """Release files and memory; idempotent."""
        ...


class VectorStore(Protocol):
    """A backend that holds indexes by name."""

    capabilities: Capabilities

    async def create(self, spec: IndexSpec) -> Index:
        """Create an index, or open it when it exists with the same dimension."""
        ...

    async def open(self, name: str) -> Index:
        """Open an index; raise `NotFound` when there is none of that name."""
        ...

    async def drop(self, name: str) -> None:
        """Remove an index and its data; a missing one is no error."""
        ...

    async def names(self) -> list[str]:
        """List the indexes, sorted."""
        ...

    async def close(self) -> None:
        """Close every open index; idempotent."""
        ...
