"""`POST /v1/search`: the chunks that match a question best."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.dependencies import Caller, Opened
from api.disconnecting import attended
from api.json import reply
from api.problems import PROBLEMS
from api.querying import query_of
from api.schemas.searching import SearchReply, SearchRequest
from api.strict import StrictRoute
from rag.replies import retrieved_json

router = APIRouter(tags=["asking"], responses=PROBLEMS, route_class=StrictRoute)


@router.post("/v1/search", response_model=SearchReply)
async def search(
    asked: SearchRequest, request: Request, runtime: Opened, caller: Caller
) -> Response:
    """Find the chunks that match a question best.

    Every hit was compared with the catalog: nothing deleted, replaced or hidden from the caller is
    among them. Scores are comparable within one reply only.
    """
    query = query_of(asked, asked.query, caller, runtime)
    work = runtime.retrieval.search(query)
    found = await attended(request, work, runtime.settings.serving.timeout_s)
    return reply(retrieved_json(found))
