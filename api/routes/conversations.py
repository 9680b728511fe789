"""`/v1/answers` and `/v1/conversations`: what the caller was answered before."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.responses import Response

from api.dependencies import Caller, Opened
from api.json import reply
from api.problems import PROBLEMS
from api.schemas.conversing import ConversationReply, KeptReply
from rag.catalog.answers import Kept, delete_conversation, get_answer, list_conversation

router = APIRouter(tags=["asking"], responses=PROBLEMS)
AnswerId = Annotated[str, Path(max_length=100, description="Id of an answer.")]
Name = Annotated[
    str,
    Path(
        min_length=1,
        max_length=200,
        pattern=r"^[A-Za-z0-9._:-]+$",
        description="Name of a conversation.",
    ),
]


@router.get("/v1/answers/{answer_id}", response_model=KeptReply)
async def read_answer(answer_id: AnswerId, runtime: Opened, caller: Caller) -> Response:
    """Return an answer that the caller was given."""
    return reply(_shaped(await runtime.catalog.read(get_answer, caller, answer_id)))


@router.get("/v1/conversations/{name}", response_model=ConversationReply)
async def read_conversation(name: Name, runtime: Opened, caller: Caller) -> Response:
    """Return a conversation of the caller: its first thousand turns."""
    turns = await runtime.catalog.read(list_conversation, caller, name)
    return reply({"name": name, "data": [_shaped(turn) for turn in turns]})


@router.delete("/v1/conversations/{name}", status_code=204, response_class=Response)
async def forget_conversation(name: Name, runtime: Opened, caller: Caller) -> Response:
    """Delete a conversation of the caller with all its answers."""
    await runtime.catalog.write(delete_conversation, caller, name)
    return Response(status_code=204)


def _shaped(kept: Kept) -> dict[str, Any]:
    """Shape a kept answer as `KeptReply`."""
    usage = dict(kept.usage) if kept.usage is not None else None
    if usage is not None:
        usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
    return {
        "id": kept.id,
        "answer": kept.text,
        "citations": list(kept.citations),
        "model": kept.model,
        "abstained": kept.state == "abstained",
        "unsupported": [],  # not kept: it is known when an answer is given
        "partial": False,
        "question": kept.searched,
        "rewritten": kept.searched != kept.question if kept.conversation is not None else None,
        "conversation": kept.conversation,
        "usage": usage,
        "asked": kept.question,
        "collection": kept.collection,
        "state": kept.state,
        "created": kept.created,
    }
