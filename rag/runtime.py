"""Opens everything and closes everything: catalog, stores, embedders, texts.

The only place where configured names become objects. What a generation pinned is compared with
what the settings say now, so that vectors of two models never meet.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.answering import Answerer
from rag.blobs import Blobs
from rag.catalog.collections import Pipeline, create_collection, find_collection
from rag.catalog.database import Catalog
from rag.catalog.documents import Stored
from rag.embedding import RetryingEmbedder, question_patience
from rag.errors import ConfigError, DataFolderError, IndexMismatch
from rag.fusion_weight import fitted_dense_weight
from rag.guarded import GuardedCatalog, GuardedLLM, GuardedReranker
from rag.once import Once
from rag.parsed import unpack_document
from rag.ports import (
    LLM,
    Embedder,
    Folders,
    Index,
    IndexSpec,
    Reranker,
    SparseEncoder,
    VectorStore,
)
from rag.protecting import Protected
from rag.registry import make_plugin, told_options
from rag.reserve import reserve_lent
from rag.retrieval import Retrieval
from rag.retrying import Retrying
from rag.settings import Plugin, Settings
from rag.types import Collection, Generation, Pinned

SILENT_S = 30.0
"""A language model that says nothing for so long, until its caller gives up, counts as hung."""


@asynccontextmanager
async def open_runtime(settings: Settings) -> AsyncIterator[Runtime]:
    """Open the data folder; what was opened on the way is closed at the end."""
    where = settings.catalog_url or settings.data_dir / "catalog.sqlite"
    if isinstance(where, Path):
        _check_not_lost(where)
    with reserve_lent(settings.data_dir):
        runtime = Runtime(settings, await Catalog.open(where))
        try:
            yield runtime
        finally:
            await runtime.close()


class Runtime:
    """What one process has open. Plug-ins are opened on first use and kept."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self.settings = settings
        self.catalog = catalog
        files = settings.blobs.url or str(settings.data_dir)
        self.texts = Blobs(f"{files}/texts")
        self.originals = Blobs(f"{files}/originals")
        window_s = settings.serving.batch_window_ms / 1000
        self.protected = Protected(self, settings.dependency, window_s=window_s)
        weight = settings.retrieval.dense_weight
        self.retrieval = Retrieval(
            GuardedCatalog(catalog, self.protected.guard("the catalog")),
            self.protected,
            settings.retrieval,
            dense_weight=fitted_dense_weight() if weight is None else weight,
            reranker=settings.defaults.reranker,
        )
        self.answerer = Answerer(self.retrieval, self.protected, catalog, settings.answering)
        self._embedders = Once(self._open_embedder)
        self._sparse = Once(self._open_sparse_encoder)
        self._llms = Once(self._open_llm)
        self._rerankers = Once(self._open_reranker)
        self._stores = Once(self._open_store)
        self._indexes: dict[str, asyncio.Task[Index]] = {}

    # --- by name ---------------------------------------------------------------------------------

    def named_embedder(self, name: str) -> Embedder:
        """Open a configured embedder, as ingestion uses it; `asked_embedder` is for questions."""
        return self._embedders(name)

    def asked_embedder(self, name: str) -> Embedder:
        """Open a configured embedder as questions use it: together, and not for long."""
        return self.protected.guarded(name, self.named_embedder(name))

    def named_sparse_encoder(self, name: str) -> SparseEncoder:
        """Open a configured sparse encoder."""
        return self._sparse(name)

    def named_llm(self, name: str) -> LLM:
        """Open a configured language model; `extractive` is none."""
        return self._llms(name)

    def named_reranker(self, name: str) -> Reranker:
        """Open a configured reranker."""
        return self._rerankers(name)

    def store(self, name: str) -> VectorStore:
        """Open a configured store."""
        return self._stores(name)

    def _open_embedder(self, name: str) -> Embedder:
        made = configured_embedder(self.settings, name)
        return RetryingEmbedder(made, name, self.settings.embedding)

    def _open_sparse_encoder(self, name: str) -> SparseEncoder:
        plugin = _configured("sparse_encoders", name, self.settings.sparse_encoders)
        made: SparseEncoder = make_plugin("sparse_encoders", plugin.kind, plugin.options)
        return made

    def _open_llm(self, name: str) -> LLM:
        plugin = _configured("llms", name, self.settings.llms)
        made: LLM = make_plugin("llms", plugin.kind, plugin.options, _folders(self.settings))
        guard = self.protected.guard(f"the language model {name!r}", hung_s=SILENT_S)
        return GuardedLLM(made, guard)

    def _open_reranker(self, name: str) -> Reranker:
        plugin, what = (
            _configured("rerankers", name, self.settings.rerankers),
            f"the reranker {name!r}",
        )
        made: Reranker = make_plugin(
            "rerankers", plugin.kind, plugin.options, _folders(self.settings)
        )
        patience = question_patience(self.settings.embedding)
        return GuardedReranker(made, self.protected.guard(what), Retrying(what), patience)

    def _open_store(self, name: str) -> VectorStore:
        plugin = _configured("stores", name, self.settings.stores)
        folder = self.settings.data_dir / "stores" / name
        made: VectorStore = make_plugin("vector_stores", plugin.kind, plugin.options, folder)
        return made

    async def reach(self) -> None:
        """Ask the catalog and every open store for a sign of life; raise `Unavailable` if none."""
        await self.catalog.read(_alive)
        await asyncio.gather(*(store.names() for store in self._stores.opened()))

    # --- by generation ---------------------------------------------------------------------------

    def embedder(self, generation: Generation) -> Embedder:
        """Open the embedder that a generation pinned; raise `IndexMismatch` if it has changed."""
        embedder = self.named_embedder(generation.embedder.name)
        _check_pinned("embedder", generation.embedder, embedder.fingerprint)
        return embedder

    def sparse_encoder(self, generation: Generation) -> SparseEncoder:
        """Open the sparse encoder that a generation pinned; raise `IndexMismatch` likewise."""
        encoder = self.named_sparse_encoder(generation.sparse.name)
        _check_pinned("sparse encoder", generation.sparse, encoder.fingerprint)
        return encoder

    async def index(self, generation: Generation) -> Index:
        """Open a generation's index, made if a crash left it out."""
        opening = self._indexes.get(generation.id)
        if opening is None or _failed(opening):
            store = self.store(generation.store)
            opening = asyncio.ensure_future(store.create(IndexSpec(generation.id, generation.dim)))
            self._indexes[generation.id] = opening
        return await asyncio.shield(opening)  # others wait for it too

    async def text(self, stored: Stored) -> str:
        """Return a document's parsed text; raise `NotFound` or `Rejected` when it is lost."""
        content = await asyncio.to_thread(self.texts.get, stored.id, stored.text_digest)
        return unpack_document(content).text

    # --- collections -----------------------------------------------------------------------------

    async def ensure_collection(
        self,
        tenant: str,
        name: str,
        *,
        store: str | None = None,
        embedder: str | None = None,
        pin_chunker: Callable[[Embedder], Pinned],
    ) -> Collection:
        """Return a collection, created with these names or the defaults when it is new.

        Raise `ConfigError` when it exists and was built with other names.
        """
        found = await self.catalog.read(find_collection, tenant, name)
        if found is not None:
            for what, asked, pinned in (
                ("store", store, found.live.store),
                ("embedder", embedder, found.live.embedder.name),
            ):
                if asked is not None and asked != pinned:
                    raise ConfigError(
                        f"collection {name!r} was built with the {what} {pinned!r}, not {asked!r}",
                        hint="leave the option out, or choose another collection",
                    )
            return found
        defaults = self.settings.defaults
        embedder, sparse = embedder or defaults.embedder, defaults.sparse_encoder
        opened = await asyncio.to_thread(self.named_embedder, embedder)
        pipeline = Pipeline(
            store=store or defaults.store,
            chunker=pin_chunker(opened),
            embedder=self._pinned("embedders", embedder, opened.fingerprint),
            sparse=self._pinned(
                "sparse_encoders", sparse, self.named_sparse_encoder(sparse).fingerprint
            ),
            dim=opened.dim,
        )
        self.store(pipeline.store)  # a wrong name or option must fail before anything is written
        created = await self.catalog.write(create_collection, tenant, name, pipeline)
        await self.index(created.live)
        return created

    def _pinned(
        self, group: Literal["embedders", "sparse_encoders"], name: str, fingerprint: str
    ) -> Pinned:
        plugin: Plugin = getattr(self.settings, group)[name]
        return Pinned(name, told_options(group, plugin.kind, plugin.options), fingerprint)

    async def close(self) -> None:
        """Close in the reverse order of use; idempotent."""
        await self.protected.close()
        for opening in self._indexes.values():
            if opening.done() and not _failed(opening):
                await opening.result().close()
        for store in self._stores.opened():
            await store.close()
        for llm in self._llms.opened():
            await llm.close()
        for reranker in self._rerankers.opened():
            await reranker.close()
        for embedder in self._embedders.opened():
            await embedder.close()
        await self.catalog.close()


