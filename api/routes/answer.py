"""`POST /v1/answer`: an answer with typed citations, whole or as events."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.dependencies import Caller, Opened
from api.disconnecting import attended
from api.errors import problem_of
from api.events import begin
from api.json import dump, reply
from api.problems import PROBLEMS
from api.querying import query_of, writer
from api.schemas.searching import AnswerReply, AnswerRequest
from api.strict import StrictRoute
from rag.answering import Answerer, Asked
from rag.replies import answer_json, citation_json
from rag.types import Answer

router = APIRouter(tags=["asking"], responses=PROBLEMS, route_class=StrictRoute)
STREAM: dict[str, Any] = {
    "description": "The answer; with `stream`, events `piece`, then `done` or `error`.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}


@router.post("/v1/answer", response_model=AnswerReply, responses={200: STREAM})
async def answer(
    asked: AnswerRequest, request: Request, runtime: Opened, caller: Caller
) -> Response:
    """Answer a question from a collection, with a citation for every sentence.

    `extractive` quotes the best sentences; a language model writes its own, and each of its
    sentences is attributed to the passage that supports it best. Whether the collection holds an
    answer at all is decided before anything is written.
    """
    question = Asked(
        query=query_of(asked, asked.question, caller, runtime),
        model=await writer(asked.model, runtime),
        conversation=asked.conversation,
        keep=True,
    )
    seconds = runtime.settings.answering.timeout_s
    if not asked.stream:
        whole = await attended(request, runtime.answerer.answer(question), seconds)
        return reply(shaped(whole, asked.conversation))

    def failed(failure: Exception) -> bytes:
        return _event("error", problem_of(failure, request.scope))

    return await begin(request, _events(runtime.answerer, question), failed, seconds)


def shaped(answer: Answer, conversation: str | None) -> dict[str, Any]:
    """Shape an answer as `AnswerReply`."""
    return {**answer_json(answer), "conversation": conversation}


async def _events(answerer: Answerer, asked: Asked) -> AsyncGenerator[bytes, None]:
    async with aclosing(answerer.stream(asked)) as parts:
        async for part in parts:
            if isinstance(part, Answer):
                yield _event("done", shaped(part, asked.conversation))
            else:
                citations = [citation_json(citation) for citation in part.citations]
                yield _event("piece", {"text": part.text, "citations": citations})


def _event(name: str, value: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), dump(value))
