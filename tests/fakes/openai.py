"""A fake of OpenAI's own API, after its published specification: chat, embeddings, models.

As there, unknown fields are refused with 400, and a bearer token must be given when one is set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from tests.fakes.chatting import ChatRequest, Speaking, chat
from tests.fakes.checking import Strict, examples, read, replayed
from tests.fakes.embedding import Embedding, as_list, checked, embeddings
from tests.fakes.serving import Asked, Refused, Wire

TYPES = {401: "invalid_request_error", 429: "rate_limit_exceeded", 500: "server_error"}


class EmbeddingRequest(Strict):
    """Create embeddings."""

    input: str | Annotated[list[str], Field(min_length=1, max_length=2048)]
    model: str
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: str | None = None


class OwnChatRequest(ChatRequest):
    """What this API knows besides what every server knows."""

    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    metadata: dict[str, str] | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    service_tier: str | None = None
    store: bool | None = None


def wire(
    *,
    speaking: Speaking | None = None,
    embedding: Embedding | None = None,
    api_key: str | None = None,
    text: Any = None,
) -> Wire:
    """Take how it speaks and embeds; `text` is the short way to say what it answers."""
    speaks = speaking or (Speaking() if text is None else Speaking(text=text))
    embeds = embedding or Embedding(max_batch=2048, max_tokens=8192)

    def chats(asked: Asked) -> Any:
        request = read(OwnChatRequest, asked.body, 400)
        return chat(request, speaks, max_tokens=request.max_completion_tokens)

    def embed(asked: Asked) -> Any:
        request = read(EmbeddingRequest, asked.body, 400)
        texts = checked(as_list(request.input), embeds)
        return embeddings(
            texts,
            embeds,
            model=request.model,
            encoding=request.encoding_format,
            dim=request.dimensions,
        )

    def models(asked: Asked) -> Any:
        return next(e["response"] for e in examples("openai") if e["operation"] == "GET /models")

    routes = {
        "POST /chat/completions": replayed("openai", chats),
        "POST /embeddings": replayed("openai", embed),
        "GET /models": models,
    }
    return Wire("openai", "", with_key(routes, api_key), refusal)


def refusal(refused: Refused) -> Any:
    """Return an error in OpenAI's shape."""
    kind = TYPES.get(refused.status, "invalid_request_error")
    return {"error": {"message": refused.message, "type": kind, "param": None, "code": None}}


def with_key(
    routes: Mapping[str, Callable[[Asked], Any]], api_key: str | None
) -> dict[str, Callable[[Asked], Any]]:
    """Refuse callers without the key, where there is one."""

    def guarded(handler: Callable[[Asked], Any]) -> Callable[[Asked], Any]:
        def answer(asked: Asked) -> Any:
            if api_key is not None and asked.headers.get("authorization") != f"Bearer {api_key}":
                raise Refused(401, "Incorrect API key provided")
            return handler(asked)

        return answer

    return {route: guarded(handler) for route, handler in routes.items()}
