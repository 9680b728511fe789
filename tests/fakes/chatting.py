"""OpenAI's chat on the wire: the request that servers share, and its answer whole or in chunks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from tests.fakes.checking import Strict
from tests.fakes.serving import Stream

CREATED = 1677652288
TEXT = "Hello there, how may I assist you today?"

Answering = str | Callable[[list[dict[str, Any]]], str]
"""The text of every answer, or a function of the messages."""


class Part(Strict):
    """A piece of a message."""

    type: Literal["text"]
    text: str


class Turn(Strict):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    name: str | None = None


class StreamOptions(Strict):
    """What a stream has besides text."""

    include_usage: bool = False


class ChatRequest(Strict):
    """The fields that every server of this protocol knows."""

    messages: list[Turn] = Field(min_length=1)
    model: str
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Annotated[int, Field(ge=1, le=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    response_format: dict[str, Any] | None = None
    seed: int | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Speaking:
    """How a fake answers chats; the later fields are what servers differ in."""

    text: Answering = TEXT
    pause_s: float = 0.0
    """Between the chunks of a stream."""
    usage: bool = True
    """Whether token counts are told."""
    finish: bool = True
    """Whether the last chunk says why it is the last; else its reason is null."""
    comments: bool = False
    """Whether comment lines stand between the events of a stream."""
    fingerprint: str | None = None
    speaks_for: str | None = None
    """The name of the model in answers, where it is not the one that was asked for."""


def chat(request: ChatRequest, how: Speaking, *, max_tokens: int | None = None) -> Any:
    """Answer a request: the JSON of an answer, or a stream of its chunks."""
    messages = [turn.model_dump() for turn in request.messages]
    text = how.text if isinstance(how.text, str) else how.text(messages)
    for stop in [request.stop] if isinstance(request.stop, str) else request.stop or ():
        text = text.partition(stop)[0]
    pieces = re.findall(r"\s*\S+|\s+$", text)
    limit = max_tokens or request.max_tokens
    finish = "length" if limit is not None and len(pieces) > limit else "stop"
    pieces = pieces[:limit]
    prompt = sum(len(re.findall(r"\S+", str(turn["content"] or ""))) + 4 for turn in messages)
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": len(pieces),
        "total_tokens": prompt + len(pieces),
    }
    head = {
        "id": "chatcmpl-123",
        "object": "chat.completion.chunk" if request.stream else "chat.completion",
        "created": CREATED,
        "model": how.speaks_for or request.model,
        **({"system_fingerprint": how.fingerprint} if how.fingerprint else {}),
    }
    if request.stream:
        counted = usage if _wants_usage(request) and how.usage else None
        reason = finish if how.finish else None
        return Stream(tuple(_chunks(head, pieces, reason, counted)), how.comments, how.pause_s)
    message = {"role": "assistant", "content": "".join(pieces)}
    choice = {"index": 0, "message": message, "logprobs": None}
    choice["finish_reason"] = finish if how.finish else None
    return {**head, "choices": [choice], **({"usage": usage} if how.usage else {})}


def _wants_usage(request: ChatRequest) -> bool:
    return request.stream_options is not None and request.stream_options.include_usage


def _chunks(
    head: dict[str, Any], pieces: Sequence[str], finish: str | None, usage: Any
) -> list[dict[str, Any]]:
    """Role, then text, then the reason, then, with no choices, the usage."""

    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**head, "choices": [choice]}

    made = [chunk({"role": "assistant", "content": ""})]
    made += [chunk({"content": piece}) for piece in pieces]
    made.append(chunk({}, finish))
    if usage is not None:
        made.append({**head, "choices": [], "usage": usage})
    return made
