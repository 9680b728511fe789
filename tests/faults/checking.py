"""What must hold after any fault, and what a collection contains, to compare it with another.

Reads the catalog's tables, the store's rows and the kept texts through their public doors, and
opens them anew each time. Changes nothing and heals nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables as t
from rag.errors import RagError
from rag.filters import EVERYTHING
from rag.parsed import unpack_document
from rag.runtime import Runtime, open_runtime
from rag.settings import load_settings
from rag.types import Chunk, chunk_id
from tests.faults.workers import Place

FIELDS_OF_ONE_WRITE = {"document", "attempt", "uri"}


@dataclass(frozen=True, slots=True)
class Held:
    """A row of a store: the chunk, its vector, and the fields that filters see."""

    chunk: Chunk
    vector: bytes
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class State:
    """Everything that a data folder has of all its collections, as found."""

    versions: Mapping[tuple[str, str], Any]
    """By (generation, document): the row of the visible version, with external id and readers."""
    attempts: Mapping[int, str]
    """State by number."""
    outbox: int
    counted: Mapping[str, int]
    """Visible chunks by generation, as the catalog counts them."""
    frequencies: Mapping[str, Mapping[int, int]]
    rows: Mapping[str, Mapping[tuple[str, int], list[Held]]]
    """By generation, then by (document, attempt)."""
    texts: frozenset[tuple[str, str]]
    """(document, digest) of the kept texts."""
    readable: Mapping[tuple[str, str], str]
    """The visible texts by (document, digest), where they can be read."""
    leftovers: tuple[str, ...] = field(default=())
    """Files among the texts that are none."""


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[Runtime]:
    """Open a place in this process, through connections of its own."""
    given: dict[str, Any] = {"data_dir": place.data, "defaults": {"embedder": "hashing"}}
    if place.catalog_url is not None:
        given["catalog_url"] = place.catalog_url
    async with open_runtime(load_settings(**given)) as runtime:
        yield runtime


async def state_of(place: Place) -> State:
    """Read everything that a place holds."""
    async with opened(place) as runtime:
        return await read_state(runtime)


async def expire_leases(place: Place) -> None:
    """Let the time pass after which the attempts of a dead process are anybody's to give up."""

    def expire(connection: Connection) -> None:
        connection.execute(
            t.attempts.update().where(t.attempts.c.state == "open").values(lease_until=0.0)
        )

    async with opened(place) as runtime:
        await runtime.catalog.write(expire)


async def read_state(runtime: Runtime) -> State:
    """Read everything of an open runtime."""
    catalog = await runtime.catalog.read(_catalog)
    rows = {}
    for generation, store, dim in catalog.pop("generations"):
        rows[generation] = await _rows(runtime, generation, store, dim)
    texts = frozenset(runtime.texts.listed())
    readable = {}
    for (_, document), version in catalog["versions"].items():
        try:
            content = runtime.texts.get(document, version.text_digest)
            readable[document, version.text_digest] = unpack_document(content).text
        except RagError:
            pass  # `half_visible` says so
    return State(
        **catalog, rows=rows, texts=texts, readable=readable, leftovers=_leftovers(runtime)
    )


def half_visible(state: State) -> list[str]:
    """Say where a reader could see less, or other, than one whole version (invariant I1)."""
    wrong = []
    chunks: Counter[str] = Counter()
    terms: dict[str, Counter[int]] = defaultdict(Counter)
    for (generation, document), version in state.versions.items():
        name = version.external_id
        held = state.rows.get(generation, {}).get((document, version.attempt), [])
        found = {row.chunk.ordinal: row.chunk for row in held}
        if len(held) != version.chunks or set(found) != set(range(version.chunks)):
            wrong.append(f"{name}: {len(held)} rows for {version.chunks} chunks")
        text = state.readable.get((document, version.text_digest))
        if text is None:
            wrong.append(f"{name}: its text cannot be read")
        for ordinal, chunk in found.items():
            if chunk.id != chunk_id(generation, document, version.attempt, ordinal):
                wrong.append(f"{name}: chunk {ordinal} has a wrong id")
            if text is not None and chunk.text != text[chunk.start : chunk.end]:
                wrong.append(f"{name}: chunk {ordinal} is not a span of the text")
        if not version.access:
            wrong.append(f"{name}: nobody may read it")
        chunks[generation] += version.chunks
        packed = np.frombuffer(version.terms, "<u4").reshape(2, -1)
        terms[generation].update(dict(zip(*packed.tolist(), strict=True)))
    for generation, count in state.counted.items():
        if count != chunks[generation]:
            wrong.append(f"{count} chunks are counted, {chunks[generation]} are visible")
        if state.frequencies.get(generation, {}) != dict(terms[generation]):
            wrong.append("the document frequencies are not those of the visible chunks")
    return wrong


