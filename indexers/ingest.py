"""The main job: bring a collection level with folders and files, and say what happened.

Knows sources, runs and summaries; the stages are the pipeline's, their overlap the engine's.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from collections.abc import Collection as Many
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from indexers.chunking import ChunkSpec
from indexers.describing import describe
from indexers.draining import drain
from indexers.engines.local import run_local
from indexers.leasing import COMMAND, held
from indexers.opening import open_blob
from indexers.parser import Parser
from indexers.pipeline import Pipeline, open_pipeline, windows
from indexers.planning import Before, Plan, make_plan, reason
from indexers.prepared import Prepared, Progress
from indexers.reading import Findings, Reader
from indexers.sources import Emptied, Scope, plan_scopes
from indexers.summary import Summary, counts, finish, so_far, warn
from indexers.vector_cache import VectorCache, open_cache
from rag import __version__
from rag.catalog import collections, documents, quarantine, runs, writing
from rag.catalog.documents import Known
from rag.errors import RagError
from rag.filters import Eq
from rag.ports import Changed, Connector, Embedder, Index
from rag.registry import make_plugin
from rag.reserve import keep_reserve
from rag.runtime import Runtime
from rag.settings import Chunking
from rag.types import LOCAL_OWNER, Collection, Pinned, Source, name_uuid

CHUNKER = "outline"
REMOVE_SLICE = 128


@dataclass(frozen=True, slots=True)
class Listing:
    """A connector of a collection, to be brought level with its source."""

    kind: str
    root: str
    connector: Connector


@dataclass(frozen=True, slots=True)
class Run:
    """What the steps of one run share."""

    runtime: Runtime
    collection: Collection
    index: Index
    cache: VectorCache
    parser: Parser
    progress: Progress
    stop: asyncio.Event
    summary: Summary


def chunk_spec(settings: Chunking, embedder: Embedder) -> ChunkSpec:
    """Fit the configured sizes of chunks to an embedder."""
    limit = embedder.max_tokens - embedder.overhead_tokens
    return ChunkSpec(
        max_tokens=limit,
        target_tokens=min(settings.target_tokens, limit),
        min_tokens=min(settings.min_tokens, limit),
        table_tokens=settings.table_tokens,
    )


def pin_chunker(runtime: Runtime, embedder: Embedder) -> Pinned:
    """Fix how documents are cut for an embedder."""
    spec = chunk_spec(runtime.settings.chunking, embedder)
    return Pinned(CHUNKER, asdict(spec), spec.fingerprint)


async def open_collection(
    runtime: Runtime,
    tenant: str,
    name: str,
    *,
    store: str | None = None,
    embedder: str | None = None,
) -> Collection:
    """Return the collection, created with these names or the defaults when it is new."""
    return await runtime.ensure_collection(
        tenant,
        name,
        store=store,
        embedder=embedder,
        pin_chunker=lambda opened: pin_chunker(runtime, opened),
    )


async def list_paths(
    runtime: Runtime,
    collection: Collection,
    paths: Sequence[Path],
    options: Mapping[str, Any],
    *,
    claim: bool = True,
) -> list[Listing]:
    """Turn paths into listings of their sources; raise `NotFound` for a path that is not there.

    `options` are those of the filesystem connector, for every path alike. New roots are claimed in
    the same turn, so that of two first runs the second sees those of the first.
    """

    def work(connection: Connection) -> list[Scope]:
        sources = collections.list_sources(connection, collection.id)
        scopes = plan_scopes(paths, [s.root for s in sources if s.kind == "filesystem"])
        if claim:
            for scope in scopes:
                collections.ensure_source(connection, collection.id, "filesystem", scope.root)
        return scopes

    scopes = await (runtime.catalog.write if claim else runtime.catalog.read)(work)
    return [Listing("filesystem", scope.root, _files(scope, options)) for scope in scopes]


def upload(name: str, content: bytes) -> Listing:
    """Turn one document that was handed over into a listing; raise `ConfigError` on its name."""
    return uploads([{"name": name, "content": content}])


def uploads(
    documents: Sequence[Mapping[str, Any]], access: Sequence[str] = (LOCAL_OWNER,)
) -> Listing:
    """Turn documents that were handed over into a listing, readable by these subjects.

    Each has the fields of `connectors.upload.Handed`; raise `ConfigError` where one is wrong.
    """
    options = {"documents": list(documents), "access": list(access)}
    connector = make_plugin("connectors", "upload", options, "upload")
    return Listing(connector.kind, connector.root, connector)


async def plan(
    runtime: Runtime,
    collection: Collection,
    listings: Sequence[Listing],
    again: Many[str] = frozenset(),
) -> list[tuple[Plan, Before]]:
    """Compare each source with what is indexed, without changing anything.

    `again`: external ids of files to read although they have not changed.
    """
    plans = []
    for listing in listings:
        source_id = name_uuid("source", collection.id, listing.kind, listing.root)
        known = await runtime.catalog.read(documents.known_documents, collection.live.id, source_id)
        held = await runtime.catalog.read(quarantine.in_quarantine, source_id)
        before = Before(known, held).doubting(again, __version__)
        plans.append((await make_plan(listing.connector, before), before))
    return plans


async def preview(runtime: Runtime, collection: Collection, listings: Sequence[Listing]) -> Summary:
    """Count what a run would do; files with a new fingerprint are read to compare digests."""
    summary = Summary()
    plans = await plan(runtime, collection, listings)
    for listing, (todo, before) in zip(listings, plans, strict=True):
        summary.unchanged += todo.unchanged
        summary.quarantined += todo.quarantined
        summary.removed += len(todo.gone)
        summary.access_changed += len(todo.access)
        failed = list(todo.failed)
        for change in todo.fetch:
            known = before.known.get(change.external_id)
            if known is None:
                summary.added += 1
                continue
            try:
                same = known.digest == await _digest(listing.connector, change)
            except (RagError, OSError) as exc:
                failed.append((change.uri, reason(exc)))
                continue
            if not same:
                summary.updated += 1
            elif known.access != frozenset(change.access):
                summary.access_changed += 1
            else:
                summary.unchanged += 1
        summary.failures += [{"uri": uri, "error": error} for uri, error in failed]
    summary.failed = len(summary.failures)
    return summary


async def _digest(connector: Connector, change: Changed) -> str:
    blob = await connector.fetch(change)
    with closing(await asyncio.to_thread(open_blob, blob)) as file:
        return file.digest


async def ingest(
    runtime: Runtime,
    collection: Collection,
    listings: Sequence[Listing],
    *,
    progress: Progress | None = None,
    stop: asyncio.Event | None = None,
    again: Many[str] = frozenset(),
) -> Summary:
    """Bring the collection level with its sources. Setting `stop` finishes what is under way.

    `again`: external ids of files to read although they have not changed.
    """
    progress, stop = progress or Progress(), stop or asyncio.Event()
    catalog = runtime.catalog
    await asyncio.to_thread(keep_reserve, runtime.settings.data_dir)
    lease = await catalog.write(
        runs.start_run, collection.id, "ingest", holder=str(uuid.uuid4()), lease_s=COMMAND.lease_s
    )
    summary = Summary(run=lease.run)
    state: runs.Ended = "interrupted"
    try:
        async with held(catalog, lease, lambda: so_far(summary, progress), stop, COMMAND):
            await bring_level(
                runtime, collection, listings, summary, progress=progress, stop=stop, again=again
            )
        state = "interrupted" if stop.is_set() else "done"
    except Exception:
        state = "failed"
        raise
    finally:
        told = counts(summary, progress)
        await catalog.write(runs.end_run, lease, state, told, progress.failures)
    return summary


async def bring_level(
    runtime: Runtime,
    collection: Collection,
    listings: Sequence[Listing],
    summary: Summary,
    *,
    progress: Progress,
    stop: asyncio.Event,
    again: Many[str] = frozenset(),
) -> None:
    """Do the work of a run, whose record is the caller's; `summary` is filled also on failure."""
    started = time.monotonic()
    cache, parser = open_cache(runtime.settings), Parser(runtime.settings.parsing)
    try:
        index = await runtime.index(collection.live)
        run = Run(runtime, collection, index, cache, parser, progress, stop, summary)
        await drain(runtime, collection.id, cache)
        await _sync(run, listings, again)
        await drain(runtime, collection.id, cache)
        await index.optimize()
        if parser.exposed:
            summary.warnings.append(
                f"this system does not lock parsers away from: {', '.join(parser.exposed)}; "
                "ingest only files that you trust here"
            )
    finally:
        await parser.close()
        await cache.close()
        finish(summary, progress, started)
    summary.interrupted = stop.is_set()
    limit = runtime.settings.retrieval.unknown_share
    warn(summary, progress, collection.live.embedder.name, limit)


