"""Writers, runs and changes that cross each other at the worst moment, step by step."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.filesystem import FilesystemConnector
from indexers import ingest as job
from indexers.ingest import Listing
from indexers.removing import remove_collection, remove_document
from indexers.summary import Summary
from rag.catalog import collections, documents, writing
from rag.catalog import tables as t
from rag.catalog.documents import Known, get_document
from rag.ports import Change, Changed
from rag.runtime import Runtime
from rag.types import LOCAL_OWNER, Blob, Collection, local_owner
from tests.faults.wear import Died, Frail, Fuse, Fused

Gate = Callable[[], Awaitable[None]]


async def _open_at_once() -> None:
    """Let a connector go on without delay."""


class Gated:
    """A folder as a source that waits between listing, fetching and handing out."""

    def __init__(
        self,
        folder: Path,
        *,
        listed: Gate = _open_at_once,
        fetched: Gate = _open_at_once,
        access: tuple[str, ...] = (LOCAL_OWNER,),
    ) -> None:
        self._files = FilesystemConnector(FilesystemConnector.Options(), str(folder))
        self._listed, self._fetched, self._access = listed, fetched, access
        self.kind, self.root = self._files.kind, self._files.root
        self.repeatable = True

    async def changes(self) -> AsyncIterator[Change]:
        async for change in self._files.changes():
            if isinstance(change, Changed):
                yield replace(change, access=self._access)
            else:
                yield change
        await self._listed()

    async def fetch(self, change: Changed) -> Blob:
        blob = await self._files.fetch(change)
        content = await asyncio.to_thread(blob.read)
        await self._fetched()
        return Blob(blob.uri, blob.media_type, content=content)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    (root / "inner").mkdir(parents=True)
    return root


def write(file: Path, text: str, *, modified: int) -> None:
    file.write_text(text)
    os.utime(file, (modified, modified))


async def opened(runtime: Runtime) -> Collection:
    return await job.open_collection(runtime, "default", "docs")


async def sync(runtime: Any, connector: Any, collection: Collection) -> Summary:
    return await job.ingest(
        runtime, collection, [Listing(connector.kind, connector.root, connector)]
    )


async def known(runtime: Runtime) -> list[Known]:
    collection = await opened(runtime)
    found: list[Known] = []
    for source in await runtime.catalog.read(collections.list_sources, collection.id):
        of_source = await runtime.catalog.read(
            documents.known_documents, collection.live.id, source.id
        )
        found += of_source.values()
    return found


async def test_a_cancelled_run_leaves_no_attempt_open(runtime: Runtime, folder: Path) -> None:
    write(folder / "a.txt", "one", modified=1)
    collection = await opened(runtime)
    begun, answered = asyncio.Event(), asyncio.Event()

    class SlowToAnswer(Fused):
        async def write(self, work: Any, *args: Any, **kwargs: Any) -> Any:
            result = await self._inner.write(work, *args, **kwargs)
            if work is writing.begin:
                begun.set()
                await answered.wait()
            return result

    class Slow(Frail):
        @property
        def catalog(self) -> Any:
            return SlowToAnswer(self._runtime.catalog, self._fuse)

    frail = Slow(runtime, Fuse(0, fate="fails", after=False))
    run = asyncio.create_task(sync(frail, Gated(folder), collection))
    await begun.wait()
    run.cancel()
    asyncio.get_running_loop().call_soon(answered.set)
    with pytest.raises(asyncio.CancelledError):
        await run
    states = await runtime.catalog.read(lambda c: c.execute(sa.select(t.attempts.c.state)).all())
    assert [state for (state,) in states] in ([], ["abandoned"])


async def test_content_that_was_read_between_two_changes_does_not_stay(
    runtime: Runtime, folder: Path
) -> None:
    """The file changes and changes back; one run read it in between, the other after."""
    file = folder / "a.txt"
    write(file, "first", modified=1)
    collection = await opened(runtime)
    await sync(runtime, Gated(folder), collection)
    write(file, "other", modified=2)
    read, go_on = asyncio.Event(), asyncio.Event()

    async def fetched() -> None:
        read.set()
        await go_on.wait()

    slow = asyncio.create_task(sync(runtime, Gated(folder, fetched=fetched), collection))
    await read.wait()
    write(file, "first", modified=3)

    async def before_the_touch() -> None:
        go_on.set()
        await slow  # commits what it read

    await sync(runtime, Gated(folder, fetched=before_the_touch), collection)
    assert (await sync(runtime, Gated(folder), collection)).failed == 0
    (document,) = await known(runtime)
    stored = await runtime.catalog.read(get_document, document.document_id, local_owner())
    assert b"first" in runtime.texts.get(stored.id, stored.text_digest)


async def test_two_first_runs_index_a_file_once(runtime: Runtime, folder: Path) -> None:
    write(folder / "inner" / "a.txt", "one", modified=1)
    collection = await opened(runtime)
    both = [
        await job.list_paths(runtime, collection, [path], {}) for path in (folder, folder / "inner")
    ]
    for listings in both:
        await job.ingest(runtime, collection, listings)
    again = await job.list_paths(runtime, collection, [folder], {})
    await job.ingest(runtime, collection, again)
    assert len(await known(runtime)) == 1


async def test_a_document_removed_meanwhile_does_not_end_a_change_of_readers(
    runtime: Runtime, folder: Path
) -> None:
    write(folder / "a.txt", "one", modified=1)
    write(folder / "b.txt", "two", modified=1)
    collection = await opened(runtime)
    await sync(runtime, Gated(folder), collection)
    victim = min(await known(runtime), key=lambda k: k.external_id)

    async def remove() -> None:
        stored = await runtime.catalog.read(get_document, victim.document_id, local_owner())
        await remove_document(runtime, "default", stored)

    shared = Gated(folder, listed=remove, access=(LOCAL_OWNER, "group:a"))
    summary = await sync(runtime, shared, collection)
    assert summary.failed == 0
    assert {k.external_id: k.access for k in await known(runtime)} == {
        "b.txt": {LOCAL_OWNER, "group:a"}
    }


async def test_a_folder_that_was_a_source_may_go(runtime: Runtime, folder: Path) -> None:
    write(folder / "inner" / "a.txt", "one", modified=1)
    write(folder / "b.txt", "two", modified=1)
    collection = await opened(runtime)
    for path in (folder / "inner", folder):
        listings = await job.list_paths(runtime, collection, [path], {})
        await job.ingest(runtime, collection, listings)
    (folder / "inner" / "a.txt").unlink()
    (folder / "inner").rmdir()
    listings = await job.list_paths(runtime, collection, [folder], {})
    await job.ingest(runtime, collection, listings)
    assert [k.external_id for k in await known(runtime)] == ["b.txt"]


async def test_a_deleted_collection_leaves_no_text_of_a_run_that_died(
    runtime: Runtime, folder: Path
) -> None:
    write(folder / "a.txt", "one", modified=1)
    collection = await opened(runtime)
    for at in range(1, 100):
        frail = Frail(runtime, Fuse(at, fate="dies", after=True))
        with pytest.raises(Died):
            await sync(frail, Gated(folder), collection)
        if list(runtime.texts.listed()):
            break
    assert await known(runtime) == []
    await remove_collection(runtime, collection)
    assert list(runtime.texts.listed()) == []
