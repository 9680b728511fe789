"""Inconsistencies put into a data folder by hand: into its SQLite files, its kept files, its rows.

Each injury says which kinds of finding it must lead to.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from indexers.doctor.findings import Kind
from rag.filters import Eq
from rag.ports import Index, IndexSpec
from rag.runtime import open_runtime
from rag.types import Chunk, chunk_id
from rag.vectors import Batch, SparseMatrix
from tests.faults.patient import Patient

Target: TypeAlias = str
"""Id of the document that is hurt."""
Injury: TypeAlias = Callable[[Patient, Target], Awaitable[set[Kind]]]


# --- rows ----------------------------------------------------------------------------------------


async def rows_gone(patient: Patient, document: Target) -> set[Kind]:
    with patient.rows() as connection:
        count = connection.execute(
            "SELECT count(*) FROM rows WHERE document = ?", (document,)
        ).fetchone()[0]
        gone = patient.random.randint(1, count)
        connection.execute(
            "DELETE FROM rows WHERE seq IN (SELECT seq FROM rows WHERE document = ? LIMIT ?)",
            (document, gone),
        )
    return {"rows_missing"}


async def row_flipped(patient: Patient, document: Target) -> set[Kind]:
    column = patient.random.choice(["text", "fields", "dense", "weights", "digest", "stop"])
    value = {"text": "'?'", "fields": "'{'", "stop": "stop + 1"}.get(column, "zeroblob(16)")
    with patient.rows() as connection:
        connection.execute(
            f"UPDATE rows SET {column} = {value} WHERE seq ="
            " (SELECT min(seq) FROM rows WHERE document = ?)",
            (document,),
        )
    return {"rows_damaged", "rows_missing"}


async def row_too_many(patient: Patient, document: Target) -> set[Kind]:
    async def change(index: Index, batch: Batch) -> None:
        chunk = batch.chunks[0]
        ordinal = len(batch.chunks)
        name = chunk_id(patient.generation, document, chunk.attempt, ordinal)
        await index.upsert(part(batch, [replace(chunk, id=name, ordinal=ordinal)]))

    await patient.change_rows(Eq("document", document), change)
    return {"rows_extra"}


async def row_twice(patient: Patient, document: Target) -> set[Kind]:
    async def change(index: Index, batch: Batch) -> None:
        await index.upsert(part(batch, [replace(batch.chunks[0], id=str(uuid.uuid4()))]))

    await patient.change_rows(Eq("document", document), change)
    return {"rows_extra"}


async def field_wrong(patient: Patient, document: Target) -> set[Kind]:
    name, value = patient.random.choice(
        [
            ("tenant", "another"),
            ("subjects", ["user:somebody"]),
            ("subjects", []),
            ("uri", "file:///elsewhere"),
            ("title", "Another title"),
            ("meta.path", "elsewhere.md"),
            ("meta.stranger", 7),
        ]
    )

    async def change(index: Index, _: Batch) -> None:
        assert await index.patch(Eq("document", document), {name: value})

    await patient.change_rows(Eq("document", document), change)
    return {"rows_fields"}


async def document_field_wrong(patient: Patient, document: Target) -> set[Kind]:
    async def change(index: Index, _: Batch) -> None:
        assert await index.patch(Eq("document", document), {"document": str(uuid.uuid4())})

    await patient.change_rows(Eq("document", document), change)
    return {"rows_fields"}


async def attempt_field_wrong(patient: Patient, document: Target) -> set[Kind]:
    async def change(index: Index, _: Batch) -> None:
        assert await index.patch(Eq("document", document), {"attempt": 987_654})

    await patient.change_rows(Eq("document", document), change)
    return {"rows_missing", "rows_orphaned"}


async def row_of_other_text(patient: Patient, document: Target) -> set[Kind]:
    async def change(index: Index, batch: Batch) -> None:
        chunk = batch.chunks[0]
        other = patient.random.choice(
            [replace(chunk, text=chunk.text[:-1] + "?"), replace(chunk, start=chunk.start + 1)]
        )
        await index.upsert(part(batch, [other]))

    await patient.change_rows(Eq("document", document), change)
    return {"rows_text"}


async def row_of_other_terms(patient: Patient, document: Target) -> set[Kind]:
    async def change(index: Index, batch: Batch) -> None:
        terms, weights = batch.sparse.row(0)
        terms = np.append(terms[:-1], terms[-1] ^ np.uint32(1))
        sparse = SparseMatrix.from_rows([(np.sort(terms), weights)])
        await index.upsert(replace(part(batch, batch.chunks[:1]), sparse=sparse))

    await patient.change_rows(Eq("document", document), change)
    return {"rows_terms"}


async def terms_forgotten(patient: Patient, document: Target) -> set[Kind]:
    value = patient.random.choice([b"", b"\x01\x02\x03"])
    with patient.catalog() as connection:
        connection.execute("UPDATE versions SET terms = ? WHERE document = ?", (value, document))
    return {"rows_terms", "statistics"}


async def rows_of_nobody(patient: Patient, document: Target) -> set[Kind]:
    attempt = patient.random.randint(100_000, 200_000)

    async def change(index: Index, batch: Batch) -> None:
        chunks = [
            replace(
                chunk,
                id=chunk_id(patient.generation, document, attempt, chunk.ordinal),
                attempt=attempt,
            )
            for chunk in batch.chunks
        ]
        fields = [{**row, "attempt": attempt} for row in batch.fields]
        await index.upsert(replace(batch, chunks=chunks, fields=fields))

    await patient.change_rows(Eq("document", document), change)
    return {"rows_orphaned"}


async def index_gone(patient: Patient, _: Target) -> set[Kind]:
    for file in patient.index_file.parent.iterdir():
        file.unlink()
    return {"index"}


async def index_scrambled(patient: Patient, _: Target) -> set[Kind]:
    size = patient.index_file.stat().st_size
    patient.index_file.write_bytes(patient.random.randbytes(size))
    return {"index"}


async def index_of_nobody(patient: Patient, _: Target) -> set[Kind]:
    async with open_runtime(patient.settings) as runtime:
        await runtime.store("faiss").create(IndexSpec(str(uuid.uuid4()), 8))
    return {"index_orphaned"}


# --- kept files ----------------------------------------------------------------------------------


async def text_gone(patient: Patient, document: Target) -> set[Kind]:
    patient.kept("texts", document).unlink()
    return {"text"}


async def text_flipped(patient: Patient, document: Target) -> set[Kind]:
    flip(patient.kept("texts", document), patient.random)
    return {"text"}


async def text_of_upload_gone(patient: Patient, _: Target) -> set[Kind]:
    return await text_gone(patient, patient.uploaded())


async def original_gone(patient: Patient, _: Target) -> set[Kind]:
    patient.kept("originals", patient.uploaded()).unlink()
    return {"original"}


async def original_flipped(patient: Patient, _: Target) -> set[Kind]:
    flip(patient.kept("originals", patient.uploaded()), patient.random)
    return {"original"}


async def file_of_nobody(patient: Patient, document: Target) -> set[Kind]:
    owner = patient.random.choice([document, str(uuid.uuid4())])
    content = patient.random.randbytes(20)
    folder = patient.settings.data_dir / patient.random.choice(["texts", "originals"]) / owner
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha256(content).hexdigest()).write_bytes(content)
    return {"file_orphaned"}


# --- the catalog ---------------------------------------------------------------------------------


async def statistics_wrong(patient: Patient, _: Target) -> set[Kind]:
    statement = patient.random.choice(
        [
            "UPDATE generations SET chunks = chunks + 3",
            "UPDATE frequencies SET chunks = chunks + 1 WHERE term % 3 = 0",
            "DELETE FROM frequencies WHERE term % 5 = 0",
            "INSERT INTO frequencies SELECT generation, 4294967296, 1 FROM frequencies LIMIT 1",
        ]
    )
    with patient.catalog() as connection:
        assert connection.execute(statement).rowcount
    return {"statistics"}


async def version_falsified(patient: Patient, document: Target) -> set[Kind]:
    statement = patient.random.choice(
        [
            "UPDATE versions SET title = title || '?' WHERE document = :document",
            "UPDATE versions SET metadata = '{}' WHERE document = :document",
            "UPDATE versions SET metadata = '{\"a' WHERE document = :document",
            "UPDATE documents SET uri = 'file:///elsewhere' WHERE id = :document",
            "INSERT INTO document_access VALUES (:document, 'user:somebody')",
        ]
    )
    with patient.catalog() as connection:
        assert connection.execute(statement, {"document": document}).rowcount
    return {"checksum"}


async def document_without_version(patient: Patient, _: Target) -> set[Kind]:
    with patient.catalog() as connection:
        connection.execute(
            "INSERT INTO documents SELECT ?, collection, source, ?, 'file:///lost', created,"
            " NULL, NULL"
            " FROM documents LIMIT 1",
            (str(uuid.uuid4()), str(uuid.uuid4())),
        )
    return {"document"}


async def head_gone(patient: Patient, _: Target) -> set[Kind]:
    value = patient.random.choice([None, str(uuid.uuid4())])
    with patient.catalog() as connection:
        connection.execute("UPDATE collections SET live = ?", (value,))
    return {"collection"}


async def receipt_left_open(patient: Patient, document: Target) -> set[Kind]:
    with patient.catalog() as connection:
        connection.execute(
            "INSERT INTO receipts VALUES (?, 'default', 'docs', ?, 'file:///x', 'request', NULL,"
            " 1, 1, 1700000000.0, NULL)",
            (str(uuid.uuid4()), str(uuid.uuid4())),
        )
    return {"receipt"}


async def attempt_expired(patient: Patient, document: Target) -> set[Kind]:
    with patient.catalog() as connection:
        connection.execute(
            "INSERT INTO attempts (generation, document, text_digest, state, lease_until)"
            " VALUES (?, ?, ?, 'open', 1.0)",
            (patient.generation, document, "0" * 64),
        )
    return {"undrained"}


async def deletion_waits(patient: Patient, document: Target) -> set[Kind]:
    with patient.catalog() as connection:
        connection.execute(
            "INSERT INTO deletions (generation, document, attempt, text_digest, created)"
            " VALUES (?, ?, 777777, ?, 1.0)",
            (patient.generation, document, "0" * 64),
        )
    return {"undrained"}


# --- the cache -----------------------------------------------------------------------------------


async def cache_scrambled(patient: Patient, _: Target) -> set[Kind]:
    patient.cache_file.write_bytes(patient.random.randbytes(20_000))
    return {"cache"}


async def vectors_of_nobody(patient: Patient, _: Target) -> set[Kind]:
    with closing(sqlite3.connect(patient.cache_file)) as connection, connection:
        connection.execute(
            "INSERT INTO owners SELECT ?, key FROM vectors LIMIT 1", (str(uuid.uuid4()),)
        )
    return {"cache_orphaned"}


# --- parts ---------------------------------------------------------------------------------------


def part(batch: Batch, chunks: Sequence[Chunk]) -> Batch:
    """Return the first rows of a batch, with other chunks."""
    size = len(chunks)
    return Batch(chunks, batch.fields[:size], batch.dense[:size], batch.sparse.take(range(size)))


def flip(file: Path, rng: random.Random) -> None:
    """Flip one bit of a file."""
    content = bytearray(file.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


OF_DOCUMENTS: tuple[Injury, ...] = (
    rows_gone,
    row_flipped,
    row_too_many,
    row_twice,
    field_wrong,
    document_field_wrong,
    attempt_field_wrong,
    row_of_other_text,
    row_of_other_terms,
    terms_forgotten,
    rows_of_nobody,
    text_gone,
    text_flipped,
    file_of_nobody,
    version_falsified,
    attempt_expired,
    deletion_waits,
)
"""Those that hurt one document: several at once are found each for itself."""
OF_THE_WHOLE: tuple[Injury, ...] = (
    index_gone,
    index_scrambled,
    index_of_nobody,
    text_of_upload_gone,
    original_gone,
    original_flipped,
    statistics_wrong,
    document_without_version,
    head_gone,
    receipt_left_open,
    cache_scrambled,
    vectors_of_nobody,
)
NEEDS_THE_SOURCE: frozenset[Injury] = frozenset({text_gone, text_flipped, version_falsified})
"""What is left until the source is ingested again."""
LOST: frozenset[Injury] = frozenset({original_gone, original_flipped})
"""What cannot be brought back, and is said once."""
