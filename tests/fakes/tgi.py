"""A fake of text-generation-inference: chat and models, nothing else.

Any name of a model will do, `tgi` by convention; `stop` is a list. The real server ignores unknown
fields; this one refuses them with 422, which is how it refuses wrong types.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from tests.fakes.chatting import ChatRequest, Speaking, chat
from tests.fakes.checking import read, replayed
from tests.fakes.serving import Asked, Refused, Wire

MODEL = "TinyLlama/TinyLlama-1.1B-Chat-v1.0"
KINDS = {422: "validation", 424: "generation", 429: "overloaded", 500: "incomplete_generation"}


class TgiChatRequest(ChatRequest):
    """The published schema differs in these."""

    model: str | None = None  # type: ignore[assignment]
    logit_bias: list[float] | None = None  # type: ignore[assignment]
    stop: Annotated[list[str], Field(max_length=4)] | None = None
    tool_prompt: str | None = None
    user: None = None


def wire(*, speaking: Speaking | None = None, text: Any = None) -> Wire:
    """Take how it speaks."""
    plain = Speaking() if text is None else Speaking(text=text)
    speaks = speaking or plain

    def chats(asked: Asked) -> Any:
        request = read(TgiChatRequest, asked.body, 422)
        own = {"speaks_for": MODEL, "fingerprint": "3.3.6-dev0-native"}
        fields = {name: getattr(speaks, name) for name in Speaking.__slots__}
        return chat(request, Speaking(**{**fields, **own}))

    def models(asked: Asked) -> Any:
        return {
            "object": "list",
            "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": MODEL}],
        }

    routes = {
        "POST /v1/chat/completions": replayed("tgi", chats),
        "GET /v1/models": models,
        "GET /health": lambda asked: None,
    }
    return Wire("tgi", "/v1", routes, refusal)


def refusal(refused: Refused) -> Any:
    """Return an error in its shape."""
    kind = KINDS.get(refused.status, "validation")
    return {"error": refused.message, "error_type": kind}
