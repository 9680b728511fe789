"""The two sides of the comparison: the raw embedder, and ingestion from listing to committed.

Both use one open, warm embedder and the same distinct texts.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from watching import Watch, WatchedRuntime

from indexers.chunking import ChunkSpec, chunk
from indexers.ingest import ingest, list_paths, open_collection
from indexers.parsing import parse
from rag.catalog.database import Catalog
from rag.ports import Changed, Embedder
from rag.runtime import Runtime
from rag.settings import Settings, load_settings
from rag.types import DEFAULT_TENANT, Document
from rag.vectors import Matrix

EMBEDDER, STORE = "minilm", "faiss"


@dataclass(slots=True)
class Texts:
    """What the pipeline embeds of the files, and what it takes to get there, alone on a core."""

    distinct: list[str]
    chunks: int = 0
    parse_chunk_s: float = 0.0
    bm25_s: float = 0.0


def benchmark_settings(data_dir: Path) -> Settings:
    """Return settings under which every text is embedded anew."""
    return load_settings(
        data_dir=data_dir,
        defaults={"embedder": EMBEDDER, "store": STORE},
        vector_cache={"enabled": False},
    )


async def collect(runtime: Runtime, folder: Path) -> Texts:
    """Make the texts that ingestion will embed, through the same connector, parser and chunker."""
    collection = await open_collection(runtime, DEFAULT_TENANT, "texts")
    embedder = runtime.embedder(collection.live)
    sparse = runtime.sparse_encoder(collection.live)
    spec = ChunkSpec(**collection.live.chunker.options)
    (listing,) = await list_paths(runtime, collection, [folder], {})
    found: dict[str, None] = {}
    texts = Texts([])
    async for change in listing.connector.changes():
        if not isinstance(change, Changed):
            continue
        blob = await listing.connector.fetch(change)
        began = time.perf_counter()
        (document,) = (part for part in parse(blob) if isinstance(part, Document))
        embedded = [span.embedded_text for span in chunk(document, spec, embedder.count_tokens)]
        chunked = time.perf_counter()
        sparse.encode(embedded)
        texts.parse_chunk_s += chunked - began
        texts.bm25_s += time.perf_counter() - chunked
        texts.chunks += len(embedded)
        found.update(dict.fromkeys(embedded))
    texts.distinct = list(found)
    return texts


async def time_raw(embedder: Embedder, texts: Sequence[str]) -> tuple[float, int, Matrix]:
    """Embed all texts in one call, tokenisation included."""
    began = time.perf_counter()
    embedded = await embedder.embed(texts, "passage")
    return time.perf_counter() - began, embedded.tokens, embedded.vectors


async def time_ingest(embedder: Embedder, folder: Path, texts: Texts) -> tuple[float, int, Watch]:
    """Ingest into a fresh data folder, from listing to committed; refuse a run that went wrong."""
    watch = Watch()
    with tempfile.TemporaryDirectory() as data:
        settings = benchmark_settings(Path(data))
        catalog = await Catalog.open(settings.data_dir / "catalog.sqlite")
        runtime = WatchedRuntime(settings, catalog, embedder=embedder, watch=watch)
        try:
            collection = await open_collection(runtime, DEFAULT_TENANT, "benchmark")
            watch.busy.clear()
            began = time.perf_counter()
            listings = await list_paths(runtime, collection, [folder], {})
            summary = await ingest(runtime, collection, listings)
            seconds = time.perf_counter() - began
        finally:
            await runtime.close()
    if summary.failed or summary.chunks != texts.chunks or set(watch.texts) != set(texts.distinct):
        sys.exit(
            f"error: ingestion made {summary.chunks} chunks and {len(set(watch.texts))} distinct "
            f"texts of the wanted {texts.chunks} and {len(texts.distinct)}; "
            f"{summary.failed} files failed: {summary.failures[:3]}"
        )
    return seconds, summary.tokens, watch