async def _sync(run: Run, listings: Sequence[Listing], again: Many[str]) -> None:
    """Compare every source with what is indexed, then do what is to do, source by source."""
    plans = await plan(run.runtime, run.collection, listings, again)
    run.progress.files = sum(len(plan.fetch) for plan, _ in plans)
    run.progress.bytes = sum(change.size for plan, _ in plans for change in plan.fetch)
    for listing, (todo, before) in zip(listings, plans, strict=True):
        source = await run.runtime.catalog.write(
            collections.ensure_source, run.collection.id, listing.kind, listing.root
        )
        run.summary.unchanged += todo.unchanged
        run.summary.quarantined += todo.quarantined
        run.progress.failures.extend(todo.failed)
        run.summary.access_changed += await _change_access(run, source, todo.access)
        await _read_all(run, source, listing.connector, todo, before)
        if not run.stop.is_set():
            run.summary.removed += await _remove(run, todo.gone)
            await _release(run, source, todo.released)


async def _read_all(
    run: Run, source: Source, connector: Connector, todo: Plan, before: Before
) -> None:
    """Read the files that are new or changed, in turns of which each ends with what was held."""
    stages = open_pipeline(
        run.runtime,
        run.collection,
        source=source,
        index=run.index,
        cache=run.cache,
        progress=run.progress,
    )
    changes = deque(todo.fetch)
    while changes and not run.stop.is_set():
        reader = Reader(connector, run.parser, stages.cutter, before.known, run.progress)
        documents = reader.read(changes, run.stop)
        await run_local(windows(documents, run.stop), stages.embed, stages.store)
        await _settle(run, source, stages, reader.findings, before)


