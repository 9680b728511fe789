"""A fake of KServe's Hugging Face runtime: OpenAI's paths below `/openai/v1`, reranking too.

Behind an ingress, requests must name the service in their `Host` header: `host=` asks for that.
The runtime ignores unknown fields in places; this fake refuses them with 400.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fakes.chatting import Speaking, chat
from tests.fakes.checking import Strict, read, replayed
from tests.fakes.embedding import Embedding, as_list, checked, embeddings
from tests.fakes.openai import EmbeddingRequest
from tests.fakes.ranking import Ranking
from tests.fakes.serving import Asked, Refused, Wire
from tests.fakes.vllm import VllmChatRequest, ranked

PREFIX = "/openai"


class RerankRequest(Strict):
    """Rank documents: the shape of Jina and Cohere."""

    model: str
    query: str
    documents: list[str]
    top_n: int = 0


def wire(
    *,
    speaking: Speaking | None = None,
    embedding: Embedding | None = None,
    ranking: Ranking | None = None,
    host: str | None = None,
    prefix: str = PREFIX,
    text: Any = None,
) -> Wire:
    """Take how it speaks, embeds and ranks, the host that it is behind, and its route prefix."""
    speaks = speaking or (Speaking() if text is None else Speaking(text=text))
    embeds = embedding or Embedding()
    ranks = ranking or Ranking()

    def chats(asked: Asked) -> Any:
        return chat(read(VllmChatRequest, asked.body, 400), speaks)

    def embed(asked: Asked) -> Any:
        request = read(EmbeddingRequest, asked.body, 400)
        texts = checked(as_list(request.input), embeds)
        encoding = request.encoding_format
        return embeddings(texts, embeds, model=request.model, encoding=encoding)

    def rerank(asked: Asked) -> Any:
        request = read(RerankRequest, asked.body, 400)
        return ranked("kserve", request.query, request.documents, request.top_n, ranks, "m")

    def models(asked: Asked) -> Any:
        return {
            "object": "list",
            "data": [{"id": "model_name", "object": "model", "created": 1, "owned_by": ""}],
        }

    def behind(handler: Callable[[Asked], Any]) -> Callable[[Asked], Any]:
        def answer(asked: Asked) -> Any:
            if host is not None and asked.headers.get("host") != host:
                raise Refused(404, "the ingress knows no such host")
            return handler(asked)

        return answer

    routes = {
        f"POST {prefix}/v1/chat/completions": replayed("kserve", chats),
        f"POST {prefix}/v1/embeddings": replayed("kserve", embed),
        f"POST {prefix}/v1/rerank": replayed("kserve", rerank),
        f"GET {prefix}/v1/models": models,
        "GET /v2/health/ready": lambda asked: {"ready": True},
    }
    guarded = {route: behind(handler) for route, handler in routes.items()}
    return Wire("kserve", f"{prefix}/v1", guarded, refusal)


def refusal(refused: Refused) -> Any:
    """Return an error in its shape: the code is the status as text."""
    kind = "BadRequestError" if refused.status < 500 else "InternalServerError"
    return {
        "error": {
            "message": refused.message,
            "type": kind,
            "param": "",
            "code": str(refused.status),
        }
    }
