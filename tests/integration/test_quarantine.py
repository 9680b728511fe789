"""Files that cannot be parsed: the others go on, the reason is kept, nothing is tried for ever."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from indexers import ingest as job
from indexers.retrying import list_failures, retry_failures
from indexers.summary import Summary
from rag.catalog import documents
from rag.catalog.collections import get_collection
from rag.children.limits import Protections
from rag.children.pool import ChildPool
from rag.errors import NotFound
from rag.runtime import Runtime, open_runtime
from rag.settings import load_settings
from rag.testing.poison import PARSERS
from rag.types import DEFAULT_TENANT, Query, local_owner

NAME = "docs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for n in range(20):
        (folder / f"good-{n:02}.md").write_text(
            f"# Good {n}\n\nThe word of this file is word{n}.\n"
        )
    return folder


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    parsing = {"parsers": PARSERS, "cpu_s": 1.0, "wall_s": 20.0, "memory_mb": 512}
    settings = load_settings(
        data_dir=tmp_path / "data", defaults={"embedder": "hashing"}, parsing=parsing
    )
    async with open_runtime(settings) as opened:
        yield opened


async def ingest(runtime: Runtime, folder: Path) -> Summary:
    collection = await job.open_collection(runtime, DEFAULT_TENANT, NAME)
    listings = await job.list_paths(runtime, collection, [folder], {})
    return await job.ingest(runtime, collection, listings)


async def refused(runtime: Runtime) -> dict[str, tuple[str, str]]:
    entries = await list_failures(runtime, DEFAULT_TENANT, NAME)
    return {e.refused.external_id: (e.refused.code, e.refused.reason) for e in entries}


@pytest.fixture
def server() -> Iterator[tuple[int, list[object]]]:
    """A listening port, and the connections that were made to it."""
    calls: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        ended = threading.Event()

        def accept() -> None:
            while not ended.is_set():
                try:
                    calls.append(listening.accept())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=accept)
        thread.start()
        yield listening.getsockname()[1], calls
        ended.set()
        thread.join()


async def test_parsers_that_die_hang_devour_or_spy_cost_no_other_file(
    runtime: Runtime, folder: Path, tmp_path: Path, server: tuple[int, list[object]]
) -> None:
    port, calls = server
    outside = tmp_path / "outside.txt"
    for name, text in {
        "a.segfault": "x",
        "b.endless": "x",
        "c.greedy": "x",
        "d.exits": "x",
        "e.nosy": "x",
        f"{port}-f.chatty": "x",
        "g.writes": str(outside),
    }.items():
        (folder / name).write_text(text)
    summary = await ingest(runtime, folder)
    assert (summary.added, summary.failed) == (20, 7)
    found = await refused(runtime)
    assert {name.rpartition(".")[2]: code for name, (code, _) in found.items()} == {
        "segfault": "crashed",
        "endless": "timeout",
        "greedy": "out_of_memory",
        "exits": "crashed",
        "nosy": "crashed",
        "chatty": "crashed",
        "writes": "crashed",
    }
    assert "SIGSEGV" in found["a.segfault"][1]
    assert "processor time" in found["b.endless"][1]
    assert "PermissionError" in found["e.nosy"][1]
    assert "PermissionError" in found[f"{port}-f.chatty"][1]
    assert not outside.exists()
    assert calls == []
    again = await ingest(runtime, folder)
    assert (again.unchanged, again.failed, again.quarantined) == (20, 0, 7)


async def test_a_file_leaves_quarantine_when_it_changes_or_goes(
    runtime: Runtime, folder: Path
) -> None:
    (folder / "a.exits").write_text("x")
    (folder / "b.exits").write_text("x")
    (folder / "c.md").write_bytes(b"%PDF-1.7 and nothing else")
    assert (await ingest(runtime, folder)).failed == 3
    (folder / "a.exits").unlink()
    (folder / "b.exits").write_text("y y")
    (folder / "c.md").write_text("word")
    summary = await ingest(runtime, folder)
    assert (summary.added, summary.failed, summary.quarantined) == (1, 1, 0)
    assert list(await refused(runtime)) == ["b.exits"]


async def test_what_was_indexed_before_stays(runtime: Runtime, folder: Path) -> None:
    await ingest(runtime, folder)
    (folder / "good-03.md").write_bytes(b"%PDF-1.7 and nothing else")
    assert (await ingest(runtime, folder)).failed == 1
    found = await runtime.retrieval.search(Query("word3", NAME, local_owner(), mode="sparse"))
    assert [hit.uri.rpartition("/")[2] for hit in found.hits] == ["good-03.md"]


async def test_another_try_reads_them_again_now(
    runtime: Runtime, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.exits", "b.exits"):
        (folder / name).write_text("x")
    await ingest(runtime, folder)
    (first, second) = await list_failures(runtime, DEFAULT_TENANT, NAME)
    runtime.settings.parsing.parsers = {".exits": "indexers.parsing.text.text:parse_plain"}
    (summary,) = await retry_failures(runtime, DEFAULT_TENANT, None, [second.id])
    assert (summary.added, summary.failed) == (1, 0)
    assert [e.id for e in await list_failures(runtime, DEFAULT_TENANT, None)] == [first.id]
    with pytest.raises(NotFound, match=f"{second.id} is not in quarantine"):
        await retry_failures(runtime, DEFAULT_TENANT, NAME, [second.id])
    (summary,) = await retry_failures(runtime, DEFAULT_TENANT, NAME, None)
    assert (summary.added, summary.unchanged) == (1, 0)
    collection = await runtime.catalog.read(get_collection, DEFAULT_TENANT, NAME)
    listed = await runtime.catalog.read(
        documents.list_documents, collection.live.id, local_owner(), limit=100
    )
    assert len(listed) == 22
    assert await retry_failures(runtime, DEFAULT_TENANT, NAME, None) == []


async def test_another_version_of_the_program_tries_again(
    runtime: Runtime, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.exits").write_text("x")
    await ingest(runtime, folder)
    monkeypatch.setattr(job, "__version__", "99.0")
    assert (await ingest(runtime, folder)).failed == 1


async def test_a_system_that_does_not_lock_parsers_away_is_named(
    runtime: Runtime, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await ingest(runtime, folder)).warnings == []
    (folder / "more.md").write_text("words")
    weak = property(lambda pool: Protections(network=True, files=False))
    monkeypatch.setattr(ChildPool, "protections", weak)
    (warning,) = (await ingest(runtime, folder)).warnings
    assert "does not lock parsers away from: files;" in warning