async def _settle(
    run: Run, source: Source, stages: Pipeline, found: Findings, before: Before
) -> None:
    """Act on what reading found; commit the files' own documents when their parts are."""
    catalog = run.runtime.catalog
    if found.touched:
        await catalog.write(writing.touch, run.collection.live.id, found.touched)
    run.summary.access_changed += await _change_access(run, source, found.access)
    for change in found.given:
        document_id = name_uuid("document", source.id, change.external_id)
        await describe(run.runtime, document_id, change.given or {})
        run.progress.updated += 1
    await _release(run, source, [id_ for id_ in found.released if id_ in before.quarantine])
    if found.refused:
        await catalog.write(quarantine.quarantine, source.id, found.refused)
    if run.stop.is_set():
        return
    run.summary.removed += await _remove(run, found.vanished)
    whole = [held for held in found.held if held.change.external_id not in stages.incomplete]
    await run_local(windows(_each(whole), run.stop), stages.embed, stages.store)


async def _each(documents: Sequence[Prepared]) -> AsyncIterator[Prepared]:
    for prepared in documents:
        yield prepared


async def _release(run: Run, source: Source, external_ids: Sequence[str]) -> None:
    if external_ids:
        await run.runtime.catalog.write(quarantine.release, source.id, external_ids)


async def _change_access(run: Run, source: Source, changes: Sequence[Changed]) -> int:
    """Change readers: new ones enter the store before the catalog, old ones leave it after."""
    for change in changes:
        document_id = name_uuid("document", source.id, change.external_id)
        before = await run.runtime.catalog.read(documents.readers, document_id)
        after = set(change.access)
        mine = Eq("document", document_id)
        if after - before:
            await run.index.patch(mine, {"subjects": sorted(before | after)})
        await run.runtime.catalog.write(writing.set_access, document_id, after)
        await run.index.patch(mine, {"subjects": sorted(after)})
    return len(changes)


async def _remove(run: Run, gone: Sequence[Known]) -> int:
    removed = 0
    for start in range(0, len(gone), REMOVE_SLICE):
        expected = {
            known.document_id: known.attempt for known in gone[start : start + REMOVE_SLICE]
        }
        ids = await run.runtime.catalog.write(
            writing.remove, expected, "source", run=run.summary.run
        )
        removed += len(ids)
    return removed


def _files(scope: Scope, options: Mapping[str, Any]) -> Connector:
    if scope.gone:
        return Emptied(scope.root)
    given = {**options, "only": scope.only, "skip": scope.skip}
    connector: Connector = make_plugin("connectors", "filesystem", given, scope.root)
    return connector
