"""The OpenAI wire: chat, embeddings, models; and reranking as Jina and Cohere shape it.

Unknown keys of requests are let pass, as OpenAI's clients send more with each version; what is ours
stands under `cumulo`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.searching import AnswerOptions
from api.schemas.shared import Citation, Reply


class Foreign(BaseModel):
    """A body in another product's shape."""

    model_config = ConfigDict(extra="ignore", strict=True)


class TextPart(Foreign):
    """A part of a message's content."""

    type: Literal["text"]
    text: str


class ChatMessage(Foreign):
    """A turn; `developer` counts as `system`."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, Field(max_length=200_000)] | list[TextPart] | None = None


class StreamOptions(Foreign):
    """What a stream has at its end."""

    include_usage: bool = False


class ChatRequest(Foreign):
    """A conversation; its last message is the question, the others are its history."""

    model: Annotated[str, Field(examples=["extractive"])]
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=1000)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    n: Literal[1] = 1
    cumulo: AnswerOptions = AnswerOptions()


class CumuloReply(Reply):
    """What is ours in a chat reply: on the message, and on the last chunk of a stream."""

    id: str
    citations: list[Citation]
    abstained: bool
    unsupported: list[tuple[int, int]]
    partial: bool
    question: str
    rewritten: bool | None = None
    conversation: str | None = None


class AnsweredMessage(Reply):
    """The answer as a message."""

    role: Literal["assistant"]
    content: str
    cumulo: CumuloReply | None = None


class Choice(Reply):
    """The one choice."""

    index: Literal[0]
    message: AnsweredMessage
    finish_reason: Literal["stop", "length", "content_filter"]


class ChatUsage(Reply):
    """Tokens read and written; zero where no model ran."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatReply(Reply):
    """A chat completion."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: ChatUsage


class EmbeddingsRequest(Foreign):
    """Texts to embed."""

    model: Annotated[str, Field(examples=["minilm"])]
    input: Annotated[
        str | Annotated[list[str], Field(min_length=1, max_length=2048)],
        Field(examples=["How are deletes handled?"]),
    ]
    encoding_format: Literal["float", "base64"] = "float"
    input_type: Annotated[
        Literal["query", "passage"], Field(description="Questions and passages may differ.")
    ] = "passage"
    dimensions: int | None = None


class EmbeddingRow(Reply):
    """The vector of one text: numbers, or base64 of little-endian float32."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(Reply):
    """Tokens read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsReply(Reply):
    """Vectors in the order of the texts."""

    object: Literal["list"]
    model: str
    data: list[EmbeddingRow]
    usage: EmbeddingsUsage


class RerankRequest(Foreign):
    """Documents to put in order for a question."""

    model: Annotated[str | None, Field(examples=["late_interaction"])] = None
    query: Annotated[str, Field(min_length=1, max_length=20_000)]
    documents: Annotated[list[str | dict[str, Any]], Field(min_length=1, max_length=1000)]
    top_n: Annotated[int | None, Field(ge=1)] = None
    return_documents: bool = False


class RerankResult(Reply):
    """A document's place in the request, and its score; higher is better."""

    index: int
    relevance_score: float
    document: dict[str, str] | None = None


class RerankReply(Reply):
    """Results, best first."""

    id: str
    model: str
    results: list[RerankResult]


class Model(Reply):
    """A model that requests may name."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    cumulo: dict[str, Any]


class ModelsReply(Reply):
    """Models of this server; `cumulo.role` says what each is for: llm, embedder, reranker."""

    object: Literal["list"]
    data: list[Model]
