"""The doctor on real files: each inconsistency is found as what it is, mended, and then gone."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import Connection

from indexers import ingest as job
from indexers.doctor.examining import examine
from indexers.doctor.findings import FIX, RESTORE, Kind
from rag.catalog import tables
from rag.catalog.collections import get_collection
from rag.filters import Eq
from rag.runtime import Runtime, open_runtime
from rag.settings import load_settings
from rag.types import Generation, Role
from rag.vectors import Embedded
from tests.faults.checking import half_visible, leftovers, read_state
from tests.faults.injuries import (
    LOST,
    NEEDS_THE_SOURCE,
    OF_DOCUMENTS,
    OF_THE_WHOLE,
    Injury,
    rows_gone,
)
from tests.faults.patient import Healthy, Patient
from tests.faults.wear import Died, Frail, Fuse


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Healthy:
    return asyncio.run(Healthy.made(tmp_path_factory.mktemp("healthy")))


@pytest.fixture
def patient(healthy: Healthy, tmp_path: Path) -> Patient:
    return healthy.patient(tmp_path / "data", random.Random(1))


@pytest.fixture
def writable(patient: Patient, tmp_path: Path) -> Patient:
    """A patient whose source may be changed: another folder, not yet ingested."""
    source = shutil.copytree(patient.source, tmp_path / "source")
    return replace(patient, source=source)


async def kinds(patient: Patient, *, fix: bool = False) -> set[Kind]:
    return {finding.kind for finding in (await patient.examine(fix=fix)).findings}


async def test_a_healthy_folder_has_no_finding(patient: Patient) -> None:
    for fix in (False, True, False):
        report = await patient.examine(fix=fix)
        assert report.findings == []
    assert (report.collections, report.documents) == (1, 10)
    assert report.rows == patient.one("SELECT chunks FROM generations") == 19
    assert report.files == 11  # ten texts, one original


@pytest.mark.parametrize("injury", [*OF_DOCUMENTS, *OF_THE_WHOLE], ids=lambda i: i.__name__)
async def test_an_injury_is_found_as_what_it_is_and_mended(
    healthy: Healthy, patient: Patient, injury: Injury
) -> None:
    expected = await injury(patient, patient.documents()[0])
    found = await patient.examine()
    assert {finding.kind for finding in found.findings} == expected
    assert {finding.todo for finding in found.left} == {FIX}
    mended = await patient.examine(fix=True)
    assert expected <= {finding.kind for finding in mended.findings}
    left = {finding.kind for finding in mended.left}
    assert left == (expected if injury in NEEDS_THE_SOURCE | LOST else set())
    for finding in mended.left:
        again = "hand upload:" if injury in LOST else f"run: rag ingest {patient.source}"
        assert str(finding.todo).startswith(again)
    if injury in NEEDS_THE_SOURCE:
        await patient.ingest()
        await patient.examine(fix=True)  # what the lost text's version leaves behind
    assert (await patient.examine()).findings == []
    assert await patient.answers() == healthy.answers


async def test_a_finding_names_its_document(patient: Patient) -> None:
    document = patient.documents()[0]
    await rows_gone(patient, document)
    (finding,) = (await patient.examine()).findings
    assert (finding.collection, finding.document) == ("docs", document)
    assert finding.uri == patient.one("SELECT uri FROM documents WHERE id = ?", document)
    assert "are missing" in finding.what


async def test_a_text_of_before_there_was_structure_is_read_from_its_source(
    patient: Patient,
) -> None:
    document = patient.documents()[0]
    text = patient.kept("texts", document)
    plain = text.read_bytes().partition(b"\n")[2]
    text.unlink()
    async with open_runtime(patient.settings) as runtime:
        digest = runtime.texts.put(document, plain)
    with patient.catalog() as connection:
        connection.execute(
            "UPDATE versions SET text_digest = ?, checksum = NULL WHERE document = ?",
            (digest, document),
        )
    assert await kinds(patient) == set()  # its rows are whole: nothing is wrong with it
    await rows_gone(patient, document)
    report = await patient.examine(fix=True)
    assert [finding.kind for finding in report.left] == ["rows_missing"]
    assert "rag ingest" in str(report.left[0].todo)
    assert (await patient.ingest()).updated == 1
    assert await kinds(patient) == set()


async def test_a_damaged_catalog_is_not_mended_by(patient: Patient) -> None:
    with patient.catalog() as connection:
        connection.execute("DELETE FROM sources")
    for fix in (False, True):
        report = await patient.examine(fix=fix)
        assert {finding.kind for finding in report.findings} == {"database"}
        assert {finding.todo for finding in report.left} == {RESTORE}
        assert report.documents == 0


async def test_an_empty_catalog_is_no_reason_to_delete(patient: Patient) -> None:
    """It may be that of another data folder: a wrong `catalog_url`, for example."""
    data = patient.settings.data_dir
    with closing(sqlite3.connect(data / "catalog.sqlite")) as connection, connection:
        for table in reversed(tables.metadata.sorted_tables):
            connection.execute(f"DELETE FROM {table.name}")
    files = sorted(data.glob("texts/*/*")) + sorted(data.glob("stores/faiss/*.sqlite"))
    report = await patient.examine(fix=True)
    assert {f.kind for f in report.left} == {"file_orphaned", "index_orphaned"}
    assert all(path.exists() for path in files)


async def test_one_collection_is_looked_at_alone(patient: Patient, tmp_path: Path) -> None:
    async with open_runtime(patient.settings) as runtime:
        other = await job.open_collection(runtime, "default", "other")
        await job.ingest(runtime, other, [job.upload("a.md", b"# Alone\n\nIt stands here.\n")])
    await rows_gone(patient, patient.documents()[0])
    for name, expected in (("other", set()), ("docs", {"rows_missing"})):
        async with open_runtime(patient.settings) as runtime:
            only = await runtime.catalog.read(get_collection, "default", name)
            report = await examine(runtime, only)
        assert {finding.kind for finding in report.findings} == expected
        assert report.collections == 1


# --- everything at once --------------------------------------------------------------------------


class Counting:
    """A runtime that counts the texts that are embedded."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.embedded = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runtime, name)

    def embedder(self, generation: Generation) -> Any:
        return CountingEmbedder(self, self._runtime.embedder(generation))


