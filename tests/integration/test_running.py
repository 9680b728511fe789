"""Workers over a real catalog and store: a run has one outcome, whatever becomes of a worker."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from indexers import ingest as job
from indexers.doctor.examining import examine
from indexers.leasing import WORKER, Pace
from indexers.running import run_worker
from indexers.spool import ABANDONED_S, Spool, spool_of
from rag.blobs import content_digest
from rag.catalog import reporting, runs
from rag.catalog import tables as t
from rag.catalog.documents import list_documents
from rag.catalog.reporting import Run
from rag.http.policy import HttpPolicy
from rag.runtime import Runtime, open_runtime
from rag.settings import Settings, load_settings
from rag.testing.poison import PARSERS
from rag.types import local_owner

OWNER = local_owner()
LONG = "".join(f"## Part {n}\n\nSentence {n} speaks of subject{n}.\n\n" for n in range(600))
MANY = 30
"""Files of a run that must not be over when its first progress shows."""


async def hand_over(runtime: Runtime, files: dict[str, str], **more: Any) -> str:
    """Queue a run about files in the spool."""
    collection = await job.open_collection(runtime, "default", "docs")
    spool = spool_of(runtime.settings.data_dir)
    folder = spool.open()
    entries = []
    for n, (name, text) in enumerate(files.items()):
        (folder / str(n)).write_text(text)
        digest = content_digest(text.encode())
        entries.append({"name": name, "file": str(n), "digest": digest})
    task = {
        "kind": "files",
        "place": spool.place(),
        "folder": folder.name,
        "files": entries,
        **more,
    }
    return await runtime.catalog.write(runs.queue_run, collection.id, "files", task, OWNER)


async def fetch(runtime: Runtime, url: str) -> str:
    """Queue a run about a URL."""
    collection = await job.open_collection(runtime, "default", "docs")
    task = {"kind": "url", "url": url, "name": url}
    return await runtime.catalog.write(runs.queue_run, collection.id, "url", task, OWNER)


async def shown(runtime: Runtime, run: str) -> Run:
    return await runtime.catalog.read(reporting.get_run, run, OWNER)


async def until(runtime: Runtime, run: str, holds: Callable[[Run], object]) -> Run:
    """Watch a run until something holds of it."""
    async with asyncio.timeout(60):
        while not holds(found := await shown(runtime, run)):  # noqa: ASYNC110 - as clients do
            await asyncio.sleep(0.01)
    return found


async def ended(runtime: Runtime, run: str) -> Run:
    return await until(runtime, run, lambda found: found.ended)


def begun(run: Run) -> object:
    """Tell whether a file of it is done."""
    return run.counts.get("files_done")


@asynccontextmanager
async def working(
    runtime: Runtime, *, names: Sequence[str] = ("one",), pace: Pace = WORKER, **more: Any
) -> AsyncIterator[asyncio.Event]:
    """Have workers; give the event that stops them."""
    stop = asyncio.Event()
    workers = [
        asyncio.create_task(
            run_worker(runtime, name=name, stop=stop, poll_s=0.02, pace=pace, **more)
        )
        for name in names
    ]
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.gather(*workers)


def spooled(runtime: Runtime) -> list[str]:
    return [p.name for p in spool_of(runtime.settings.data_dir).root.iterdir() if p.is_dir()]


async def cleared(runtime: Runtime) -> None:
    """Wait until the spool is empty: it is cleared right after a run has ended."""
    async with asyncio.timeout(30):
        while spooled(runtime):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def names(runtime: Runtime) -> list[str]:
    found = await job.open_collection(runtime, "default", "docs")
    stored = await runtime.catalog.read(list_documents, found.live.id, OWNER, limit=1000)
    return [document.external_id for document in stored]


async def tries(runtime: Runtime) -> list[int]:
    rows = await runtime.catalog.read(lambda c: c.execute(sa.select(t.runs.c.task)).scalars().all())
    return [task["tries"] for task in rows]


# --- sharing -------------------------------------------------------------------------------------


async def test_of_several_workers_each_run_is_done_by_one(settings: Settings) -> None:
    async with open_runtime(settings) as runtime, open_runtime(settings) as other:
        queued = [await hand_over(runtime, {f"{n}.md": f"# Page {n}\n"}) for n in range(6)]
        async with working(runtime, names=("a", "b")), working(other, names=("c",)):
            for run in queued:
                found = await ended(runtime, run)
                assert (found.state, found.counts["added"]) == ("done", 1)
        assert await tries(runtime) == [1] * 6
        assert await names(runtime) == [f"{n}.md" for n in range(6)]
        await cleared(runtime)


async def test_a_worker_stopped_past_its_lease_cannot_end_its_run(settings: Settings) -> None:
    silent = Pace(lease_s=0.3, beat_s=3600.0)  # as if it were stopped: it says nothing
    files = {f"{n}.md": LONG.replace("subject", f"s{n}x") for n in range(3)}
    async with open_runtime(settings) as runtime, open_runtime(settings) as other:
        run = await hand_over(runtime, files)
        async with working(runtime, names=("stopped",), pace=silent):
            await until(runtime, run, lambda found: found.state == "running")
            await asyncio.sleep(0.35)
            async with working(other, names=("second",)):
                found = await ended(runtime, run)
                await cleared(runtime)  # by whoever ended it
        assert found.state == "done"
        assert await shown(runtime, run) == found  # and the other had no last word
        assert await names(runtime) == sorted(files)
        async with working(runtime, names=("third",)):  # and clears away what both wrote
            await ended(runtime, await hand_over(runtime, {"z.md": "# Z\n"}))
        assert (await examine(runtime)).findings == []


WORKER_PROCESS = """
import asyncio, sys
from pathlib import Path
from indexers.leasing import Pace
from indexers.running import run_worker
from rag.runtime import open_runtime
from rag.settings import load_settings

