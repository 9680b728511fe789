"""Backup and restore on real stores and catalogs: what comes back is what was there."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from indexers import ingest as job
from indexers.backup.lines import lines_of
from indexers.backup.manifest import MANIFEST, Manifest, check_backup
from indexers.backup.reading import restore_backup
from indexers.backup.writing import ROUNDS, write_backup
from indexers.removing import remove_document
from indexers.summary import Summary
from rag.catalog import collections, documents, writing
from rag.catalog import tables as t
from rag.errors import DataFolderError, NotFound, RagError, Rejected, Unavailable, UserError
from rag.filters import EVERYTHING, Eq
from rag.runtime import Runtime, open_runtime
from rag.settings import Settings, load_settings
from rag.types import Mode, Query, local_owner
from tests.faults.checking import half_visible, leftovers, read_state
from tests.faults.workers import Place, command, start

MODES: tuple[Mode, ...] = ("dense", "sparse", "hybrid")
WORDS = [f"{a}{b}{c}" for a in "bdfgk" for b in ("al", "or", "in", "ush") for c in "mnprt"]


def quiet(_what: str, _done: int, _total: int) -> None:
    """Be told and say nothing."""


def write_pages(folder: Path, names: range, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    for n in names:
        sections = [
            f"## {rng.choice(WORDS)}\n\n{' '.join(rng.choices(WORDS, k=60))}."
            for _ in range(rng.randint(1, 3))
        ]
        (folder / f"page{n:03}.md").write_text(f"# Page {n} v{seed}\n\n" + "\n\n".join(sections))


async def ingest(runtime: Runtime, *paths: Path, name: str = "docs") -> Summary:
    collection = await job.open_collection(runtime, "default", name)
    listings = await job.list_paths(runtime, collection, paths, {})
    return await job.ingest(runtime, collection, listings)


async def upload(runtime: Runtime, name: str, content: bytes) -> None:
    collection = await job.open_collection(runtime, "default", "docs")
    summary = await job.ingest(runtime, collection, [job.upload(name, content)])
    assert summary.added + summary.updated == 1


@asynccontextmanager
async def installation(data: Path, **given: Any) -> AsyncIterator[Runtime]:
    defaults = {"embedder": "hashing"}
    async with open_runtime(load_settings(data_dir=data, defaults=defaults, **given)) as runtime:
        yield runtime


async def restore(runtime: Runtime, folder: Path) -> Manifest:
    manifest = check_backup(folder, quiet)
    await restore_backup(runtime, folder, manifest, quiet)
    return manifest


async def fill(runtime: Runtime, folder: Path) -> None:
    """Make a history: two collections, an update, a deletion, a failure, an upload, readers."""
    write_pages(folder / "a", range(16), 1)
    write_pages(folder / "b", range(3), 2)
    (folder / "a" / "broken.md").write_bytes(bytes(range(256)) * 4)
    (folder / "a" / "empty.md").write_text("")
    await ingest(runtime, folder / "a")
    await ingest(runtime, folder / "b", name="other")
    write_pages(folder / "a", range(10, 14), 3)
    (folder / "a" / "page003.md").unlink()
    await ingest(runtime, folder / "a")
    await upload(runtime, "sent.md", b"# Sent\n\nA giraffe came by mail.\n")
    collection = await runtime.catalog.read(collections.get_collection, "default", "docs")
    stored = await runtime.catalog.read(
        documents.list_documents, collection.live.id, local_owner(), limit=3
    )
    await remove_document(runtime, "default", stored[0])
    await set_readers(runtime, stored[1].id, ["user:owner", "group:x"])


async def set_readers(runtime: Runtime, document_id: str, readers: list[str]) -> None:
    collection = await runtime.catalog.read(collections.get_collection, "default", "docs")
    index = await runtime.index(collection.live)
    await index.patch(Eq("document", document_id), {"subjects": sorted(readers)})
    await runtime.catalog.write(writing.set_access, document_id, readers)


@pytest.fixture
async def filled(runtime: Runtime, tmp_path: Path) -> Runtime:
    await fill(runtime, tmp_path / "source")
    return runtime


@pytest.fixture
async def small(runtime: Runtime, tmp_path: Path) -> Runtime:
    write_pages(tmp_path / "source", range(4), 1)
    await ingest(runtime, tmp_path / "source")
    await upload(runtime, "sent.md", b"# Sent\n\nA giraffe came by mail.\n")
    return runtime


async def contents(runtime: Runtime) -> dict[str, Any]:
    """Read everything: tables, rows with vectors bit for bit, texts and originals."""
    found: dict[str, Any] = await runtime.catalog.read(tables)
    for collection in await runtime.catalog.read(collections.list_collections, "default"):
        for generation in await runtime.catalog.read(collections.generations, collection.id):
            index = await runtime.index(generation)
            rows = [line async for b in index.scan(EVERYTHING) for line in lines_of(b, b.fields)]
            found[f"rows of {generation.id}"] = sorted(rows)
    for kind, blobs in (("texts", runtime.texts), ("originals", runtime.originals)):
        found[kind] = {name: blobs.get(*name) for name in blobs.listed()}
    return found


def tables(connection: Connection) -> dict[str, Any]:
    return {
        table.name: sorted(tuple(map(repr, row)) for row in connection.execute(sa.select(table)))
        for table in t.metadata.sorted_tables
    }


async def answers(runtime: Runtime, *, seed: int, questions: int) -> list[Any]:
    """Ask random questions in all modes, comparing with every chunk."""
    rng = random.Random(seed)
    found = []
    for _ in range(questions):
        text = " ".join(rng.choices(WORDS, k=rng.randint(1, 5)))
        for mode in MODES:
            query = Query(text, "docs", local_owner(), k=8, mode=mode, exact=True)
            hits = (await runtime.retrieval.search(query)).hits
            assert hits
            found.append([(h.chunk, h.uri, h.title, h.metadata, h.score, h.signals) for h in hits])
    return found


# --- there and back ------------------------------------------------------------------------------


async def test_what_comes_back_is_what_was_there(filled: Runtime, tmp_path: Path) -> None:
    manifest = await write_backup(filled, tmp_path / "backup", quiet)
    wanted = await contents(filled)
    assert manifest.tables["receipts"] == 2
    assert [(c.name, c.documents) for c in manifest.collections] == [("docs", 16), ("other", 3)]
    assert wanted["originals"]

    async with installation(tmp_path / "new") as restored:
        await restore(restored, tmp_path / "backup")
        assert await contents(restored) == wanted
        asked = await answers(restored, seed=7, questions=25)
        assert asked == await answers(filled, seed=7, questions=25)
        # The sources are known too: only what was deleted on request is added again.
        summary = await ingest(restored, tmp_path / "source" / "a")
        found = (summary.unchanged, summary.access_changed, summary.added, summary.removed)
        assert found == (14, 1, 1, 0)


async def test_attempts_and_failures_go_on_counting(filled: Runtime, tmp_path: Path) -> None:
    # The highest numbers belong to what is gone: they must not be given again.
    await upload(filled, "last.md", b"The last one.")
    collection = await filled.catalog.read(collections.get_collection, "default", "docs")
    stored = await filled.catalog.read(
        documents.list_documents, collection.live.id, local_owner(), limit=100
    )
    last = next(document for document in stored if document.uri == "upload:last.md")
    await remove_document(filled, "default", last)
    manifest = await write_backup(filled, tmp_path / "backup", quiet)
    highest = await filled.catalog.read(highest_attempt)
    assert manifest.counters["attempts"] > highest

    async with installation(tmp_path / "new") as restored:
        await restore(restored, tmp_path / "backup")
        await upload(restored, "new.md", b"A new one.")
        assert await restored.catalog.read(highest_attempt) == manifest.counters["attempts"] + 1
        numbers = await restored.catalog.read(counters)
        assert numbers["deletions"] == manifest.counters["deletions"]


def highest_attempt(connection: Connection) -> int:
    return connection.execute(sa.select(sa.func.max(t.attempts.c.id))).scalar_one()


def counters(connection: Connection) -> dict[str, int]:
    rows = connection.execute(sa.text("SELECT name, seq FROM sqlite_sequence"))
    return {row.name: row.seq for row in rows}


async def test_what_is_under_way_stays_behind(filled: Runtime, tmp_path: Path) -> None:
    """An open attempt, a deletion that nobody drained, its receipt, a run that never ended."""
    collection = await filled.catalog.read(collections.get_collection, "default", "docs")
    stored = await filled.catalog.read(
        documents.list_documents, collection.live.id, local_owner(), limit=1
    )
    await filled.catalog.write(leave_half, collection, stored[0].id)
    await write_backup(filled, tmp_path / "backup", quiet)
    async with installation(tmp_path / "new") as restored:
        await restore(restored, tmp_path / "backup")
        state = await read_state(restored)
        assert half_visible(state) + leftovers(state) == []
        rows = await restored.catalog.read(tables)
        assert not rows["deletions"]
        assert "'running'" not in str(rows["runs"])
        assert all(row[-1] != "None" for row in rows["receipts"])
        assert len(rows["receipts"]) == 3
        assert stored[0].id not in str(await contents(restored))


def leave_half(connection: Connection, collection: Any, document_id: str) -> None:
    write = writing.Write(
        "0" * 8, collection.id, "", "x", "x", (), "", "", "t", "", {}, 1, b"", None
    )
    writing.begin(connection, collection.live.id, [write], lease_s=900)
    assert writing.remove(connection, {document_id: None}, "request")
    connection.execute(t.receipts.update().values(document="-"))  # a receipt names its document
    runs = sa.select(t.runs.c.id).limit(1).scalar_subquery()
    connection.execute(t.runs.update().where(t.runs.c.id == runs).values(state="running"))


async def test_between_sqlite_and_postgres(
    filled: Runtime, tmp_path: Path, postgres_url: str
) -> None:
    await write_backup(filled, tmp_path / "one", quiet)
    wanted = await contents(filled)
    async with installation(tmp_path / "pg", catalog_url=postgres_url) as postgres:
        manifest = await restore(postgres, tmp_path / "one")
        assert await contents(postgres) == wanted
        await upload(postgres, "new.md", b"A new one.")
        highest = await postgres.catalog.read(highest_attempt)
        assert highest == manifest.counters["attempts"] + 1
        wanted = await contents(postgres)
        await write_backup(postgres, tmp_path / "two", quiet)
    async with installation(tmp_path / "back") as sqlite:
        await restore(sqlite, tmp_path / "two")
        assert await contents(sqlite) == wanted
        assert (await sqlite.catalog.read(counters))["attempts"] == highest


async def test_a_backup_of_the_first_catalog(filled: Runtime, tmp_path: Path) -> None:
    """What 0001 did not have stays empty; everything else is found as before."""
    folder = tmp_path / "backup"
    await write_backup(filled, folder, quiet)
    (folder / "catalog" / "receipts.jsonl.gz").unlink()
    for table, columns in (
        ("attempts", {"original_digest"}),
        ("versions", {"original_digest", "checksum"}),
    ):
        edit_table(folder, table, lambda row, gone=columns: {k: row[k] for k in row.keys() - gone})
    reseal(folder, revision="0001", without="receipts")
    async with installation(tmp_path / "new") as restored:
        await restore(restored, folder)
        rows = await restored.catalog.read(tables)
        before = await filled.catalog.read(tables)
        assert rows["receipts"] == []
        assert rows["documents"] == before["documents"]
        asked = await answers(restored, seed=5, questions=10)
        assert asked == await answers(filled, seed=5, questions=10)


async def test_an_empty_installation_can_be_backed_up(runtime: Runtime, tmp_path: Path) -> None:
    await write_backup(runtime, tmp_path / "backup", quiet)
    async with installation(tmp_path / "new") as restored:
        assert (await restore(restored, tmp_path / "backup")).collections == []
        assert (await ingest(restored, empty_folder(tmp_path))).failed == 0


def empty_folder(tmp_path: Path) -> Path:
    (tmp_path / "nothing").mkdir()
    return tmp_path / "nothing"


# --- while runs are writing ----------------------------------------------------------------------


def changing(
    settings: Settings, source: Path, changes: int
) -> tuple[Callable[[str, int, int], None], list[int]]:
    """Return a report that rewrites the collection each time that copying begins."""
    done: list[int] = []

    def report(what: str, _done: int, _total: int) -> None:
        if what == "copying" and _done == 0 and len(done) < changes:
            done.append(len(done))
            in_a_thread(run_once)

    async def run_once() -> None:
        number = len(done)
        write_pages(source, range(number, number + 8), 100 + number)
        (source / f"page{number:03}.md").unlink(missing_ok=True)
        async with open_runtime(settings) as other:
            summary = await ingest(other, source)
            assert summary.added + summary.updated > 5
            collection = await other.catalog.read(collections.get_collection, "default", "docs")
            known = await other.catalog.read(
                documents.list_documents, collection.live.id, local_owner(), limit=40
            )
            await set_readers(other, known[-1].id, ["user:owner", f"group:{number}"])

    return report, done


def in_a_thread(work: Callable[[], Any]) -> None:
    """Run other work to its end while this loop waits, as another process could."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work())
        except BaseException as exc:  # noqa: BLE001 - handed to the test's thread
            failures.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    for failure in failures:
        raise failure


