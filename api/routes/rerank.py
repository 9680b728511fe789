"""`POST /v1/rerank`: documents in the order of a reranker, in the shape of Jina and Cohere."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.dependencies import Caller, Opened
from api.disconnecting import attended
from api.json import reply
from api.problems import PROBLEMS
from api.querying import known
from api.schemas.openai import RerankReply, RerankRequest
from api.strict import StrictRoute
from rag.errors import UserError

router = APIRouter(tags=["openai"], responses=PROBLEMS, route_class=StrictRoute)


@router.post("/v1/rerank", response_model=RerankReply)
async def rerank(asked: RerankRequest, request: Request, runtime: Opened, _: Caller) -> Response:
    """Put documents in order for a question, best first."""
    configured = runtime.settings.rerankers
    name = asked.model or runtime.settings.defaults.reranker
    if name is None:
        raise UserError(
            "no reranker is configured as the default", hint=f"name one: {', '.join(configured)}"
        )
    texts = [_text(document) for document in asked.documents]
    known("model", name, configured)
    reranker = await asyncio.to_thread(runtime.named_reranker, name)
    work = reranker.score(asked.query, texts)
    scores = (await attended(request, work, runtime.settings.serving.timeout_s)).tolist()
    order = sorted(range(len(texts)), key=lambda i: -scores[i])[: asked.top_n]
    results: list[dict[str, Any]] = [{"index": i, "relevance_score": scores[i]} for i in order]
    if asked.return_documents:
        for result in results:
            result["document"] = {"text": texts[result["index"]]}
    return reply({"id": request.state.request_id, "model": name, "results": results})


def _text(document: str | dict[str, Any]) -> str:
    if isinstance(document, str):
        return document
    text = document.get("text")
    if not isinstance(text, str):
        raise UserError("a document is a string, or an object with a string under `text`")
    return text
