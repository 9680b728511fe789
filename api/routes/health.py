"""`/healthz` and `/readyz`: alive, and able to answer now."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.json import reply
from api.schemas.health import Health, ReadinessReply

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=Health)
async def healthz() -> Response:
    """Say that the process is alive; depends on nothing else."""
    return reply({"status": "ok"})


@router.get(
    "/readyz",
    response_model=ReadinessReply,
    responses={503: {"description": "Not now; the body says why.", "model": ReadinessReply}},
)
async def readyz(request: Request) -> Response:
    """Say whether questions can be answered now: models warm, catalog reachable, not ending."""
    state: dict[str, Any] = await request.app.state.readiness.report()
    return reply(state, 200 if state["ready"] else 503)
