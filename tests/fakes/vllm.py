"""A fake of vLLM: chat, embeddings, reranking under three paths, scores, models.

The real server ignores unknown fields and says so in its log; this one refuses them with 400.
`user` and `parallel_tool_calls` are known there and have no effect, as here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from tests.fakes.chatting import ChatRequest, Speaking, chat
from tests.fakes.checking import Strict, read, replayed
from tests.fakes.embedding import Embedding, as_list, checked, embeddings
from tests.fakes.openai import with_key
from tests.fakes.ranking import Ranking, best_first, judged
from tests.fakes.serving import Asked, Refused, Wire

MODEL = "served-model"


class VllmChatRequest(ChatRequest):
    """Sampling parameters stand beside OpenAI's, at the top of the body."""

    model: str | None = None  # type: ignore[assignment]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    parallel_tool_calls: bool | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    length_penalty: float = 1.0
    stop_token_ids: list[int] | None = None
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    min_tokens: int = 0
    skip_special_tokens: bool = True
    truncate_prompt_tokens: int | None = None
    chat_template: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    priority: int = 0
    request_id: str | None = None


class EmbeddingRequest(Strict):
    """Create embeddings, with vLLM's own fields."""

    input: str | list[str]
    model: str | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    user: str | None = None
    truncate_prompt_tokens: Annotated[int, Field(ge=-1)] | None = None
    priority: int = 0


class RerankRequest(Strict):
    """Rank documents: the shape of Jina and Cohere."""

    model: str | None = None
    query: str
    documents: list[str]
    top_n: int = 0
    truncate_prompt_tokens: int | None = None
    priority: int = 0


class ScoreRequest(Strict):
    """Score each document against the question, in their order."""

    model: str | None = None
    encoding_format: Literal["float"] = "float"
    queries: str
    documents: str | list[str]
    truncate_prompt_tokens: int | None = None


def wire(
    *,
    speaking: Speaking | None = None,
    embedding: Embedding | None = None,
    ranking: Ranking | None = None,
    api_key: str | None = None,
    chat_template: bool = True,
    text: Any = None,
) -> Wire:
    """Take how it speaks, embeds and ranks; a model without a chat template cannot chat."""
    speaks = speaking or (Speaking() if text is None else Speaking(text=text))
    embeds = embedding or Embedding()
    ranks = ranking or Ranking()

    def chats(asked: Asked) -> Any:
        request = read(VllmChatRequest, asked.body, 400)
        if not chat_template:
            raise Refused(400, "default chat template is no longer allowed, provide one")
        if request.model is None:
            request = request.model_copy(update={"model": MODEL})
        return chat(request, speaks, max_tokens=request.max_completion_tokens)

    def embed(asked: Asked) -> Any:
        request = read(EmbeddingRequest, asked.body, 400)
        cut = request.truncate_prompt_tokens is not None
        texts = checked(as_list(request.input), embeds, cut=cut)
        return embeddings(
            texts,
            embeds,
            model=request.model or MODEL,
            encoding=request.encoding_format,
            dim=request.dimensions,
        )

    def rerank(asked: Asked) -> Any:
        request = read(RerankRequest, asked.body, 400)
        return ranked("vllm", request.query, request.documents, request.top_n, ranks, request.model)

    def score(asked: Asked) -> Any:
        request = read(ScoreRequest, asked.body, 400)
        scores = judged(request.queries, as_list(request.documents), ranks)
        return {
            "id": "score-request-id",
            "object": "list",
            "created": 693570,
            "model": request.model or MODEL,
            "data": [{"index": i, "object": "score", "score": s} for i, s in enumerate(scores)],
            "usage": {},
        }

    def models(asked: Asked) -> Any:
        card = {"id": MODEL, "object": "model", "created": 1, "owned_by": "vllm", "root": MODEL}
        return {"object": "list", "data": [{**card, "parent": None, "max_model_len": 4096}]}

    routes = {
        "POST /v1/chat/completions": replayed("vllm", chats),
        "POST /v1/embeddings": embed,
        "GET /v1/models": models,
        "GET /health": lambda asked: {},
    }
    routes |= {f"POST {at}/score": replayed("vllm", score) for at in ("", "/v1")}
    routes |= {f"POST {at}/rerank": replayed("vllm", rerank) for at in ("", "/v1", "/v2")}
    return Wire("vllm", "/v1", with_key(routes, api_key), refusal)


def ranked(
    name: str, query: str, documents: list[str], top_n: int, how: Ranking, model: str | None
) -> dict[str, Any]:
    """Answer in the shape of Jina and Cohere, as vLLM and what is built on it do."""
    scores = judged(query, documents, how)
    usage = {"usage": {"total_tokens": sum(map(len, documents)) // 4}} if how.usage else {}
    return {
        "id": f"rerank-{name}",
        "model": model or MODEL,
        **usage,
        "results": [
            {"index": i, "document": {"text": documents[i]}, "relevance_score": scores[i]}
            for i in best_first(scores, top_n or None)
        ],
    }


def refusal(refused: Refused) -> Any:
    """Return an error in vLLM's shape: the code is the status."""
    kind = "NotFoundError" if refused.status == 404 else "BadRequestError"
    return {
        "error": {"message": refused.message, "type": kind, "param": None, "code": refused.status}
    }
