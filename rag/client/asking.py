"""Questions, and the models behind them, as calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from rag.client.call import Call, get, path_of, post, reply
from rag.client.events import AnswerEvent, Feed, answer_event
from rag.client.replies import (
    AnswerReply,
    ConversationReply,
    EmbeddingsReply,
    KeptReply,
    Model,
    ModelsReply,
    RerankReply,
    SearchReply,
)

Mode = Literal["dense", "sparse", "hybrid"]


def search(
    query: str,
    *,
    collection: str = "default",
    k: int = 10,
    mode: Mode = "hybrid",
    filter: Mapping[str, Any] | None = None,
    exact: bool = False,
    reranker: str | None = None,
) -> Call[SearchReply]:
    """Find the chunks that match best; `filter` is described in docs/filters.md."""
    body = {"query": query, "collection": collection, "k": k, "mode": mode}
    more = {"filter": filter, "exact": exact, "reranker": reranker}
    return post(SearchReply, "v1", "search", body={**body, **more}, repeatable=True)


def answer(
    question: str,
    *,
    collection: str = "default",
    k: int = 10,
    mode: Mode = "hybrid",
    filter: Mapping[str, Any] | None = None,
    exact: bool = False,
    reranker: str | None = None,
    model: str | None = None,
    conversation: str | None = None,
) -> Call[AnswerReply]:
    """Answer a question with citations; `conversation` names one that the server keeps."""
    body = {"question": question, "collection": collection, "k": k, "mode": mode}
    more = {"filter": filter, "exact": exact, "reranker": reranker, "model": model}
    return post(
        AnswerReply,
        *("v1", "answer"),
        body={**body, **more, "conversation": conversation},
        repeatable=False,  # each answer is stored, and is a turn of its conversation
    )


def stream_answer(
    question: str,
    *,
    collection: str = "default",
    k: int = 10,
    mode: Mode = "hybrid",
    filter: Mapping[str, Any] | None = None,
    exact: bool = False,
    reranker: str | None = None,
    model: str | None = None,
    conversation: str | None = None,
) -> Feed[AnswerEvent]:
    """Answer a question piece by piece: `Piece`s, then one `AnswerReply`, the whole."""
    call = answer(
        question,
        collection=collection,
        k=k,
        mode=mode,
        filter=filter,
        exact=exact,
        reranker=reranker,
        model=model,
        conversation=conversation,
    )
    assert call.body is not None
    return Feed(replace(call, body={**call.body, "stream": True}), answer_event)


def embed(
    texts: Sequence[str], *, model: str, input_type: Literal["query", "passage"] = "passage"
) -> Call[EmbeddingsReply]:
    """Turn texts into vectors, in their order."""
    body = {"model": model, "input": list(texts), "input_type": input_type}
    return post(EmbeddingsReply, "v1", "embeddings", body=body, repeatable=True)


def rerank(
    query: str,
    documents: Sequence[str],
    *,
    model: str | None = None,
    top_n: int | None = None,
    return_documents: bool = False,
) -> Call[RerankReply]:
    """Put documents in order for a question, best first."""
    body = {"model": model, "query": query, "documents": list(documents), "top_n": top_n}
    more = {"return_documents": return_documents}
    return post(RerankReply, "v1", "rerank", body={**body, **more}, repeatable=True)


def models() -> Call[tuple[Model, ...]]:
    """List the models that requests may name."""
    read = reply(ModelsReply)
    return Call("GET", "/v1/models", lambda response: read(response).data, True)


def model(name: str) -> Call[Model]:
    """Return one model."""
    return get(Model, "v1", "models", name)


def kept_answer(answer_id: str) -> Call[KeptReply]:
    """Return an answer that was given before."""
    return get(KeptReply, "v1", "answers", answer_id)


def conversation(name: str) -> Call[ConversationReply]:
    """Return the turns of a conversation, oldest first."""
    return get(ConversationReply, "v1", "conversations", name)


def delete_conversation(name: str) -> Call[None]:
    """Forget a conversation and its answers."""
    path = path_of("v1", "conversations", name)
    return Call("DELETE", path, lambda response: None, True)


def ready() -> Call[Mapping[str, Any]]:
    """Say that questions can be answered now; raise `Unavailable` when they cannot."""
    return get(dict, "readyz")
