"""What the query API does, one subject per file."""

from __future__ import annotations

from api.routes import (
    answer,
    chat,
    collections,
    conversations,
    documents,
    embeddings,
    health,
    kept,
    models,
    rerank,
    runs,
    search,
)

ROUTERS = tuple(
    module.router
    for module in (
        search,
        answer,
        conversations,
        collections,
        documents,
        kept,
        runs,
        chat,
        embeddings,
        rerank,
        models,
        health,
    )
)
