"""The main job: bring a collection level with folders and files, and say what happened.

Knows sources, runs and summaries; the stages are the pipeline's, their overlap the engine's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from indexers.chunking import ChunkSpec
from indexers.draining import drain
from indexers.engines.local import run_local
from indexers.pipeline import Progress, open_pipeline, read
from indexers.planning import Plan, make_plan, reason
from indexers.sources import Emptied, Scope, plan_scopes
from indexers.vector_cache import VectorCache, open_cache
from rag.catalog import collections, documents, runs, writing
from rag.catalog.documents import Known
from rag.errors import RagError
from rag.filters import Eq
from rag.ports import Changed, Connector, Embedder, Index
from rag.registry import make_plugin
from rag.reserve import keep_reserve
from rag.runtime import Runtime
from rag.types import Collection, Pinned, Source, name_uuid

CHUNKER = "outline"
REMOVE_SLICE = 128


@dataclass(slots=True)
class Summary:
    """What a run did; the first six counts partition the files that it met or missed."""

    run: str = ""
    """Its id: receipts of what it removed carry it."""
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    access_changed: int = 0
    failed: int = 0
    chunks: int = 0
    """Written in this run."""
    tokens: int = 0
    """Embedded in this run; vectors from the cache cost none."""
    seconds: float = 0.0
    failures: list[dict[str, str]] = field(default_factory=list)
    interrupted: bool = False
    warnings: list[str] = field(default_factory=list)


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
    progress: Progress
    stop: asyncio.Event
    summary: Summary


def pin_chunker(runtime: Runtime, embedder: Embedder) -> Pinned:
    """Fix how documents are cut for an embedder."""
    settings = runtime.settings.chunking
    limit = embedder.max_tokens - embedder.overhead_tokens
    spec = ChunkSpec(
        max_tokens=limit,
        target_tokens=min(settings.target_tokens, limit),
        min_tokens=min(settings.min_tokens, limit),
    )
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
    connector = make_plugin("connectors", "upload", {"name": name, "content": content}, "upload")
    return Listing(connector.kind, connector.root, connector)


async def plan(
    runtime: Runtime, collection: Collection, listings: Sequence[Listing]
) -> list[tuple[Plan, dict[str, Known]]]:
    """Compare each source with what is indexed, without changing anything."""
    plans = []
    for listing in listings:
        source_id = name_uuid("source", collection.id, listing.kind, listing.root)
        known = await runtime.catalog.read(documents.known_documents, collection.live.id, source_id)
        plans.append((await make_plan(listing.connector, known), known))
    return plans


async def preview(runtime: Runtime, collection: Collection, listings: Sequence[Listing]) -> Summary:
    """Count what a run would do; files with a new fingerprint are read to compare digests."""
    summary = Summary()
    plans = await plan(runtime, collection, listings)
    for listing, (todo, known) in zip(listings, plans, strict=True):
        summary.unchanged += todo.unchanged
        summary.removed += len(todo.gone)
        summary.access_changed += len(todo.access)
        failed = list(todo.failed)
        for change in todo.fetch:
            before = known.get(change.external_id)
            if before is None:
                summary.added += 1
                continue
            try:
                same = before.digest == (await read(listing.connector, change)).digest
            except (RagError, OSError) as exc:
                failed.append((change.uri, reason(exc)))
                continue
            if not same:
                summary.updated += 1
            elif before.access != frozenset(change.access):
                summary.access_changed += 1
            else:
                summary.unchanged += 1
        summary.failures += [{"uri": uri, "error": error} for uri, error in failed]
    summary.failed = len(summary.failures)
    return summary


async def ingest(
    runtime: Runtime,
    collection: Collection,
    listings: Sequence[Listing],
    *,
    progress: Progress | None = None,
    stop: asyncio.Event | None = None,
) -> Summary:
    """Bring the collection level with its sources. Setting `stop` finishes what is under way."""
    progress, stop = progress or Progress(), stop or asyncio.Event()
    started = time.monotonic()
    await asyncio.to_thread(keep_reserve, runtime.settings.data_dir)
    run_id = await runtime.catalog.write(runs.start_run, collection.id, "ingest")
    summary = Summary(run=run_id)
    state: runs.Ended = "interrupted"
    cache = open_cache(runtime.settings)
    try:
        index = await runtime.index(collection.live)
        run = Run(runtime, collection, index, cache, progress, stop, summary)
        await drain(runtime, collection.id, cache)
        await _sync(run, listings)
        await drain(runtime, collection.id, cache)
        await index.optimize()
        state = "interrupted" if stop.is_set() else "done"
    except Exception:
        state = "failed"
        raise
    finally:
        await cache.close()
        _finish(summary, progress, started)
        counts = {k: v for k, v in asdict(summary).items() if isinstance(v, (int, float))}
        await runtime.catalog.write(runs.end_run, run_id, state, counts, progress.failures)
    summary.interrupted = state == "interrupted"
    _warn(runtime, collection, progress, summary)
    return summary


async def _sync(run: Run, listings: Sequence[Listing]) -> None:
    """Compare every source with what is indexed, then do what is to do, source by source."""
    plans = await plan(run.runtime, run.collection, listings)
    run.progress.files = sum(len(plan.fetch) for plan, _ in plans)
    run.progress.bytes = sum(change.size for plan, _ in plans for change in plan.fetch)
    for listing, (todo, known) in zip(listings, plans, strict=True):
        source = await run.runtime.catalog.write(
            collections.ensure_source, run.collection.id, listing.kind, listing.root
        )
        run.summary.unchanged += todo.unchanged
        run.progress.failures.extend(todo.failed)
        stages = open_pipeline(
            run.runtime,
            run.collection,
            source=source,
            connector=listing.connector,
            index=run.index,
            cache=run.cache,
            progress=run.progress,
        )
        run.summary.access_changed += await _change_access(run, source, todo.access)
        await run_local(stages.windows(todo.fetch, known, run.stop), stages.embed, stages.store)
        run.summary.access_changed += await _change_access(run, source, stages.access)
        if not run.stop.is_set():
            run.summary.removed += await _remove(run, todo.gone)


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


def _finish(summary: Summary, progress: Progress, started: float) -> None:
    summary.added, summary.updated = progress.added, progress.updated
    summary.unchanged += progress.unchanged
    summary.chunks, summary.tokens = progress.chunks, progress.tokens
    summary.failed = len(progress.failures)
    summary.failures = [{"uri": uri, "error": error} for uri, error in progress.failures]
    summary.seconds = round(time.monotonic() - started, 3)


def _warn(runtime: Runtime, collection: Collection, progress: Progress, summary: Summary) -> None:
    share = progress.unknown / progress.sampled if progress.sampled else 0.0
    if share > runtime.settings.retrieval.unknown_share:
        summary.warnings.append(
            f"the embedder {collection.live.embedder.name!r} cannot read {share:.0%} of this text: "
            "such questions are answered by words alone. A multilingual model reads it, for "
            "example intfloat/multilingual-e5-small (rag models pull), in a new collection"
        )
