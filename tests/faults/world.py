"""A folder and the collection made of it: runs of every kind, and what must be true after each.

What an undisturbed run does is foretold exactly by the model. A disturbed one may have done any
part of it, document by document; the model then takes over what the catalog says.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import sqlalchemy as sa

from indexers import ingest as job
from indexers.ingest import Listing
from indexers.removing import remove_collection, remove_document
from indexers.summary import Summary
from rag.catalog import collections, documents
from rag.catalog import tables as t
from rag.catalog.database import Catalog
from rag.catalog.documents import Known
from rag.errors import Unavailable
from rag.filters import Or
from rag.ports import Changed
from rag.runtime import Runtime
from rag.settings import load_settings
from rag.types import PUBLIC, Collection, Principal, Query
from tests.faults.checking import (
    brief,
    content,
    differences,
    half_visible,
    leftovers,
    read_state,
)
from tests.faults.model import (
    CHUNKING,
    COMMON,
    COUNTS,
    FILTERS,
    NUMBERS,
    SUBJECTS,
    File,
    Files,
    Folder,
    between,
    cut,
    foretell,
    foretell_counts,
    lasting,
    word,
)
from tests.faults.wear import Died, Fate, Frail, Fuse, Tapped

NAME = "docs"
TENANT = "default"
CALLERS = tuple(Principal(TENANT, frozenset({subject, PUBLIC})) for subject in SUBJECTS)
OPEN = sa.select(sa.func.count()).where(
    t.attempts.c.state == "open", t.attempts.c.lease_until > 0.0
)
"""Attempts that are under way, as far as the catalog knows."""
EVERYBODY = Principal(TENANT, frozenset(SUBJECTS))


class World:
    """A folder, a data folder, and what the collection in it must be."""

    def __init__(self, folder: Folder, data: Path) -> None:
        self.folder = folder
        self.settings = load_settings(
            data_dir=data, defaults={"embedder": "hashing"}, chunking=CHUNKING
        )
        self.indexed: dict[str, File] = {}
        self.faults = 0
        self._leased = False  # attempts of a dead run have a lease still: their rows may stay
        self._signs: dict[tuple[str, tuple[int, int]], str] = {}
        self._searched: dict[str, File] = {}
        self._turn = 0
        self._runtime: Runtime | None = None
        self._other: Runtime | None = None

    def seen(self, change: Changed) -> Changed:
        """Note a file's fingerprint, and give it the model's readers."""
        path = self.folder.path(change.uri)
        file = self.folder.files[path]
        self._signs[path, file.sign] = change.fingerprint
        return replace(change, access=tuple(file.readers))

    # --- opening and closing ---------------------------------------------------------------------

    async def opened(self) -> Runtime:
        if self._runtime is None:
            self._runtime = await self._open()
        return self._runtime

    async def reopen(self) -> None:
        await self.close()
        await self.opened()

    async def close(self) -> None:
        for runtime in (self._runtime, self._other):
            if runtime is not None:
                await runtime.close()
        self._runtime = self._other = None

    async def _open(self) -> Runtime:
        return Runtime(self.settings, await Catalog.open(self.settings.data_dir / "catalog.sqlite"))

    # --- runs that go through --------------------------------------------------------------------

    async def ingest(self, scope: str, only: str = "all") -> None:
        """Everything comes out as foretold, and nothing is left over."""
        if not self.folder.has(scope):
            return
        files = self.folder.files
        foretold = foretell_counts(files, self.indexed, scope, only)
        summary = await self._ingest(await self.opened(), scope, only)
        assert surplus(summary, *foretold) <= {"failed", "quarantined"}
        await self.assert_indexed(foretell(files, self.indexed, scope, only))
        await self.assert_nothing_left()

    async def preview(self, scope: str, only: str) -> None:
        """A dry run counts what a run would do."""
        if not self.folder.has(scope):
            return
        runtime, collection = await self._current()
        listings = await self._listings(runtime, collection, scope, only)
        summary = await job.preview(runtime, collection, listings)
        surplus(summary, *foretell_counts(self.folder.files, self.indexed, scope, only))

    async def ingest_twice(self, first: str, second: str, *, process: bool) -> None:
        """Two runs at once, of one process or as if of two, below sources that are known."""
        if not (self.folder.has(first) and self.folder.has(second)):
            return
        if not (await self._has_source(first) and await self._has_source(second)):
            return  # see test_two_first_runs_index_a_file_once
        runtime = other = await self.opened()
        if process:
            self._other = other = self._other or await self._open()
        summaries = await asyncio.gather(
            self._ingest(runtime, first, "all"), self._ingest(other, second, "all")
        )
        files = self.folder.files
        unreadable = {path for path, file in files.items() if not file.readable}
        for summary in summaries:
            failed = {self.folder.path(failure["uri"]) for failure in summary.failures}
            assert failed <= unreadable
        await self.assert_indexed(foretell(files, foretell(files, self.indexed, first), second))
        await self.assert_nothing_left()

    async def remove(self, path: str) -> None:
        """Delete a document on request; its file stays, and the next run brings it back."""
        if path not in self.indexed:
            return
        runtime, collection = await self._current()
        known = {self.folder.path(k.uri): k for k in await self._known(runtime, collection)}
        stored = await runtime.catalog.read(
            documents.get_document, known[path].document_id, EVERYBODY
        )
        await remove_document(runtime, TENANT, stored)
        del self.indexed[path]

    async def recreate(self, scope: str) -> None:
        """Delete the collection; the new one starts with a part of the folder."""
        await remove_collection(*await self._current())
        self.indexed, self._leased = {}, False
        await self.ingest(scope)

    async def let_leases_run_out(self) -> None:
        """Let so much time pass that the attempts of dead runs may be given up."""
        runtime = await self.opened()
        mine = t.attempts.update().where(t.attempts.c.state == "open").values(lease_until=0.0)
        await runtime.catalog.write(lambda c: c.execute(mine))
        self._leased = False

    # --- runs that do not ------------------------------------------------------------------------

    async def ingest_part(self, at: int, *, raises: bool) -> None:
        """Run on a listing that breaks off: nothing at all happens, or nothing is deleted."""
        runtime, collection = await self._current()
        listings = await self._listings(runtime, collection, "", "all", at=at, raises=raises)
        before, failed = self.indexed, False
        try:
            await job.ingest(runtime, collection, listings)
        except Unavailable:
            failed = True
        self.faults += 1
        assert failed == raises
        if raises:
            await self.assert_indexed(before)
        else:
            after = foretell(self.folder.files, before, "")
            await self._take_over({**before, **after})
        gone = before.keys() - self.indexed.keys()
        assert not gone, f"{sorted(gone)} were deleted by a listing that was not complete"

    async def ingest_disturbed(
        self, scope: str, *, at: int, fate: Fate, after: bool, lease_over: bool
    ) -> None:
        """Run with a fault at one of the calls to catalog, files or store."""
        if not self.folder.has(scope):
            return
        runtime, collection = await self._current()
        fuse = Fuse(at, fate=fate, after=after)
        frail: Any = Frail(runtime, fuse)
        listings = await self._listings(runtime, collection, scope, "all")
        task = asyncio.create_task(job.ingest(frail, collection, listings, stop=fuse.stop))
        fuse.watch(task)
        try:
            await task
        except (Died, Unavailable, asyncio.CancelledError):
            assert fuse.fired
        self.faults += fuse.fired
        if fuse.fired and fate == "is cancelled":
            await self._settle(runtime, collection)
        if fuse.fired and fate == "dies":
            await self.reopen()
        # Who dies, or never hears that its attempts were begun, leaves them to their lease.
        if fuse.fired and (fate == "dies" or (fate == "fails" and after)):
            self._leased = True
            if lease_over:
                await self.let_leases_run_out()
        foretold = foretell(self.folder.files, self.indexed, scope)
        await (self._take_over if fuse.fired else self.assert_indexed)(foretold)

    async def _settle(self, runtime: Runtime, collection: Collection) -> None:
        """Wait for the threads that a cancelled task has left at work."""
        loop = asyncio.get_running_loop()
        threads: Any = getattr(loop, "_default_executor", None)
        loop.set_default_executor(ThreadPoolExecutor(4))
        if threads is not None:
            threads.shutdown(wait=True)
        await runtime.catalog.write(lambda _: None)
        await (await runtime.index(collection.live)).delete(Or(()))

    # --- the catalog and the model ---------------------------------------------------------------

    async def assert_indexed(self, wanted: Files) -> None:
        """The catalog says exactly this."""
        await self._compare({path: [file] for path, file in wanted.items()})
        lost = wanted.keys() - self.indexed.keys()
        assert not lost, f"{sorted(lost)} are lost"

    async def _take_over(self, after: Files) -> None:
        """The catalog says, of each document, the state before a run, the one after, or between."""
        before = self.indexed
        possible = {p: between(before.get(p), after.get(p)) for p in before.keys() | after.keys()}
        await self._compare(possible)
        lost = {path for path in before.keys() & after.keys() if path not in self.indexed}
        assert not lost, f"{sorted(lost)} are lost"

    async def _compare(self, possible: Mapping[str, Sequence[File | None]]) -> None:
        """Find each document of the catalog among its possible states; that is the model now."""
        found: dict[str, File] = {}
        for known in await self._known(*await self._current()):
            path = self.folder.path(known.uri)
            assert path not in found, f"{path} is indexed twice"
            matching = [
                file
                for file in possible.get(path, ())
                if file is not None
                and hashlib.sha256(file.content).hexdigest() == known.digest
                and self._signs.get((path, file.sign)) == known.fingerprint
                and file.readers == known.access
            ]
            assert matching, f"{path} is {known}, and may be {possible.get(path)}"
            found[path] = matching[0]
        self.indexed = found

    # --- what must be true -----------------------------------------------------------------------

    async def assert_consistent(self) -> None:
        """Compare catalog, store, texts, statistics and searches with the model."""
        runtime, collection = await self._current()
        await self.assert_indexed(self.indexed)
        assert collection.documents == len(self.indexed)
        state = await read_state(runtime)
        wrong = half_visible(state)
        assert not wrong, brief(wrong)
        if not self._leased:
            assert not await runtime.catalog.read(lambda c: c.execute(OPEN).scalar_one())
        known = await self._known(runtime, collection)
        paths = {k.document_id: self.folder.path(k.uri) for k in known}
        for (generation, document), version in state.versions.items():
            path = paths[document]
            file, rows = self.indexed[path], state.rows[generation][document, version.attempt]
            expected = cut(file.content, PurePosixPath(path).suffix)
            spans = sorted((row.chunk.start, row.chunk.end, row.chunk.text) for row in rows)
            assert (spans, version.terms) == (expected.spans, expected.terms), path
            assert all(set(row.fields["subjects"]) >= file.readers for row in rows), path
        await self._assert_found(runtime)

    async def assert_nothing_left(self) -> None:
        """After a run that went through nothing is waiting and nothing is there in vain."""
        if not self._leased:
            wrong = leftovers(await read_state(await self.opened()))
            assert not wrong, brief(wrong)

    async def assert_as_new(self, elsewhere: Path) -> None:
        """Compare with a collection that was made of the same folder without any disturbance."""
        runtime, collection = await self._current()
        await self.let_leases_run_out()
        for path in [path for path, file in self.folder.files.items() if not file.readable]:
            self.folder.delete(path)  # of these the version before is kept, which a new one lacks
        await self.ingest("")
        sources = await runtime.catalog.read(collections.list_sources, collection.id)
        fresh = World(self.folder, elsewhere)
        try:
            for root in sorted((source.root for source in sources), key=len, reverse=True):
                scope = Path(root).relative_to(self.folder.root).as_posix()
                await fresh.ingest("" if scope == "." else scope)
            found, made = await read_state(runtime), await read_state(await fresh.opened())
            wrong = differences(lasting(content(found)), lasting(content(made)))
        finally:
            await fresh.close()
        assert not wrong, brief(wrong)

    async def _assert_found(self, runtime: Runtime) -> None:
        """Search for what is everywhere, and for the words that came or went, as every caller."""
        self._turn += 1
        before, now = self._searched, self.indexed
        moved = {p for p in before.keys() | now.keys() if before.get(p) != now.get(p)}
        words = {w for p in moved for state in (before, now) if p in state for w in state[p].words}
        words.add(word(self._turn % NUMBERS))
        for n, one in enumerate((COMMON, COMMON, COMMON, *sorted(words)[:5])):
            who = CALLERS[(self._turn + n) % len(CALLERS)]
            query = Query(one, NAME, who, k=500, mode="sparse")
            hits = (await runtime.retrieval.search(query)).hits
            expected = {
                path
                for path, file in self.indexed.items()
                if file.readers & who.subjects
                and (one in file.words or (one == COMMON and file.words))
            }
            assert {self.folder.path(hit.uri) for hit in hits} == expected, (one, who)
        self._searched = dict(now)

    # --- parts -----------------------------------------------------------------------------------

    async def _current(self) -> tuple[Runtime, Collection]:
        runtime = await self.opened()
        return runtime, await job.open_collection(runtime, TENANT, NAME)

    async def _listings(
        self,
        runtime: Runtime,
        collection: Collection,
        scope: str,
        only: str,
        *,
        at: int | None = None,
        raises: bool = False,
    ) -> list[Listing]:
        options = FILTERS[only][0]
        made = await job.list_paths(runtime, collection, [self.folder.root / scope], options)
        return [
            Listing(m.kind, m.root, Tapped(m.connector, self.seen, at=at, raises=raises))
            for m in made
        ]

    async def _ingest(self, runtime: Runtime, scope: str, only: str) -> Summary:
        collection = await job.open_collection(runtime, TENANT, NAME)
        listings = await self._listings(runtime, collection, scope, only)
        return await job.ingest(runtime, collection, listings)

    async def _has_source(self, scope: str) -> bool:
        runtime, collection = await self._current()
        sources = await runtime.catalog.read(collections.list_sources, collection.id)
        return any((self.folder.root / scope).is_relative_to(source.root) for source in sources)

    async def _known(self, runtime: Runtime, collection: Collection) -> list[Known]:
        def known(connection: sa.Connection) -> list[Known]:
            live, sources = collection.live.id, collections.list_sources(connection, collection.id)
            return [
                document
                for source in sources
                for document in documents.known_documents(connection, live, source.id).values()
            ]

        return await runtime.catalog.read(known)


def surplus(summary: Summary, counts: Mapping[str, int], unreadable: int) -> set[str]:
    """Return as what the unreadable files were counted; the others must be as foretold."""
    beyond = {name: getattr(summary, name) - counts[name] for name in COUNTS}
    assert min(beyond.values()) >= 0
    assert sum(beyond.values()) + summary.quarantined == unreadable
    return {name for name, count in beyond.items() if count} | (
        {"quarantined"} if summary.quarantined else set()
    )