def leftovers(state: State) -> list[str]:
    """Say what is there beside the visible versions: after a drain it must be nothing."""
    wrong = []
    visible = {version.attempt for version in state.versions.values()}
    if state.outbox:
        wrong.append(f"{state.outbox} deletions wait in the outbox")
    for attempt, found in state.attempts.items():
        if attempt not in visible or found != "committed":
            wrong.append(f"attempt {attempt} is {found} and not visible")
    for generation, rows in state.rows.items():
        for document, attempt in rows:
            version = state.versions.get((generation, document))
            if version is None or version.attempt != attempt:
                wrong.append(f"rows of attempt {attempt} are orphaned")
    needed = {(document, v.text_digest) for (_, document), v in state.versions.items()}
    wrong += [
        f"the text of document {document} is orphaned" for document, _ in state.texts - needed
    ]
    wrong += [f"{name} is left over among the texts" for name in state.leftovers]
    return wrong


def content(state: State) -> dict[str, Any]:
    """Return what a collection says, without the ids and numbers that differ from run to run.

    By external id: digest, title, metadata, readers, and each chunk with its vector and fields;
    under the empty name the document frequencies. Of a data folder with one generation.
    """
    (rows,) = state.rows.values()
    (frequencies,) = state.frequencies.values() or ({},)
    found: dict[str, Any] = {"": frequencies}
    for (_, document), version in state.versions.items():
        chunks = sorted(rows.get((document, version.attempt), []), key=lambda r: r.chunk.ordinal)
        found[version.external_id] = (
            version.digest,
            version.title,
            version.metadata,
            version.access,
            [
                (
                    row.chunk.ordinal,
                    row.chunk.start,
                    row.chunk.end,
                    row.chunk.text,
                    row.chunk.heading,
                    row.vector,
                    {k: v for k, v in row.fields.items() if k not in FIELDS_OF_ONE_WRITE},
                )
                for row in chunks
            ],
        )
    return found


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Say which documents are lost, too many, or other than they should be."""
    wrong = [f"{name or 'frequencies'} is lost" for name in wanted.keys() - found.keys()]
    wrong += [f"{name} should not be there" for name in found.keys() - wanted.keys()]
    for name in wanted.keys() & found.keys():
        if found[name] != wanted[name]:
            wrong.append(f"{name or 'the table of frequencies'} is not what it should be")
    return wrong


def brief(wrong: list[str]) -> str:
    """Return the first few of what is wrong, and how many there are."""
    return f"{len(wrong)} wrong: " + "; ".join(wrong[:3])


@dataclass(frozen=True, slots=True)
class Version:
    """A visible version as the catalog has it."""

    external_id: str
    attempt: int
    digest: str
    text_digest: str
    title: str
    metadata: Mapping[str, Any]
    chunks: int
    terms: bytes
    access: tuple[str, ...]


def _catalog(connection: Connection) -> dict[str, Any]:
    """Read all tables in one transaction."""
    access: dict[str, list[str]] = defaultdict(list)
    for document, subject in connection.execute(sa.select(t.document_access)):
        access[document].append(subject)
    columns = ("attempt", "digest", "text_digest", "title", "metadata", "chunks", "terms")
    versions = {
        (generation, document): Version(name, *rest, tuple(sorted(access[document])))
        for generation, document, name, *rest in connection.execute(
            sa.select(
                t.versions.c.generation,
                t.versions.c.document,
                t.documents.c.external_id,
                *(t.versions.c[column] for column in columns),
            ).join(t.documents, t.documents.c.id == t.versions.c.document)
        )
    }
    attempts = connection.execute(sa.select(t.attempts.c.id, t.attempts.c.state)).all()
    outbox = connection.execute(sa.select(sa.func.count()).select_from(t.deletions)).scalar_one()
    generations = connection.execute(
        sa.select(t.generations.c.id, t.generations.c.store, t.generations.c.dim)
    ).all()
    counted = connection.execute(sa.select(t.generations.c.id, t.generations.c.chunks)).all()
    frequencies: dict[str, dict[int, int]] = {generation: {} for generation, _ in counted}
    for generation, term, count in connection.execute(sa.select(t.frequencies)):
        frequencies.setdefault(generation, {})[term] = count
    return {
        "versions": versions,
        "attempts": dict(map(tuple, attempts)),
        "outbox": outbox,
        "counted": dict(map(tuple, counted)),
        "frequencies": frequencies,
        "generations": generations,
    }


async def _rows(
    runtime: Runtime, generation: str, store: str, dim: int
) -> dict[tuple[str, int], list[Held]]:
    opened = runtime.store(store)
    if generation not in await opened.names():  # a crash may leave a collection without an index
        return {}
    index = await opened.open(generation)
    rows: dict[tuple[str, int], list[Held]] = defaultdict(list)
    async for batch in index.scan(EVERYTHING):
        for chunk, fields, vector in zip(batch.chunks, batch.fields, batch.dense, strict=True):
            held = Held(chunk, vector.tobytes(), fields)
            rows[chunk.document_id, chunk.attempt].append(held)
    return rows


def _leftovers(runtime: Runtime) -> tuple[str, ...]:
    """Name the files beside the texts: parts of a write that was cut off."""
    folder = runtime.settings.data_dir / "texts"
    kept = {digest for _, digest in runtime.texts.listed()}
    files = (path for path in folder.rglob("*") if path.is_file())
    return tuple(sorted(path.name for path in files if path.name not in kept))
