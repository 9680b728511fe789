"""What fails alone, what fails the run, and that going on afterwards leaves everything once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.filesystem import FilesystemConnector
from indexers import ingest as job
from indexers.ingest import Listing
from indexers.summary import Summary
from rag.catalog import outbox
from rag.catalog import tables as t
from rag.catalog.database import Catalog
from rag.embedders.hashing import HashingEmbedder
from rag.errors import RagError, Rejected, Unavailable
from rag.filters import EVERYTHING
from rag.ports import Change, Changed, Connector, Embedder, Failed, Index, ListingComplete
from rag.runtime import Runtime
from rag.settings import Settings
from rag.testing.poison import PARSERS
from rag.types import LOCAL_OWNER, Blob, Collection, Generation, Query, Role, local_owner
from rag.vectors import Batch, Embedded

COUNTS = ("added", "updated", "unchanged", "removed", "failed")


class Wired(Runtime):
    """A runtime in which something stands in front of the embedder and of the index."""

    in_front_of_embedder: Callable[[Embedder], Embedder] = staticmethod(lambda embedder: embedder)
    in_front_of_index: Callable[[Index], Any] = staticmethod(lambda index: index)

    def embedder(self, generation: Generation) -> Embedder:
        return self.in_front_of_embedder(super().embedder(generation))

    async def index(self, generation: Generation) -> Any:
        return self.in_front_of_index(await super().index(generation))


class Poisoned(HashingEmbedder):
    """An embedder that fails on texts with a certain word."""

    def __init__(self, error: RagError) -> None:
        super().__init__(self.Options())
        self.error = error

    async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
        if any("poison" in text for text in texts):
            raise self.error
        return await super().embed(texts, role)


class Faltering:
    """An index that fails at some upserts, before the rows are written or after."""

    def __init__(self, index: Index, failing: Sequence[int], *, written: bool) -> None:
        self._index = index
        self._failing = failing
        self._written = written
        self._upserts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    async def upsert(self, batch: Batch) -> None:
        self._upserts += 1
        if self._upserts in self._failing and not self._written:
            raise Unavailable("the store is away")
        await self._index.upsert(batch)
        if self._upserts in self._failing:
            raise Unavailable("the store is away")


class Scripted:
    """A connector that lists what it is told to, in that order; errors are raised."""

    kind = "scripted"
    repeatable = True
    root = "/scripted"

    def __init__(self, *script: str | Change | Exception, texts: dict[str, str] | None = None):
        self._script = script
        self._texts = texts or {}

    async def changes(self) -> AsyncIterator[Change]:
        for step in self._script:
            if isinstance(step, Exception):
                raise step
            yield changed(step) if isinstance(step, str) else step

    async def fetch(self, change: Changed) -> Blob:
        text = self._texts.get(change.external_id, f"The page {change.external_id}.")
        return Blob(change.uri, "text/plain", content=text.encode())


class Vanishing:
    """The real connector on a folder from which a file goes away after it was listed."""

    kind = "filesystem"
    repeatable = True

    def __init__(self, folder: Path, name: str) -> None:
        self._files = FilesystemConnector(FilesystemConnector.Options(), str(folder))
        self._name = name
        self.root = self._files.root

    async def changes(self) -> AsyncIterator[Change]:
        async for change in self._files.changes():
            yield change
        (Path(self.root) / self._name).unlink()

    async def fetch(self, change: Changed) -> Blob:
        return await self._files.fetch(change)


COMPLETE = ListingComplete(covers=lambda _: True)


def changed(name: str, fingerprint: str = "1") -> Changed:
    return Changed(name, f"scripted:{name}", fingerprint, (LOCAL_OWNER,))


@pytest.fixture
async def runtime(settings: Settings) -> AsyncIterator[Wired]:
    opened = Wired(settings, await Catalog.open(settings.data_dir / "catalog.sqlite"))
    yield opened
    await opened.close()


async def opened(runtime: Runtime) -> Collection:
    return await job.open_collection(runtime, "default", "docs")


async def ingest(runtime: Runtime, connector: Connector) -> Summary:
    listing = Listing(connector.kind, connector.root, connector)
    return await job.ingest(runtime, await opened(runtime), [listing])


def counts(summary: Summary) -> dict[str, int]:
    return {name: getattr(summary, name) for name in COUNTS if getattr(summary, name)}


async def found(runtime: Runtime, text: str = "page") -> list[str]:
    """Return the addresses of everything that a search for the text gives."""
    query = Query(text, "docs", local_owner(), k=1000, mode="sparse")
    return sorted(hit.uri for hit in (await runtime.retrieval.search(query)).hits)


async def states(runtime: Runtime) -> set[str]:
    rows = await runtime.catalog.read(
        lambda c: list(c.execute(sa.select(t.attempts.c.state)).scalars())
    )
    return set(rows)


async def check_everything_once(runtime: Runtime, documents: int) -> None:
    """Compare catalog and store: the same rows, nothing waiting, nothing open."""
    collection = await opened(runtime)
    assert collection.documents == documents
    index = await runtime.index(collection.live)
    assert await index.count(EVERYTHING) == collection.live.chunks
    assert await states(runtime) <= {"committed"}
    pending = await runtime.catalog.read(outbox.pending_deletions, collection.live.id)
    assert pending == []


PAGES = ("a", "b", "c", "d")


# --- embedders -----------------------------------------------------------------------------------


async def test_a_text_that_cannot_be_embedded_fails_its_document_alone(runtime: Wired) -> None:
    error = Rejected("too long")
    runtime.in_front_of_embedder = lambda _: Poisoned(error)
    connector = Scripted(*PAGES, COMPLETE, texts={"c": "The page with poison in it."})
    summary = await ingest(runtime, connector)
    assert counts(summary) == {"added": 3, "failed": 1}
    assert summary.failures == [{"uri": "scripted:c", "error": str(error)}]
    assert await found(runtime) == ["scripted:a", "scripted:b", "scripted:d"]
    del runtime.in_front_of_embedder
    assert counts(await ingest(runtime, connector)) == {"added": 1, "unchanged": 3}
    await check_everything_once(runtime, 4)


async def test_an_embedder_that_is_away_fails_the_run_and_a_rerun_completes_it(
    runtime: Wired,
) -> None:
    runtime.in_front_of_embedder = lambda _: Poisoned(Unavailable("no answer"))
    connector = Scripted(*PAGES, COMPLETE, texts={"c": "The page with poison in it."})
    with pytest.raises(Unavailable, match="no answer"):
        await ingest(runtime, connector)
    assert await found(runtime) == []
    del runtime.in_front_of_embedder
    assert counts(await ingest(runtime, connector)) == {"added": 4}
    await check_everything_once(runtime, 4)


# --- stores --------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [False, True], ids=["nothing written", "answer lost"])
async def test_a_failing_store_fails_the_run_and_a_rerun_completes_it(
    runtime: Wired, written: bool
) -> None:
    await opened(runtime)
    runtime.in_front_of_index = lambda index: Faltering(index, [1], written=written)
    with pytest.raises(Unavailable, match="the store is away"):
        await ingest(runtime, Scripted(*PAGES, COMPLETE))
    assert await states(runtime) == {"abandoned"}
    assert await found(runtime) == []
    assert (await opened(runtime)).documents == 0
    del runtime.in_front_of_index
    assert counts(await ingest(runtime, Scripted(*PAGES, COMPLETE))) == {"added": 4}
    assert await found(runtime) == [f"scripted:{name}" for name in PAGES]
    await check_everything_once(runtime, 4)


@pytest.mark.parametrize("written", [False, True], ids=["nothing written", "answer lost"])
async def test_old_versions_stay_until_the_store_takes_the_new_ones(
    runtime: Wired, written: bool
) -> None:
    await ingest(runtime, Scripted(*PAGES, COMPLETE))
    runtime.in_front_of_index = lambda index: Faltering(index, [1], written=written)
    newer = [changed(name, "2") for name in PAGES]
    again = Scripted(*newer, COMPLETE, texts={name: f"Page {name}, rewritten." for name in PAGES})
    with pytest.raises(Unavailable, match="the store is away"):
        await ingest(runtime, again)
    assert len(await found(runtime)) == 4
    assert await found(runtime, "rewritten") == []
    del runtime.in_front_of_index
    assert counts(await ingest(runtime, again)) == {"updated": 4}
    assert len(await found(runtime, "rewritten")) == 4
    await check_everything_once(runtime, 4)


async def test_what_was_committed_before_the_store_failed_is_not_done_again(
    runtime: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexers.pipeline.WINDOW_DOCUMENTS", 2)
    runtime.in_front_of_index = lambda index: Faltering(index, [2], written=False)
    with pytest.raises(Unavailable):
        await ingest(runtime, Scripted(*PAGES, COMPLETE))
    assert len(await found(runtime)) == 2
    del runtime.in_front_of_index
    summary = await ingest(runtime, Scripted(*PAGES, COMPLETE))
    assert counts(summary) == {"added": 2, "unchanged": 2}
    await check_everything_once(runtime, 4)


async def test_a_failed_run_leaves_a_record(runtime: Wired) -> None:
    runtime.in_front_of_index = lambda index: Faltering(index, [1], written=False)
    with pytest.raises(Unavailable):
        await ingest(runtime, Scripted(*PAGES, COMPLETE))
    (run,) = await runtime.catalog.read(lambda c: c.execute(sa.select(t.runs)).all())
    assert (run.state, run.counts["added"]) == ("failed", 0)


# --- connectors ----------------------------------------------------------------------------------


async def test_a_listing_that_breaks_off_deletes_nothing(runtime: Wired) -> None:
    await ingest(runtime, Scripted(*PAGES, COMPLETE))
    with pytest.raises(Unavailable, match="the source is away"):
        await ingest(runtime, Scripted("a", Unavailable("the source is away")))
    assert len(await found(runtime)) == 4


async def test_a_listing_that_never_says_it_is_complete_deletes_nothing(runtime: Wired) -> None:
    await ingest(runtime, Scripted(*PAGES, COMPLETE))
    summary = await ingest(runtime, Scripted("a", changed("b", "2"), "new"))
    assert counts(summary) == {"added": 1, "unchanged": 2}
    assert len(await found(runtime)) == 5
    assert counts(await ingest(runtime, Scripted("a", COMPLETE))) == {"unchanged": 1, "removed": 4}
    await check_everything_once(runtime, 1)


async def test_a_listing_deletes_what_it_covers_and_did_not_name(runtime: Wired) -> None:
    await ingest(runtime, Scripted(*PAGES, COMPLETE))
    part = ListingComplete(covers=lambda name: name in {"a", "b", "c"})
    broken = Failed("b", "scripted:b", "no right to read it")
    summary = await ingest(runtime, Scripted("a", broken, part))
    assert counts(summary) == {"unchanged": 1, "failed": 1, "removed": 1}
    assert summary.failures == [{"uri": "scripted:b", "error": "no right to read it"}]
    assert await found(runtime) == ["scripted:a", "scripted:b", "scripted:d"]


async def test_a_name_listed_twice_is_one_document(runtime: Wired) -> None:
    summary = await ingest(runtime, Scripted("a", "b", "a", changed("b", "2"), COMPLETE))
    assert counts(summary) == {"added": 2}
    assert await found(runtime) == ["scripted:a", "scripted:b"]
    assert counts(await ingest(runtime, Scripted("a", "a", "b", "b", COMPLETE))) == {"unchanged": 2}
    await check_everything_once(runtime, 2)


async def test_a_file_that_vanishes_after_it_was_listed_fails_alone(
    runtime: Wired, tmp_path: Path
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in PAGES:
        (folder / f"{name}.txt").write_text(f"The page {name}.")
    summary = await ingest(runtime, Vanishing(folder, "b.txt"))
    assert counts(summary) == {"added": 3, "failed": 1}
    assert "list again" in summary.failures[0]["error"]
    for name in PAGES:
        (folder / f"{name}.txt").write_text(f"The page {name}, now longer.")
    again = await ingest(runtime, Vanishing(folder, "c.txt"))
    assert counts(again) == {"added": 1, "updated": 2, "failed": 1}
    assert len(await found(runtime)) == 4  # the version before is still there
    files = FilesystemConnector(FilesystemConnector.Options(), str(folder))
    assert counts(await ingest(runtime, files)) == {"unchanged": 3, "removed": 1}
    await check_everything_once(runtime, 3)


# --- parsers -------------------------------------------------------------------------------------


async def test_a_bug_in_a_parser_fails_its_document_alone(
    runtime: Wired,
) -> None:
    class Mixed(Scripted):
        async def fetch(self, change: Changed) -> Blob:
            ending = ".buggy" if change.external_id == "b" else ".txt"
            return Blob(change.uri + ending, "", content=b"The page.")

    runtime.settings.parsing.parsers = PARSERS
    summary = await ingest(runtime, Mixed(*PAGES, COMPLETE))
    assert counts(summary) == {"added": 3, "failed": 1}
    error = "internal error: ValueError: no such column: 9"
    assert summary.failures == [{"uri": "scripted:b", "error": error}]
    assert await found(runtime) == ["scripted:a", "scripted:c", "scripted:d"]
