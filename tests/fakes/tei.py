"""A fake of text-embeddings-inference: `/v1/embeddings`, its own `/embed` and `/rerank`, `/health`.

At most 32 texts in a request unless configured otherwise, and the server never splits; texts that
are too long are refused unless `truncate` is true; a model that does not fit the path gives 424.
Its specification publishes 413 for a batch that is too large, its code (1.9.3) answers 422:
`too_large` chooses. The real server ignores unknown fields; this one refuses them with 422.
"""

from __future__ import annotations

from typing import Any, Literal

from tests.fakes.checking import Strict, read, replayed
from tests.fakes.embedding import Embedding, as_list, checked, embeddings, vectors
from tests.fakes.ranking import Ranking, best_first, judged
from tests.fakes.serving import Asked, Refused, Wire

MODEL = "thenlper/gte-base"
KINDS = {
    400: "empty",
    413: "validation",
    422: "validation",
    424: "backend",
    429: "overloaded",
    503: "unhealthy",
}


class OpenAIRequest(Strict):
    """Create embeddings as with OpenAI."""

    input: str | list[str]
    model: str | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    user: str | None = None


class EmbedRequest(Strict):
    """Create embeddings, in its own shape."""

    inputs: str | list[str]
    truncate: bool | None = False
    truncation_direction: Literal["Left", "Right"] = "Right"
    normalize: bool = True
    prompt_name: str | None = None
    dimensions: int | None = None


class RerankRequest(Strict):
    """Rank texts."""

    query: str
    texts: list[str]
    raw_scores: bool = False
    return_text: bool = False
    truncate: bool | None = False
    truncation_direction: Literal["Left", "Right"] = "Right"


def wire(
    *,
    embedding: Embedding | None = None,
    ranking: Ranking | None = None,
    model: Literal["embedding", "reranker", "both"] = "both",
) -> Wire:
    """Take how it embeds and ranks, and which kind of model it serves (a real one has one)."""
    embeds = embedding or Embedding(max_batch=32, too_large=422)
    ranks = ranking or Ranking(max_batch=32, too_large=422)

    def openai_embed(asked: Asked) -> Any:
        request = read(OpenAIRequest, asked.body, 422)
        fits("embedding")
        texts = checked(as_list(request.input), embeds)
        return embeddings(
            texts, embeds, model=MODEL, encoding=request.encoding_format, dim=request.dimensions
        )

    def embed(asked: Asked) -> Any:
        request = read(EmbedRequest, asked.body, 422)
        fits("embedding")
        texts = checked(as_list(request.inputs), embeds, cut=bool(request.truncate))
        return vectors(texts, embeds, dim=request.dimensions)

    def rerank(asked: Asked) -> Any:
        request = read(RerankRequest, asked.body, 422)
        fits("reranker")
        if not request.texts:
            raise Refused(400, "`texts` cannot be empty", "empty")
        scores = judged(request.query, request.texts, ranks)
        texts = request.texts
        return [
            {"index": i, "score": scores[i], **({"text": texts[i]} if request.return_text else {})}
            for i in best_first(scores)
        ]

    def fits(wanted: str) -> None:
        if model not in (wanted, "both"):
            raise Refused(424, f"model is not {wanted} model")

    routes = {
        "POST /v1/embeddings": replayed("tei", openai_embed),
        "POST /embed": embed,
        "POST /rerank": replayed("tei", rerank),
        "GET /health": lambda asked: None,
        "GET /info": lambda asked: {"model_id": MODEL, "max_client_batch_size": embeds.max_batch},
    }
    return Wire("tei", "/v1", routes, refusal)


def refusal(refused: Refused) -> Any:
    """Return an error with the keys of both of its shapes: native and OpenAI's."""
    kind = KINDS.get(refused.status, "validation")
    return {
        "error": refused.message,
        "error_type": kind,
        "message": refused.message,
        "code": refused.status,
        "type": kind,
    }