class CountingEmbedder:
    def __init__(self, counter: Counting, embedder: Any) -> None:
        self._counter, self._embedder = counter, embedder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._embedder, name)

    async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
        self._counter.embedded += len(texts)
        found: Embedded = await self._embedder.embed(texts, role)
        return found


async def test_half_of_the_rows_then_the_store_then_the_caches(
    healthy: Healthy, patient: Patient
) -> None:

    async def mended() -> int:
        async with open_runtime(patient.settings) as runtime:
            counting = Counting(runtime)
            report = await examine(counting, fix=True)  # type: ignore[arg-type]
        assert report.findings
        assert report.left == []
        assert await kinds(patient) == set()
        assert await patient.answers() == healthy.answers
        return counting.embedded

    with patient.rows() as connection:
        gone = connection.execute("DELETE FROM rows WHERE seq % 2 = 0").rowcount
    assert gone > 5
    assert await mended() == 0  # all vectors are in the cache

    shutil.rmtree(patient.index_file.parent)
    assert await mended() == 0

    shutil.rmtree(patient.index_file.parent)
    shutil.rmtree(patient.cache_file.parent)
    assert await mended() == patient.one("SELECT chunks FROM generations")


# --- while others write --------------------------------------------------------------------------


async def test_an_interrupted_run_leaves_only_what_waits(writable: Patient) -> None:
    patient = writable
    for at in range(2, 40, 7):
        for page in patient.source.glob("*.md"):
            page.write_text(page.read_text() + f"\n\nAdded in round {at}.\n")
        async with open_runtime(patient.settings) as runtime:
            fuse = Fuse(at, fate="dies", after=at % 2 == 0)
            frail: Any = Frail(runtime, fuse)
            found = await runtime.catalog.read(get_collection, "default", "docs")
            listings = await job.list_paths(runtime, found, [patient.source], {})
            try:
                await job.ingest(frail, found, listings)
            except Died:
                assert fuse.fired
        assert await kinds(patient) <= {"undrained"}
        if at % 4 == 0:
            with patient.catalog() as connection:
                connection.execute("UPDATE attempts SET lease_until = 0 WHERE state = 'open'")
            assert await kinds(patient, fix=True) <= {"undrained"}
    await patient.ingest()
    with patient.catalog() as connection:
        connection.execute("UPDATE attempts SET lease_until = 0 WHERE state = 'open'")
    await patient.examine(fix=True)
    assert await kinds(patient) == set()


