"""Collections, documents, runs and receipts as plain JSON: what `api.schemas.keeping` describes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rag.catalog.documents import Stored
from rag.catalog.receipts import Receipt
from rag.catalog.reporting import Run
from rag.catalog.sizes import Size
from rag.types import Chunk, Collection


def collection_json(collection: Collection) -> dict[str, Any]:
    """Shape a collection."""
    live = collection.live
    return {
        "name": collection.name,
        "documents": collection.documents,
        "chunks": live.chunks,
        "store": live.store,
        "embedder": live.embedder.name,
        "sparse_encoder": live.sparse.name,
        "dimension": live.dim,
        "generation": live.id,
    }


def stats_json(collection: Collection, size: Size) -> dict[str, Any]:
    """Shape a collection in numbers."""
    return {**collection_json(collection), **asdict(size)}


def document_json(document: Stored) -> dict[str, Any]:
    """Shape a document."""
    return {
        "id": document.id,
        "collection": document.collection,
        "name": document.external_id,
        "uri": document.uri,
        "title": document.title,
        "metadata": document.metadata,
        "given": document.given,
        "chunks": document.chunks,
        "digest": document.digest,
        "original": document.original_digest is not None,
        "updated": document.updated,
    }


def chunk_json(chunk: Chunk) -> dict[str, Any]:
    """Shape a chunk."""
    return {
        "id": chunk.id,
        "ordinal": chunk.ordinal,
        "start": chunk.start,
        "end": chunk.end,
        "heading": list(chunk.heading),
        "text": chunk.text,
    }


def receipt_json(receipt: Receipt) -> dict[str, Any]:
    """Shape a receipt."""
    return {
        "id": receipt.id,
        "document_id": receipt.document,
        "uri": receipt.uri,
        "chunks": receipt.chunks,
        "unfindable": receipt.unfindable,
        "gone": receipt.gone,
    }


def run_json(run: Run) -> dict[str, Any]:
    """Shape a run."""
    return {
        "id": run.id,
        "collection": run.collection,
        "kind": run.kind,
        "state": run.state,
        "counts": run.counts,
        "started": run.started,
        "updated": run.updated,
        "cancelled": run.cancelled,
        "error": run.error,
        "summary": run.summary,
        "documents": [{"id": id_, "name": name} for id_, name in run.documents],
        "failures": [{"uri": uri, "error": error} for uri, error in run.failures],
    }
