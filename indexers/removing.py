"""Deleting on request: unfindable at once, then gone from stores, caches and disk."""

from __future__ import annotations

import asyncio

from indexers.draining import drain
from indexers.vector_cache import open_cache
from rag.catalog import collections, documents, receipts, writing
from rag.catalog.documents import Stored
from rag.catalog.receipts import Receipt
from rag.runtime import Runtime
from rag.settings import Settings
from rag.types import Collection

NOT_COVERED = (
    "backups that were made before",
    "the document at its source",
    "blocks that the file system has freed and not yet overwritten",
    "logs and traces of questions that showed it",
)
NOT_COVERED_POSTGRES = "dead rows of the Postgres catalog until the server vacuums"
NOT_COVERED_BUCKET = "older object versions, where the bucket keeps them"


async def remove_document(runtime: Runtime, tenant: str, document: Stored) -> Receipt:
    """Delete one document; return its receipt, which says since when nothing is left of it."""
    await runtime.catalog.write(writing.remove, {document.id: None}, "request")
    collection = await runtime.catalog.read(collections.get_collection, tenant, document.collection)
    cache = open_cache(runtime.settings)
    try:
        await drain(runtime, collection.id, cache)
    finally:
        await cache.close()
    (receipt, *_) = await runtime.catalog.read(
        receipts.list_receipts, tenant, document_id=document.id, limit=1
    )
    return receipt


async def remove_collection(runtime: Runtime, collection: Collection) -> None:
    """Delete a collection with its indexes, texts and vectors."""
    ids = await runtime.catalog.read(documents.traced_documents, collection.id)
    indexes = await runtime.catalog.write(collections.delete_collection, collection.id)
    for store, index in indexes:
        await runtime.store(store).drop(index)
    cache = open_cache(runtime.settings)
    try:
        await cache.forget(ids)
    finally:
        await cache.close()
    for document_id in ids:
        await asyncio.to_thread(runtime.texts.drop_all, document_id)
        await asyncio.to_thread(runtime.originals.drop_all, document_id)
    await runtime.catalog.purge()


def not_covered(settings: Settings) -> tuple[str, ...]:
    """Name what a receipt does not speak of."""
    found: tuple[str, ...] = NOT_COVERED
    if settings.catalog_url is not None:
        found = (*found, NOT_COVERED_POSTGRES)
    if settings.blobs.url is not None:
        found = (*found, NOT_COVERED_BUCKET)
    return found
