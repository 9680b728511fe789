"""Examples of collections, documents and runs for the OpenAPI document, by operation."""

from __future__ import annotations

from typing import Any

_DOCUMENT = "2b1c6a52-0a4e-5d0f-9a53-6a1f0c1d2e3f"
_COLLECTION: dict[str, Any] = {
    "name": "handbook",
    "documents": 0,
    "chunks": 0,
    "store": "faiss",
    "embedder": "minilm",
    "sparse_encoder": "bm25",
    "dimension": 384,
    "generation": "5f1c3a8e-9a51-5b7e-8a1d-2f8f3d0a7b11",
}
_SHOWN: dict[str, Any] = {
    "id": _DOCUMENT,
    "collection": "handbook",
    "name": "notes/monday.md",
    "uri": "upload:notes/monday.md",
    "title": "Monday",
    "metadata": {"meta.path": "notes/monday.md", "meta.ext": ".md", "meta.year": 2026},
    "given": {"meta.year": 2026},
    "chunks": 1,
    "digest": "c5f7a0b1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d",
    "original": True,
    "updated": 1795478400.5,
}
_RUN: dict[str, Any] = {
    "id": "9f1b7c52-3c8e-4b57-8a6a-0d5a3b1f2c4d",
    "collection": "handbook",
    "kind": "text",
    "state": "done",
    "counts": {"added": 1, "failed": 0, "files": 1, "files_done": 1},
    "started": 1795478400.0,
    "updated": 1795478400.5,
    "cancelled": False,
    "error": None,
    "summary": {"added": 1, "chunks": 1, "tokens": 9, "seconds": 0.4, "warnings": []},
    "documents": [{"id": _DOCUMENT, "name": "notes/monday.md"}],
    "failures": [],
}
_QUEUED: dict[str, Any] = {**_RUN, "state": "queued", "counts": {}, "summary": None}
_RECEIPT: dict[str, Any] = {
    "id": "4d3c2b1a-5e6f-4a7b-8c9d-0e1f2a3b4c5d",
    "document_id": _DOCUMENT,
    "uri": "upload:notes/monday.md",
    "chunks": 1,
    "unfindable": 1795478500.0,
    "gone": 1795478500.2,
}
_GIVEN: dict[str, Any] = {"year": 2026}

REQUESTS: dict[str, Any] = {
    "create_collection": {"name": "handbook"},
    "add_text": {
        "name": "notes/monday.md",
        "text": "# Monday\n\nAll is well.\n",
        "metadata": _GIVEN,
    },
    "add_url": {"url": "https://example.org/page.html"},
    "give_metadata": {"metadata": _GIVEN},
}
REPLIES: dict[str, Any] = {
    "create_collection": _COLLECTION,
    "list_all_collections": {"data": [_COLLECTION]},
    "show_collection": _COLLECTION,
    "measure_collection": {
        **_COLLECTION,
        "sources": [{"id": _DOCUMENT, "kind": "upload", "root": "upload", "documents": 0}],
        "quarantined": 0,
        "originals": 0,
        "created": 1795478400.0,
        "updated": None,
    },
    "delete_collection": {
        "name": "handbook",
        "documents": 1,
        "unfindable": 1795478500.0,
        "gone": 1795478500.2,
    },
    "upload_documents": _QUEUED,
    "add_text": _QUEUED,
    "add_url": {**_QUEUED, "kind": "url"},
    "list_documents": {"data": [_SHOWN], "next": None},
    "show_document": _SHOWN,
    "list_chunks": {
        "data": [
            {
                "id": "0c9de1a4-55a3-5a0b-8d19-0a2b5f1e7c11",
                "ordinal": 0,
                "start": 0,
                "end": 22,
                "heading": [],
                "text": "# Monday\n\nAll is well.",
            }
        ],
        "next": None,
    },
    "give_metadata": _SHOWN,
    "delete_document": _RECEIPT,
    "show_receipt": _RECEIPT,
    "list_all_runs": {"data": [_RUN], "next": None},
    "show_run": _RUN,
    "cancel_run": {**_QUEUED, "state": "running", "cancelled": True},
}
