"""Collections, documents and receipts, as calls."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rag.client.call import Call, Listing, Upload, get, given, keyed, path_of, post, reply
from rag.client.kept import (
    ChunkReply,
    ChunksReply,
    CollectionDeleted,
    CollectionReply,
    CollectionsReply,
    CollectionStats,
    DocumentReply,
    DocumentsReply,
    ReceiptReply,
    RunReply,
)

PAGE = 100


def create_collection(
    name: str, *, store: str | None = None, embedder: str | None = None
) -> Call[CollectionReply]:
    """Make a collection; one that is there already with the same settings is returned."""
    body = given({"name": name, "store": store, "embedder": embedder})
    return post(CollectionReply, "v1", "collections", body=body, repeatable=True)


def collections() -> Call[tuple[CollectionReply, ...]]:
    """List all collections, by name."""
    read = reply(CollectionsReply)
    return Call("GET", "/v1/collections", lambda response: read(response).data, True)


def collection(name: str) -> Call[CollectionReply]:
    """Return a collection."""
    return get(CollectionReply, "v1", "collections", name)


def collection_stats(name: str) -> Call[CollectionStats]:
    """Return a collection in numbers."""
    return get(CollectionStats, "v1", "collections", name, "stats")


def delete_collection(name: str) -> Call[CollectionDeleted]:
    """Delete a collection with everything in it."""
    return _delete(get(CollectionDeleted, "v1", "collections", name))


def upload(
    collection: str,
    files: Iterable[Path | str | Upload],
    *,
    metadata: Mapping[str, Any] | None = None,
    wait: bool = False,
    idempotency_key: str | None = None,
) -> Call[RunReply]:
    """Send files, each streamed from disk; one of a name that is there replaces it.

    Return the run that reads them, with `wait` when it has ended, if that is in time.
    """
    uploads = tuple(file if isinstance(file, Upload) else _upload(Path(file)) for file in files)
    twice = [name for name, count in Counter(one.name for one in uploads).items() if count > 1]
    if twice:
        raise ValueError(f"two files are called {twice[0]!r}; give them names with Upload(name, …)")
    if not uploads:
        raise ValueError("there are no files to send")
    form = {} if metadata is None else {"metadata": json.dumps(metadata)}
    path = path_of("v1", "collections", collection, "documents")
    call = Call("POST", path, reply(RunReply), False, uploads=uploads, form=form)
    return keyed(_waiting(call, wait), idempotency_key)


def add_text(
    collection: str,
    name: str,
    text: str,
    *,
    media_type: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    wait: bool = False,
    idempotency_key: str | None = None,
) -> Call[RunReply]:
    """Give a document as text."""
    body = {"name": name, "text": text, "media_type": media_type, "metadata": metadata}
    path = ("v1", "collections", collection, "documents", "text")
    call = post(RunReply, *path, body=given(body), repeatable=False)
    return keyed(_waiting(call, wait), idempotency_key)


def add_url(
    collection: str,
    url: str,
    *,
    name: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    wait: bool = False,
    idempotency_key: str | None = None,
) -> Call[RunReply]:
    """Have the server fetch a document; addresses inside private networks are refused."""
    body = given({"url": url, "name": name, "metadata": metadata})
    path = ("v1", "collections", collection, "documents", "url")
    call = post(RunReply, *path, body=body, repeatable=False)
    return keyed(_waiting(call, wait), idempotency_key)


def documents(collection: str, *, prefix: str | None = None) -> Listing[DocumentReply]:
    """List the documents of a collection, those whose address begins with `prefix`."""
    path = ("v1", "collections", collection, "documents")
    return Listing(get(DocumentsReply, *path, limit=PAGE, prefix=prefix), "cursor")


def document(document_id: str) -> Call[DocumentReply]:
    """Return a document."""
    return get(DocumentReply, "v1", "documents", document_id)


def text(document_id: str) -> Call[str]:
    """Return a document's text, into which the offsets of chunks and citations point."""
    path = path_of("v1", "documents", document_id, "text")
    return Call("GET", path, lambda response: response.content.decode("utf-8"), True)


def chunks(document_id: str) -> Listing[ChunkReply]:
    """List the chunks of a document, in order."""
    return Listing(get(ChunksReply, "v1", "documents", document_id, "chunks", limit=PAGE), "after")


def original(document_id: str) -> Call[bytes]:
    """Return the bytes that were uploaded."""
    path = path_of("v1", "documents", document_id, "original")
    return Call("GET", path, lambda response: response.content, True)


def set_metadata(document_id: str, metadata: Mapping[str, Any]) -> Call[DocumentReply]:
    """Give a document metadata, in place of what was given before."""
    call = get(DocumentReply, "v1", "documents", document_id, "metadata")
    return replace(call, method="PUT", body={"metadata": metadata})


def delete_document(document_id: str) -> Call[ReceiptReply]:
    """Delete a document: from now on nobody finds it."""
    return _delete(get(ReceiptReply, "v1", "documents", document_id))


def receipt(receipt_id: str) -> Call[ReceiptReply]:
    """Return a receipt; `gone` says since when nothing is left of the document."""
    return get(ReceiptReply, "v1", "receipts", receipt_id)


def _delete(call: Call[Any]) -> Call[Any]:
    return replace(call, method="DELETE")


def _waiting(call: Call[RunReply], wait: bool) -> Call[RunReply]:
    return replace(call, params={"wait": "true"}) if wait else call


def _upload(path: Path) -> Upload:
    return Upload(path.name, path)
