"""`rag init`: a data folder, the default model, an empty collection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rag.cli import session
from rag.cli.session import Backend, CollectionName, DataDir, EmbedderName, Json

if TYPE_CHECKING:
    from rag.runtime import Runtime


def init(
    collection: CollectionName = "default",
    backend: Backend = None,
    embedder: EmbedderName = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Make the data folder, pull the embedding model, create a collection.

    Safe to run again: what is there stays as it is.
    """

    async def work(runtime: Runtime) -> str:
        from indexers.ingest import open_collection
        from rag.errors import ModelMissing
        from rag.models import pull_model

        name = embedder or runtime.settings.defaults.embedder
        try:
            await asyncio.to_thread(runtime.named_embedder, name)
        except ModelMissing as exc:
            folder = runtime.settings.model_dir
            await asyncio.to_thread(pull_model, exc.model, folder, say=session.say)
        made = await open_collection(
            runtime, session.caller().tenant, collection, store=backend, embedder=embedder
        )
        return made.live.embedder.name

    used = session.run(work, data_dir, create=True)
    folder = str(session.settings(data_dir).data_dir)
    if json:
        session.print_json({"data_dir": folder, "collection": collection, "embedder": used})
    else:
        session.say(f"ready: {folder}, collection {collection!r}, embedder {used!r}")
        session.say("next: rag ingest PATH")
