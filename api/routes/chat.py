"""`POST /v1/chat/completions`: the OpenAI wire, answered from a collection.

The last message is the question. What is ours stands under `cumulo`: options in the request, and
citations on the message, or on the last chunk of a stream.
"""

from __future__ import annotations

import time
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
from api.routes.answer import shaped
from api.schemas.openai import ChatMessage, ChatReply, ChatRequest
from api.strict import StrictRoute
from rag.answering import Answerer, Asked
from rag.errors import UserError
from rag.messages import Message, Usage
from rag.types import Answer

router = APIRouter(tags=["openai"], responses=PROBLEMS, route_class=StrictRoute)
STREAM: dict[str, Any] = {
    "description": "The completion; with `stream`, its chunks as server-sent events.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
NOT_OURS = {"answer", "model", "usage"}
"""Parts of an answer for which the wire has places of its own."""


@router.post("/v1/chat/completions", response_model=ChatReply, responses={200: STREAM})
async def chat(asked: ChatRequest, request: Request, runtime: Opened, caller: Caller) -> Response:
    """Answer the last message from a collection, as OpenAI's clients expect it.

    `model` is `extractive` or a configured language model. Earlier messages are history; options
    such as the collection and a filter stand under `cumulo`.
    """
    question = await _asked(asked, caller, runtime)
    head = {
        "id": f"chatcmpl-{request.state.request_id}",
        "created": int(time.time()),
        "model": question.model,
    }
    seconds = runtime.settings.answering.timeout_s
    conversation = asked.cumulo.conversation
    if not asked.stream:
        whole = await attended(request, runtime.answerer.answer(question), seconds)
        return reply(_completion(head, whole, conversation))

    def failed(failure: Exception) -> bytes:
        return b"event: error\n" + _data({"error": problem_of(failure, request.scope)["error"]})

    usage = asked.stream_options is not None and asked.stream_options.include_usage
    chunks = _chunks(runtime.answerer, question, head, conversation, usage=usage)
    return await begin(request, chunks, failed, seconds)


async def _asked(asked: ChatRequest, caller: Caller, runtime: Opened) -> Asked:
    *earlier, last = asked.messages
    if last.role != "user":
        raise UserError("the last message is not the user's", hint="it is the question")
    text = _text(last)
    if not text.strip():
        raise UserError("the last message is empty", hint="it is the question")
    stop = [asked.stop] if isinstance(asked.stop, str) else asked.stop
    return Asked(
        query=query_of(asked.cumulo, text, caller, runtime),
        model=await writer(asked.model, runtime),
        history=tuple(_turn(message) for message in earlier),
        conversation=asked.cumulo.conversation,
        keep=True,
        max_tokens=asked.max_completion_tokens or asked.max_tokens,
        temperature=asked.temperature,
        stop=tuple(stop or ()),
    )


def _turn(message: ChatMessage) -> Message:
    role = "system" if message.role == "developer" else message.role
    return Message(role, _text(message))


def _text(message: ChatMessage) -> str:
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    return "\n".join(part.text for part in message.content)


def _completion(head: dict[str, Any], answer: Answer, conversation: str | None) -> dict[str, Any]:
    message = {
        "role": "assistant",
        "content": answer.text,
        "cumulo": _ours(answer, conversation),
    }
    return {
        **head,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish}],
        "usage": _usage(answer.usage),
    }


async def _chunks(
    answerer: Answerer,
    asked: Asked,
    head: dict[str, Any],
    conversation: str | None,
    *,
    usage: bool,
) -> AsyncGenerator[bytes, None]:
    head = {**head, "object": "chat.completion.chunk"}
    speaker: dict[str, Any] = {"role": "assistant"}
    async with aclosing(answerer.stream(asked)) as parts:
        async for part in parts:
            if not isinstance(part, Answer):
                yield _data({**head, "choices": [_delta({**speaker, "content": part.text})]})
                speaker = {}
                continue
            ours = {"cumulo": _ours(part, conversation)}
            yield _data({**head, "choices": [_delta(speaker, part.finish)], **ours})
            if usage:
                yield _data({**head, "choices": [], "usage": _usage(part.usage)})
    yield b"data: [DONE]\n\n"


def _delta(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _ours(answer: Answer, conversation: str | None) -> dict[str, Any]:
    whole = shaped(answer, conversation)
    return {key: value for key, value in whole.items() if key not in NOT_OURS}


def _usage(usage: Usage | None) -> dict[str, int]:
    read, written = (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _data(value: Any) -> bytes:
    return b"data: %s\n\n" % dump(value)
