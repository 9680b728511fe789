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

from indexers.chunking import ChunkSpec
from indexers.draining import drain
from indexers.engines.local import run_local
from indexers.pipeline import Pipeline, Progress, read
from indexers.planning import Plan, make_plan, reason
from indexers.sources import Scope, plan_scopes
from indexers.vector_cache import CachedEmbedder, VectorCache
from rag.catalog import collections, documents, runs, writing
from rag.catalog.documents import Known
from rag.errors import RagError
from rag.filters import Eq
from rag.ports import Changed, Connector, Embedder, Index
from rag.registry import make_plugin
from rag.runtime import Runtime
from rag.types import Collection, Pinned, Source, name_uuid

CHUNKER = "outline"
REMOVE_SLICE = 128


@dataclass(slots=True)
class Summary:
    """What a run did; the first six counts partition the files that it met or missed."""

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
    runtime: Runtime, collection: Collection, paths: Sequence[Path], options: Mapping[str, Any]
) -> list[Listing]:
    """Turn paths into listings of their sources; raise `NotFound` for a path that is not there.

    `options` are those of the filesystem connector, for every path alike.
    """
    sources = await runtime.catalog.read(collections.list_sources, collection.id)
    roots = [source.root for source in sources if source.kind == "filesystem"]
    scopes = await asyncio.to_thread(plan_scopes, paths, roots)
    return [Listing("filesystem", scope.root, _files(scope, options)) for scope in scopes]


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
    summary = Summary()
    run = await runtime.catalog.write(runs.start_run, collection.id, "ingest")
    state: runs.Ended = "interrupted"
    try:
        await _run(runtime, collection, listings, progress, stop, summary)
        state = "interrupted" if stop.is_set() else "done"
    except Exception:
        state = "failed"
        raise
    finally:
        _finish(summary, progress, started)
        counts = {k: v for k, v in asdict(summary).items() if isinstance(v, (int, float))}
        await runtime.catalog.write(runs.end_run, run, state, counts, progress.failures)
    summary.interrupted = state == "interrupted"
    _warn(runtime, collection, progress, summary)
    return summary


async def _run(
    runtime: Runtime,
    collection: Collection,
    listings: Sequence[Listing],
    progress: Progress,
    stop: asyncio.Event,
    summary: Summary,
) -> None:
    generation = collection.live
    index = await runtime.index(generation)
    await drain(runtime.catalog, runtime.blobs, index, generation)
    plans = await plan(runtime, collection, listings)
    progress.files = sum(len(plan.fetch) for plan, _ in plans)
    progress.bytes = sum(change.size for plan, _ in plans for change in plan.fetch)
    cache = _vector_cache(runtime)
    embedder = runtime.embedder(generation)
    cached = CachedEmbedder(embedder, cache, collection.tenant)
    try:
        for listing, (todo, known) in zip(listings, plans, strict=True):
            source = await runtime.catalog.write(
                collections.ensure_source, collection.id, listing.kind, listing.root
            )
            summary.unchanged += todo.unchanged
            progress.failures.extend(todo.failed)
            stages = Pipeline(
                collection=collection,
                source=source,
                connector=listing.connector,
                catalog=runtime.catalog,
                blobs=runtime.blobs,
                index=index,
                embedder=embedder,
                cached=cached,
                sparse=runtime.sparse_encoder(generation),
                spec=ChunkSpec(**generation.chunker.options),
                progress=progress,
            )
            summary.access_changed += await _change_access(runtime, index, source, todo.access)
            await run_local(stages.windows(todo.fetch, known, stop), stages.embed, stages.store)
            summary.access_changed += await _change_access(runtime, index, source, stages.access)
            if not stop.is_set():
                summary.removed += await _remove(runtime, todo.gone)
    finally:
        if cache is not None:
            await cache.close()
    await drain(runtime.catalog, runtime.blobs, index, generation)


async def _change_access(
    runtime: Runtime, index: Index, source: Source, changes: Sequence[Changed]
) -> int:
    """Change readers: new ones enter the store before the catalog, old ones leave it after."""
    for change in changes:
        document_id = name_uuid("document", source.id, change.external_id)
        before = await runtime.catalog.read(documents.readers, document_id)
        after = set(change.access)
        mine = Eq("document", document_id)
        if after - before:
            await index.patch(mine, {"subjects": sorted(before | after)})
        await runtime.catalog.write(writing.set_access, document_id, after)
        if before - after:
            await index.patch(mine, {"subjects": sorted(after)})
    return len(changes)


async def _remove(runtime: Runtime, gone: Sequence[Known]) -> int:
    removed = 0
    for start in range(0, len(gone), REMOVE_SLICE):
        expected = {
            known.document_id: known.attempt for known in gone[start : start + REMOVE_SLICE]
        }
        removed += len(await runtime.catalog.write(writing.remove, expected))
    return removed


def _files(scope: Scope, options: Mapping[str, Any]) -> Connector:
    given = {**options, "only": scope.only, "skip": scope.skip}
    connector: Connector = make_plugin("connectors", "filesystem", given, scope.root)
    return connector


def _vector_cache(runtime: Runtime) -> VectorCache | None:
    settings = runtime.settings.vector_cache
    path = runtime.settings.data_dir / "cache" / "vectors.sqlite"
    return VectorCache(path, settings.max_bytes) if settings.enabled else None


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
