"""Deleting on request: unfindable at once, then physically gone from stores and texts."""

from __future__ import annotations

import asyncio

from indexers.draining import drain
from rag.catalog import collections, documents, writing
from rag.catalog.documents import Stored
from rag.runtime import Runtime
from rag.types import Collection


async def remove_document(runtime: Runtime, tenant: str, document: Stored) -> None:
    """Delete one document of a collection."""
    await runtime.catalog.write(writing.remove, {document.id: None})
    collection = await runtime.catalog.read(collections.get_collection, tenant, document.collection)
    index = await runtime.index(collection.live)
    await drain(runtime.catalog, runtime.blobs, index, collection.live)


async def remove_collection(runtime: Runtime, collection: Collection) -> None:
    """Delete a collection with its indexes and texts."""
    ids = await runtime.catalog.read(documents.document_ids, collection.id)
    indexes = await runtime.catalog.write(collections.delete_collection, collection.id)
    for store, index in indexes:
        await runtime.store(store).drop(index)
    for document_id in ids:
        await asyncio.to_thread(runtime.blobs.drop_all, document_id)
