"""A fake of Cohere's API, version 2: `/v2/embed` and `/v2/rerank`.

At most 96 texts in a request; `input_type` says what they are; unknown fields give 422.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from tests.fakes.checking import Strict, read, replayed
from tests.fakes.embedding import Embedding, checked, tokens, vectors
from tests.fakes.openai import with_key
from tests.fakes.ranking import Ranking, best_first, judged
from tests.fakes.serving import Asked, Refused, Wire


class EmbedRequest(Strict):
    """Embed texts."""

    texts: Annotated[list[str], Field(min_length=1, max_length=96)]
    model: str
    input_type: Literal["search_document", "search_query", "classification", "clustering"]
    embedding_types: tuple[Literal["float"]] | list[Literal["float"]] = ("float",)
    truncate: Literal["NONE", "START", "END"] = "END"
    max_tokens: int | None = None
    output_dimension: Literal[256, 512, 1024, 1536] | None = None
    priority: int = 0


class RerankRequest(Strict):
    """Rank documents."""

    query: str
    documents: list[str]
    model: str
    top_n: Annotated[int, Field(ge=1)] | None = None
    max_tokens_per_doc: int | None = None
    priority: int = 0


def wire(
    *,
    embedding: Embedding | None = None,
    ranking: Ranking | None = None,
    api_key: str | None = None,
) -> Wire:
    """Take how it embeds and ranks."""
    embeds = embedding or Embedding(too_large=400)
    ranks = ranking or Ranking(max_batch=1000)

    def embed(asked: Asked) -> Any:
        request = read(EmbedRequest, asked.body, 422)
        texts = checked(request.texts, embeds, cut=request.truncate != "NONE")
        count = sum(len(tokens(text)) for text in texts)
        rows = vectors(texts, embeds, dim=request.output_dimension)
        return {
            "id": "da6e531f-54c6-4a73-bf92-f60566d8d753",
            "embeddings": {"float": rows},
            "texts": request.texts,
            "meta": meta({"input_tokens": count}) if embeds.usage else meta({}),
        }

    def rerank(asked: Asked) -> Any:
        request = read(RerankRequest, asked.body, 422)
        scores = judged(request.query, request.documents, ranks)
        return {
            "id": "07734bd2-2473-4f07-94e1-0d9f0e6843cf",
            "results": [
                {"index": i, "relevance_score": scores[i]}
                for i in best_first(scores, request.top_n)
            ],
            "meta": meta({"search_units": 1}),
        }

    routes = {
        "POST /v2/embed": replayed("cohere", embed),
        "POST /v2/rerank": replayed("cohere", rerank),
    }
    return Wire("cohere", "/v2", with_key(routes, api_key), refusal)


def meta(billed: dict[str, int]) -> dict[str, Any]:
    """What stands beside every answer."""
    return {"api_version": {"version": "2", "is_experimental": False}, "billed_units": billed}


def refusal(refused: Refused) -> Any:
    """Return an error in its shape."""
    return {"id": "3d6c0d5a", "message": refused.message}
