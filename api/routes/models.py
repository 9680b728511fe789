"""`GET /v1/models`: what requests may name."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from api.dependencies import Caller, Opened
from api.json import reply
from api.problems import PROBLEMS
from api.schemas.openai import Model, ModelsReply
from rag.errors import NotFound
from rag.settings import EXTRACTIVE, Settings

router = APIRouter(tags=["openai"], responses=PROBLEMS)


@router.get("/v1/models", response_model=ModelsReply)
async def models(runtime: Opened, _: Caller) -> Response:
    """List what answers, embeds and reranks; `cumulo.role` says which."""
    return reply({"object": "list", "data": _models(runtime.settings)})


@router.get("/v1/models/{name}", response_model=Model)
async def model(name: str, runtime: Opened, _: Caller) -> Response:
    """Return one of them."""
    for found in _models(runtime.settings):
        if found["id"] == name:
            return reply(found)
    raise NotFound(f"there is no model {name!r}", hint="see: GET /v1/models")


def _models(settings: Settings) -> list[dict[str, Any]]:
    defaults = settings.defaults
    roles = (
        ("llm", [EXTRACTIVE, *settings.llms], defaults.llm),
        ("embedder", list(settings.embedders), defaults.embedder),
        ("reranker", list(settings.rerankers), defaults.reranker),
    )
    return [
        {
            "id": name,
            "object": "model",
            "created": 0,
            "owned_by": "cumulo",
            "cumulo": {"role": role, "default": name == default},
        }
        for role, names, default in roles
        for name in names
    ]