def _alive(connection: Connection) -> None:
    connection.execute(sa.select(sa.literal(1)))


def _failed(opening: asyncio.Task[Index]) -> bool:
    """Tell whether it ended, and not well: then it is worth another try."""
    return opening.done() and (opening.cancelled() or opening.exception() is not None)


def _check_not_lost(catalog: Path) -> None:
    """Refuse to begin an empty catalog beside documents: they would count as nobody's."""
    if catalog.is_file() and catalog.stat().st_size:
        return
    for folder in (catalog.parent / name for name in ("stores", "texts", "originals")):
        if folder.is_dir() and any(folder.iterdir()):
            raise DataFolderError(
                f"the catalog {catalog} is lost, and {folder.name}/ still has documents",
                hint="restore a backup: rag restore, with another --data-dir; or remove the folder",
            )


def configured_embedder(settings: Settings, name: str) -> Embedder:
    """Open an embedder by its configured name, as it is: no failing call is tried again."""
    plugin = _configured("embedders", name, settings.embedders)
    embedder: Embedder = make_plugin("embedders", plugin.kind, plugin.options, _folders(settings))
    return embedder


def _folders(settings: Settings) -> Folders:
    return Folders(models=settings.model_dir, cache=settings.data_dir / "cache")


def _configured(what: str, name: str, plugins: dict[str, Plugin]) -> Plugin:
    if name not in plugins:
        raise ConfigError(
            f"no {name!r} is configured under {what}",
            hint=f"configured: {', '.join(sorted(plugins))}",
        )
    return plugins[name]


def _check_pinned(what: str, pinned: Pinned, fingerprint: str) -> None:
    if pinned.fingerprint != fingerprint:
        raise IndexMismatch(
            f"this collection was built with the {what} {pinned.name!r} of fingerprint "
            f"{pinned.fingerprint}; {pinned.name!r} is now configured as {fingerprint}",
            hint="restore its options or model files, or ingest into a new collection",
        )