async def test_one_state_while_runs_replace_and_remove(
    filled: Runtime, settings: Settings, tmp_path: Path
) -> None:
    report, done = changing(settings, tmp_path / "source" / "a", changes=3)
    await write_backup(filled, tmp_path / "backup", report)
    assert len(done) == 3, "no run wrote during the backup"
    wanted = await contents(filled)
    async with installation(tmp_path / "new") as restored:
        await restore(restored, tmp_path / "backup")
        assert await contents(restored) == wanted
        state = await read_state(restored)
        assert half_visible(state) + leftovers(state) == []
    # What was replaced meanwhile is not in the folder either.
    versions = list(rows_in(tmp_path / "backup" / "catalog" / "versions.jsonl.gz"))
    kept = [row for p in (tmp_path / "backup" / "rows").iterdir() for row in rows_in(p)]
    assert {row["attempt"] for row in kept} <= {row["attempt"] for row in versions}
    assert len(kept) == sum(row["chunks"] for row in versions)
    texts = {path.name for path in (tmp_path / "backup" / "texts").rglob("*") if path.is_file()}
    assert texts == {row["text_digest"] for row in versions}


def rows_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


async def test_one_state_beside_a_run(filled: Runtime, tmp_path: Path) -> None:
    """A backup and a run that really overlap, in whatever order the machine makes them."""
    source = tmp_path / "source" / "a"
    write_pages(source, range(60), 9)
    run = asyncio.create_task(ingest(filled, source))
    taken = 0
    while not run.done():
        await write_backup(filled, tmp_path / f"backup{taken}", quiet)
        taken += 1
    assert (await run).quarantined == 1
    assert taken
    for number in range(0, taken, max(1, taken // 3)):
        async with installation(tmp_path / f"new{number}") as restored:
            await restore(restored, tmp_path / f"backup{number}")
            state = await read_state(restored)
            assert half_visible(state) + leftovers(state) == []


async def test_runs_that_never_rest(filled: Runtime, settings: Settings, tmp_path: Path) -> None:
    report, done = changing(settings, tmp_path / "source" / "a", changes=100)
    with pytest.raises(Unavailable, match="runs are writing"):
        await write_backup(filled, tmp_path / "backups" / "one", report)
    assert len(done) == ROUNDS
    assert list((tmp_path / "backups").iterdir()) == []


# --- interrupted ---------------------------------------------------------------------------------


class Interrupted(BaseException):
    """What a second Ctrl-C is to the work."""


def interrupting(at: int) -> Callable[[str, int, int], None]:
    calls = iter(range(at))

    def report(_what: str, _done: int, _total: int) -> None:
        if next(calls, None) is None:
            raise Interrupted

    return report


async def test_an_interrupted_backup_is_none(small: Runtime, tmp_path: Path) -> None:
    place = tmp_path / "backups"
    interrupted = 0
    while True:
        try:
            await write_backup(small, place / "one", interrupting(interrupted))
            break
        except Interrupted:
            interrupted += 3
            assert not any(place.iterdir())
    assert interrupted > 10
    check_backup(place / "one", quiet)


async def test_an_interrupted_restore_can_be_repeated(small: Runtime, tmp_path: Path) -> None:
    manifest = await write_backup(small, tmp_path / "backup", quiet)
    wanted = await contents(small)
    interrupted = 0
    while True:
        async with installation(tmp_path / "new") as restored:
            try:
                await restore_backup(
                    restored, tmp_path / "backup", manifest, interrupting(interrupted)
                )
                break
            except Interrupted:
                interrupted += 1
                assert not any((await restored.catalog.read(tables)).values())
    assert interrupted > 3
    async with installation(tmp_path / "new") as restored:
        assert await contents(restored) == wanted


async def test_killed_restores(small: Runtime, tmp_path: Path) -> None:
    await write_backup(small, tmp_path / "backup", quiet)
    wanted = await contents(small)
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng, killed, begun, finished = random.Random(seed), 0, 0, False
    while killed < 3 or not finished:
        place = Place(tmp_path / f"new{begun}")
        worker = start(place, tmp_path / "said", command, "restore", str(tmp_path / "backup"))
        if killed < 3:
            worker.process.join(rng.uniform(0.02, 0.4))
            killed += worker.kill() == -SIGKILL
        else:
            assert worker.wait() == 0, worker.said()
        async with installation(place.data) as restored:
            finished = any((await restored.catalog.read(tables)).values())
            if finished:
                assert await contents(restored) == wanted
                begun += 1  # the next one into another folder


# --- damaged -------------------------------------------------------------------------------------


async def test_what_is_damaged_stops_a_backup(small: Runtime, tmp_path: Path) -> None:
    collection = await small.catalog.read(collections.get_collection, "default", "docs")
    stored = await small.catalog.read(
        documents.list_documents, collection.live.id, local_owner(), limit=5
    )
    document = next(document for document in stored if document.chunks)
    text = small.settings.data_dir / "texts" / document.id / document.text_digest
    content = text.read_bytes()

    text.write_bytes(content[:-1])
    await refused(small, tmp_path, "damaged")
    text.unlink()
    await refused(small, tmp_path, f"lost or damaged.*{document.id}")
    text.write_bytes(content)
    await small.catalog.write(retitle, document.id, "Another")
    await refused(small, tmp_path, f"{document.uri} is damaged")
    await small.catalog.write(retitle, document.id, document.title)
    await write_backup(small, tmp_path / "whole", quiet)
    index = await small.index(collection.live)
    await index.delete(Eq("document", document.id))
    await refused(small, tmp_path, f"lost or damaged.*{document.id}")


async def refused(runtime: Runtime, tmp_path: Path, message: str) -> None:
    with pytest.raises(Rejected, match=message) as caught:
        await write_backup(runtime, tmp_path / "backups" / "one", quiet)
    assert caught.value.hint == "run: rag doctor --fix"
    assert list((tmp_path / "backups").iterdir()) == []


def retitle(connection: Connection, document_id: str, title: str) -> None:
    mine = t.versions.c.document == document_id
    connection.execute(t.versions.update().where(mine).values(title=title))


async def test_every_damage_to_a_backup_is_found(small: Runtime, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    await write_backup(small, folder, quiet)
    files = [path for path in folder.rglob("*") if path.is_file()]
    rng = random.Random(11)
    for path in [*files, *[folder / MANIFEST] * 50]:
        content = path.read_bytes()
        for damaged in (flipped(rng, content), content[: rng.randrange(len(content))], None):
            path.unlink()
            if damaged is not None:
                path.write_bytes(damaged)
            with pytest.raises((Rejected, NotFound, DataFolderError)) as caught:
                check_backup(folder, quiet)
            assert caught.value.hint
            path.write_bytes(content)
    check_backup(folder, quiet)
    (folder / "texts" / "notes").write_text("mine")
    with pytest.raises(Rejected, match="texts/notes is no part of it"):
        check_backup(folder, quiet)


def flipped(rng: random.Random, content: bytes) -> bytes:
    bit = rng.randrange(len(content) * 8)
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "/etc/passwd",
        "texts/../../outside",
        "rows/../../outside.jsonl.gz",
        "catalog/../../x.jsonl.gz",
        "texts/00000000-0000-0000-0000-000000000000/" + "0" * 64 + "\n",
        "texts\\x",
        "",
        ".",
    ],
)
async def test_a_name_that_leads_elsewhere(runtime: Runtime, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "backup"
    await write_backup(runtime, folder, quiet)
    edit_manifest(folder, lambda body: body["files"].update({name: {"bytes": 0, "sha256": ""}}))
    with pytest.raises(Rejected, match="which no backup has"):
        check_backup(folder, quiet)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"format": 2}, DataFolderError, "another version of cumulo"),
        ({"revision": "9999"}, DataFolderError, "another version of cumulo"),
        ({"tables": [1]}, Rejected, "tables: "),
        ({"counters": {"attempts": "many"}}, Rejected, "counters.attempts: "),
        ({"owner": "me"}, Rejected, "owner is not a known key"),
    ],
)
async def test_a_manifest_of_another_kind(
    runtime: Runtime, tmp_path: Path, change: dict[str, Any], error: type[RagError], message: str
) -> None:
    folder = tmp_path / "backup"
    await write_backup(runtime, folder, quiet)
    edit_manifest(folder, lambda body: body.update(change))
    with pytest.raises(error, match=message):
        check_backup(folder, quiet)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "{}", "[" * 100_000, '{"sha256": 1}'])
