"""`/v1/search` and `/v1/answer`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.shared import (
    Citation,
    CollectionName,
    FilterTree,
    Location,
    Question,
    Reply,
    Request,
    Usage,
)


class Searching(Request):
    """What is searched, and how."""

    collection: CollectionName = "default"
    k: Annotated[int, Field(ge=1, le=1000, description="How many chunks.")] = 10
    mode: Literal["dense", "sparse", "hybrid"] = "hybrid"
    filter: FilterTree | None = None
    exact: Annotated[
        bool, Field(description="Compare with every chunk: slower, nothing approximate.")
    ] = False
    reranker: Annotated[
        str | None, Field(description="Name of a configured reranker; null is the default one.")
    ] = None


class SearchRequest(Searching):
    """A question to find chunks for."""

    query: Annotated[Question, Field(examples=["How are deletes handled?"])]


class Hit(Reply):
    """A chunk that was found. `score` is comparable within one reply only."""

    id: str
    document_id: str
    uri: str
    title: str
    heading: list[str]
    location: Location | None
    start: int
    end: int
    text: str
    score: float
    signals: dict[str, float]
    metadata: dict[str, Any]


class SearchReply(Reply):
    """Hits, best first."""

    hits: list[Hit]
    partial: Annotated[bool, Field(description="More may match than could be verified in time.")]
    unread: Annotated[bool, Field(description="The embedder cannot read the question.")]


class AnswerOptions(Searching):
    """How a question is answered; in chat requests under the key `cumulo`."""

    conversation: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=200,
            pattern=r"^[A-Za-z0-9._:-]+$",
            description="Name of a conversation that the server keeps; earlier turns are read.",
        ),
    ] = None


class AnswerRequest(AnswerOptions):
    """A question to answer."""

    question: Annotated[Question, Field(examples=["How are deletes handled?"])]
    model: Annotated[
        str | None, Field(description="`extractive` or a configured LLM; null is the default one.")
    ] = None
    stream: Annotated[bool, Field(description="Send server-sent events.")] = False


class AnswerReply(Reply):
    """An answer; its `[n]` marks point to citations."""

    id: Annotated[str, Field(description="Id of the stored answer, for feedback.")]
    answer: str
    citations: list[Citation]
    model: str
    abstained: Annotated[bool, Field(description="The collection holds no answer.")]
    unsupported: Annotated[
        list[tuple[int, int]],
        Field(description="Start and end in `answer` of sentences that no source supports."),
    ]
    partial: bool
    question: Annotated[str, Field(description="The question as it was searched.")]
    rewritten: Annotated[
        bool | None,
        Field(description="Whether a model rewrote it to stand alone; null outside conversations."),
    ]
    conversation: str | None = None
    usage: Usage | None = None
