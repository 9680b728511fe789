"""`POST /v1/embeddings`: vectors of texts, by a configured embedder."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.dependencies import Caller, Opened
from api.disconnecting import attended
from api.json import reply
from api.problems import PROBLEMS
from api.querying import known
from api.schemas.openai import EmbeddingsReply, EmbeddingsRequest
from api.strict import StrictRoute
from rag.errors import UserError
from rag.vectors import Matrix

router = APIRouter(tags=["openai"], responses=PROBLEMS, route_class=StrictRoute)


@router.post("/v1/embeddings", response_model=EmbeddingsReply)
async def embeddings(
    asked: EmbeddingsRequest, request: Request, runtime: Opened, _: Caller
) -> Response:
    """Return one unit vector per text, in their order.

    `model` is the name of a configured embedder. Texts longer than it reads are cut at their end.
    """
    name = known("model", asked.model, runtime.settings.embedders)
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    embedder = await asyncio.to_thread(runtime.asked_embedder, name)
    if asked.dimensions not in (None, embedder.dim):
        raise UserError(f"{name!r} has {embedder.dim} dimensions, not {asked.dimensions}")
    work = embedder.embed(texts, asked.input_type)
    found = await attended(request, work, runtime.settings.serving.timeout_s)
    as_text = asked.encoding_format == "base64"
    data = [
        {"object": "embedding", "index": i, "embedding": _packed(row) if as_text else row}
        for i, row in enumerate(found.vectors)
    ]
    usage = {"prompt_tokens": found.tokens, "total_tokens": found.tokens}
    return reply({"object": "list", "model": name, "data": data, "usage": usage})


def _packed(row: Matrix) -> Any:
    """Return a vector as base64 of little-endian float32, as OpenAI does."""
    return base64.b64encode(row.astype("<f4", copy=False).tobytes()).decode()