@pytest.mark.parametrize("fix", [False, True])
async def test_nothing_of_a_running_writer_is_taken_for_damage(
    writable: Patient, monkeypatch: pytest.MonkeyPatch, fix: bool
) -> None:
    patient = writable
    monkeypatch.setattr("indexers.pipeline.WINDOW_DOCUMENTS", 2)  # many commits

    async def writing() -> None:
        for round_ in range(5):
            for n, page in enumerate(sorted(patient.source.glob("*.md"))):
                if n % 4 == round_ % 4:
                    page.write_text(page.read_text() + f"\n\nRound {round_}.\n")
            (patient.source / f"page{round_:02}.md").unlink(missing_ok=True)
            (patient.source / f"page{round_:02}.md").write_text(f"# New\n\nRound {round_}.\n")
            summary = await patient.ingest()
            assert summary.failures == []

    damaged = patient.documents()  # the writer has a source of its own
    writer = asyncio.create_task(writing())
    looks = 0
    while not writer.done():
        assert await kinds(patient, fix=fix) <= {"undrained"}
        if fix:
            await rows_gone(patient, damaged[looks % len(damaged)])
            assert await kinds(patient, fix=True) - {"undrained"} == {"rows_missing"}
        looks += 1
    await writer
    assert looks > 1  # how many depends on the machine
    async with open_runtime(patient.settings) as runtime:
        state = await read_state(runtime)
    assert half_visible(state) + leftovers(state) == []
    assert await kinds(patient) == set()


# --- another catalog -----------------------------------------------------------------------------


async def test_over_postgres(postgres_url: str, tmp_path: Path) -> None:
    settings = load_settings(
        data_dir=tmp_path / "data", catalog_url=postgres_url, defaults={"embedder": "hashing"}
    )
    pages = [job.upload(f"{n}.md", f"# Page {n}\n\nOf topic{n}.\n".encode()) for n in range(5)]
    async with open_runtime(settings) as runtime:
        found = await job.open_collection(runtime, "default", "docs")
        await job.ingest(runtime, found, pages)
        index = await runtime.index(found.live)
        assert await index.delete(Eq("uri", "upload:2.md")) == 1
        await runtime.catalog.write(hurt)
    for fix, expected in (
        (False, {"rows_missing", "statistics", "receipt", "checksum", "document", "undrained"}),
        (True, {"rows_missing", "statistics", "receipt", "checksum", "document", "undrained"}),
        (True, {"checksum"}),
    ):
        async with open_runtime(settings) as runtime:
            report = await examine(runtime, fix=fix)
        assert {finding.kind for finding in report.findings} == expected
    assert [finding.todo for finding in report.left] == ["hand upload:1.md over again"]
    async with open_runtime(settings) as runtime:
        await job.ingest(runtime, found, pages[1:2])
    async with open_runtime(settings) as runtime:
        assert (await examine(runtime)).findings == []


def hurt(connection: Connection) -> None:
    """Do what only needs the catalog."""
    for statement in (
        "UPDATE frequencies SET chunks = chunks + 1",
        "UPDATE versions SET title = 'Another' WHERE document ="
        " (SELECT id FROM documents WHERE external_id = '1.md')",
        "INSERT INTO documents SELECT '0', collection, source, 'lost', 'upload:lost', 1.0"
        " FROM documents LIMIT 1",
        "INSERT INTO receipts VALUES"
        " ('1', 'default', 'docs', '2', 'upload:gone', 'request', NULL, 1, 1, 1.0, NULL)",
        "INSERT INTO attempts (generation, document, text_digest, state, lease_until)"
        " SELECT generation, document, text_digest, 'open', 1.0 FROM versions LIMIT 1",
    ):
        assert connection.exec_driver_sql(statement).rowcount
