"""A fake of NVIDIA's NIM: chat, embeddings of two kinds of input, and ranking in its own shape.

Models of its kind need `input_type`; without it, and for unknown fields, the answer is 422.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from tests.fakes.chatting import ChatRequest, Speaking, chat
from tests.fakes.checking import Strict, examples, read, replayed
from tests.fakes.embedding import Embedding, as_list, checked, embeddings
from tests.fakes.ranking import Ranking, best_first, judged
from tests.fakes.serving import Asked, Refused, Wire


class EmbeddingRequest(Strict):
    """Create embeddings of questions or of passages."""

    input: str | Annotated[list[str], Field(min_length=1)]
    model: str
    input_type: Literal["query", "passage"]
    encoding_format: Literal["float", "base64"] = "float"
    truncate: Literal["NONE", "START", "END"] = "NONE"
    dimensions: int | None = None
    user: str | None = None


class Text(Strict):
    """A question or a passage."""

    text: str


class RankingRequest(Strict):
    """Rank passages."""

    model: str
    query: Text
    passages: Annotated[list[Text], Field(min_length=1)]
    truncate: Literal["NONE", "END"] = "NONE"


def wire(
    *,
    speaking: Speaking | None = None,
    embedding: Embedding | None = None,
    ranking: Ranking | None = None,
    text: Any = None,
) -> Wire:
    """Take how it speaks, embeds and ranks."""
    speaks = speaking or (Speaking() if text is None else Speaking(text=text))
    embeds = embedding or Embedding(too_large=422)
    ranks = ranking or Ranking(too_large=422)

    def chats(asked: Asked) -> Any:
        return chat(read(ChatRequest, asked.body, 422), speaks)

    def embed(asked: Asked) -> Any:
        request = read(EmbeddingRequest, asked.body, 422)
        texts = checked(as_list(request.input), embeds, cut=request.truncate != "NONE")
        return embeddings(texts, embeds, model=request.model, encoding=request.encoding_format)

    def rank(asked: Asked) -> Any:
        request = read(RankingRequest, asked.body, 422)
        scores = judged(request.query.text, [p.text for p in request.passages], ranks)
        return {
            "rankings": [{"index": i, "logit": 20 * scores[i] - 10} for i in best_first(scores)],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        }

    def published(asked: Asked) -> Any:
        operation = f"GET {asked.path}"
        return next(e["response"] for e in examples("nim") if e["operation"] == operation)

    routes = {
        "POST /v1/chat/completions": chats,
        "POST /v1/embeddings": replayed("nim", embed),
        "POST /v1/ranking": replayed("nim", rank),
        "GET /v1/models": published,
        "GET /v1/health/ready": published,
    }
    return Wire("nim", "/v1", routes, refusal)


def refusal(refused: Refused) -> Any:
    """Return an error in its shape, which has the message at two places."""
    return {
        "object": "error",
        "message": refused.message,
        "detail": refused.message,
        "type": "invalid_request_error",
    }