async def main():
    settings = load_settings(data_dir=Path(sys.argv[1]), defaults={"embedder": "hashing"})
    async with open_runtime(settings) as runtime:
        pace = Pace(lease_s=1.0, beat_s=0.1)
        await run_worker(runtime, name="killed", stop=asyncio.Event(), poll_s=0.02, pace=pace)

asyncio.run(main())
"""


async def test_what_a_killed_worker_began_is_finished_by_another(settings: Settings) -> None:
    files = {f"{n}.md": LONG.replace("subject", f"s{n}x") for n in range(MANY)}
    async with open_runtime(settings) as runtime:
        run = await hand_over(runtime, files)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WORKER_PROCESS, str(settings.data_dir), start_new_session=True
        )
        await until(runtime, run, begun)
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        assert (await shown(runtime, run)).state in ("running", "queued")
        async with working(runtime):
            found = await ended(runtime, run)
        assert found.state == "done"
        assert await tries(runtime) == [2]
        assert await names(runtime) == sorted(files)
        await cleared(runtime)


async def test_a_worker_that_ends_leaves_its_run_to_others(settings: Settings) -> None:
    files = {f"{n}.md": LONG.replace("subject", f"s{n}x") for n in range(MANY)}
    async with open_runtime(settings) as runtime:
        run = await hand_over(runtime, files)
        async with working(runtime, pace=Pace(lease_s=30.0, beat_s=0.05)) as stop:
            await until(runtime, run, begun)
            stop.set()
        assert (await shown(runtime, run)).state == "queued"
        assert spooled(runtime) != []
        async with working(runtime):
            assert (await ended(runtime, run)).state == "done"
        assert await names(runtime) == sorted(files)


# --- tasks that cannot be done -------------------------------------------------------------------


async def test_a_bad_task_fails_and_the_worker_goes_on(tmp_path: Path) -> None:
    settings = load_settings(
        data_dir=tmp_path / "data",
        defaults={"embedder": "hashing"},
        parsing={"parsers": PARSERS},
    )
    async with open_runtime(settings) as runtime:
        strange = await hand_over(runtime, {"a.md": "a"}, strange=1)
        gone = await hand_over(runtime, {"a.md": "a"})
        spool = spool_of(settings.data_dir)
        kept = await runtime.catalog.read(runs.unfinished_tasks)
        spool.remove(spool.folder(kept[1]["folder"]))
        crashing = await hand_over(runtime, {"x.segfault": "a", "good.md": "# Good\n"})
        away = await hand_over(runtime, {"a.md": "a"}, place="elsewhere")
        async with working(runtime):
            failed = await ended(runtime, strange)
            assert failed.state == "failed"
            assert "cannot be read" in (failed.error or "")
            failed = await ended(runtime, gone)
            assert (failed.state, "files of this run are gone" in (failed.error or "")) == (
                "failed",
                True,
            )
            done = await ended(runtime, crashing)
            assert (done.state, done.counts["added"], done.counts["failed"]) == ("done", 1, 1)
            assert [uri for uri, _ in done.failures] == ["upload:x.segfault"]
        assert (await shown(runtime, away)).state == "queued"
        assert await names(runtime) == ["good.md"]


async def test_uploads_that_nobody_wants_are_swept(settings: Settings) -> None:
    async with open_runtime(settings) as runtime:
        await hand_over(runtime, {"a.md": "a"}, place="elsewhere")
        spool = Spool(settings.data_dir / "spool")
        (wanted,) = spooled(runtime)
        young, old = spool.open(), spool.open()
        (old / "0").write_text("left")
        then = time.time() - ABANDONED_S - 60
        for path in (old / "0", old, spool.folder(wanted)):
            os.utime(path, (then, then))
        async with working(runtime):
            await ended(runtime, await hand_over(runtime, {"b.md": "b"}))
        assert not old.exists()
        assert sorted(spooled(runtime)) == sorted((wanted, young.name))


def test_a_spool_has_one_name(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    assert spool.place() == spool.place() == Spool(tmp_path / "spool").place() != ""
    assert [path.name for path in spool.root.iterdir()] == ["place"]
    with pytest.raises(ValueError, match="UUID"):
        spool.folder("../x")


# --- addresses -----------------------------------------------------------------------------------


@asynccontextmanager
async def site() -> AsyncIterator[str]:
    """Serve a few pages on this machine."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        page = b"<title>Zoo</title><p>The zebra.</p>"
        replies = {
            b"/page": b"200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b"
            % (len(page), page),
            b"/moved": b"302 Found\r\nLocation: /page\r\nContent-Length: 0\r\n\r\n",
            b"/inside": b"302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n",
            b"/large": b"200 OK\r\nContent-Length: 999999999\r\n\r\n",
        }
        none = b"404 Not Found\r\nContent-Length: 0\r\n\r\n"
        writer.write(b"HTTP/1.1 " + replies.get(head, none))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_an_address_is_fetched_by_the_run(settings: Settings) -> None:
    async with open_runtime(settings) as runtime, site() as root:
        port = int(root.rpartition(":")[2])
        allowed = HttpPolicy(allow=("127.0.0.1",), ports=(port,), attempts=1, max_bytes=10_000)
        pages = {end: await fetch(runtime, f"{root}/{end}") for end in ("page", "moved")}
        refused = {
            "inside": "10.0.0.1",
            "large": "10000 bytes",
            "none": "does not exist",
        }
        bad = {end: await fetch(runtime, f"{root}/{end}") for end in refused}
        async with working(runtime, http=allowed):
            for run in pages.values():
                assert (await ended(runtime, run)).state == "done"
            for end, why in refused.items():
                found = await ended(runtime, bad[end])
                assert found.state == "failed"
                assert why in (found.error or ""), found.error
        collection = await job.open_collection(runtime, "default", "docs")
        stored = await runtime.catalog.read(list_documents, collection.live.id, OWNER, limit=9)
        assert [document.uri for document in stored] == [f"{root}/moved", f"{root}/page"]
        assert {document.title for document in stored} == {"Zoo"}
        assert {document.access for document in stored} == {("user:owner",)}
        await cleared(runtime)
        async with working(runtime):  # and by default nothing of this machine
            found = await ended(runtime, await fetch(runtime, f"{root}/page"))
        assert found.state == "failed"