async def test_no_manifest_at_all(runtime: Runtime, tmp_path: Path, text: str) -> None:
    folder = tmp_path / "backup"
    await write_backup(runtime, folder, quiet)
    (folder / MANIFEST).write_text(text)
    with pytest.raises(Rejected, match="damaged"):
        check_backup(folder, quiet)


def test_no_backup_at_all(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        (tmp_path / "file").write_text("")
        with pytest.raises(NotFound, match="there is no backup in"):
            check_backup(place, quiet)


# --- where to ------------------------------------------------------------------------------------


async def test_only_an_empty_installation_is_filled(small: Runtime, tmp_path: Path) -> None:
    await write_backup(small, tmp_path / "backup", quiet)
    before = await contents(small)
    with pytest.raises(UserError, match="not empty"):
        await restore(small, tmp_path / "backup")
    assert await contents(small) == before


async def test_only_a_new_folder_is_written(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "full", tmp_path / "file"):
        with pytest.raises(UserError, match="there already"):
            await write_backup(runtime, place, quiet)
    with pytest.raises(Unavailable, match="cannot be written"):
        await write_backup(runtime, tmp_path / "file" / "below", quiet)
    assert (tmp_path / "full" / "mine").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    await write_backup(runtime, tmp_path / "empty", quiet)
    check_backup(tmp_path / "empty", quiet)


async def test_an_index_of_somebody_else_stays(small: Runtime, tmp_path: Path) -> None:
    """A restored installation that shares its store with the living one must not touch it."""
    await write_backup(small, tmp_path / "backup", quiet)
    await upload(small, "newer.md", b"# Newer\n\nThan the backup.\n")
    before = await contents(small)
    async with installation(tmp_path / "new") as restored:
        (tmp_path / "new" / "stores").symlink_to(small.settings.data_dir / "stores")
        with pytest.raises(Rejected, match="another installation"):
            await restore(restored, tmp_path / "backup")
    assert await contents(small) == before


async def test_into_another_backend(small: Runtime, tmp_path: Path) -> None:
    await write_backup(small, tmp_path / "backup", quiet)
    stores = {"faiss": {"kind": "memory"}}
    async with installation(tmp_path / "new", stores=stores) as restored:
        await restore(restored, tmp_path / "backup")
        assert await contents(restored) == await contents(small)
        assert (await answers(restored, seed=3, questions=5))[0]


# --- editing backups -----------------------------------------------------------------------------


def edit_table(
    folder: Path, table: str, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    path = folder / "catalog" / f"{table}.jsonl.gz"
    lines = [json.dumps(change(row)) for row in rows_in(path)]
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))


def reseal(folder: Path, *, revision: str, without: str) -> None:
    """Write a manifest that fits the files as they are now, without a table."""

    def change(body: dict[str, Any]) -> None:
        paths = [p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST]
        body["files"] = {
            path.relative_to(folder).as_posix(): {
                "bytes": path.stat().st_size,
                "sha256": sha256(path.read_bytes()).hexdigest(),
            }
            for path in paths
        }
        body["revision"] = revision
        del body["tables"][without]

    edit_manifest(folder, change)


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    body = json.loads((folder / MANIFEST).read_text())
    del body["sha256"]
    change(body)
    digest = sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps({**body, "sha256": digest}))
