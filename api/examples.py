"""Examples of requests and replies, by operation, for the OpenAPI document.

A test reads each with the schema of its operation, so that none of them goes stale.
"""

from __future__ import annotations

from typing import Any

from api import keeping_examples

_DOCUMENT = "2b1c6a52-0a4e-5d0f-9a53-6a1f0c1d2e3f"
_QUOTE = "A delete takes the document out of the catalog."
_CITATION: dict[str, Any] = {
    "n": 1,
    "document_id": _DOCUMENT,
    "uri": "file:///docs/guide.md",
    "title": "Guide",
    "heading": ["Guide", "Deletes"],
    "start": 120,
    "end": 120 + len(_QUOTE),
    "quote": _QUOTE,
    "location": None,
}
_ANSWER: dict[str, Any] = {
    "id": "6f9d1c3e-7b1a-4a51-8a43-0d5a3b1f2c4d",
    "answer": f"{_QUOTE} [1]",
    "citations": [_CITATION],
    "model": "extractive",
    "abstained": False,
    "unsupported": [],
    "partial": False,
    "question": "How are deletes handled?",
    "rewritten": None,
    "conversation": None,
    "usage": None,
}
_KEPT = {
    **_ANSWER,
    "asked": "How are deletes handled?",
    "collection": "default",
    "state": "complete",
    "created": 1795478400.0,
}
_OURS = {key: value for key, value in _ANSWER.items() if key not in ("answer", "model", "usage")}
_MODEL = {
    "id": "extractive",
    "object": "model",
    "created": 0,
    "owned_by": "cumulo",
    "cumulo": {"role": "llm", "default": True},
}

REQUESTS: dict[str, Any] = {
    **keeping_examples.REQUESTS,
    "search": {"query": "How are deletes handled?", "k": 5, "filter": {"eq": {"meta.ext": ".md"}}},
    "answer": {"question": "How are deletes handled?"},
    "chat": {
        "model": "extractive",
        "messages": [{"role": "user", "content": "How are deletes handled?"}],
        "cumulo": {"collection": "default"},
    },
    "embeddings": {"model": "minilm", "input": ["How are deletes handled?"], "input_type": "query"},
    "rerank": {
        "model": "late_interaction",
        "query": "How are deletes handled?",
        "documents": [_QUOTE, "Cats sleep a lot."],
    },
}
REPLIES: dict[str, Any] = {
    **keeping_examples.REPLIES,
    "read_answer": _KEPT,
    "read_conversation": {"name": "monday-chat", "data": [_KEPT]},
    "search": {
        "hits": [
            {
                "id": "0c9de1a4-55a3-5a0b-8d19-0a2b5f1e7c11",
                "document_id": _DOCUMENT,
                "uri": "file:///docs/guide.md",
                "title": "Guide",
                "heading": ["Guide", "Deletes"],
                "location": None,
                "start": 120,
                "end": 120 + len(_QUOTE),
                "text": _QUOTE,
                "score": 0.91,
                "signals": {"dense": 0.62, "sparse": 7.4},
                "metadata": {"meta.ext": ".md"},
            }
        ],
        "partial": False,
        "unread": False,
    },
    "answer": _ANSWER,
    "chat": {
        "id": "chatcmpl-8e1f",
        "object": "chat.completion",
        "created": 1795478400,
        "model": "extractive",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": f"{_QUOTE} [1]", "cumulo": _OURS},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    },
    "embeddings": {
        "object": "list",
        "model": "minilm",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.6, 0.0, -0.8]}],
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    },
    "rerank": {
        "id": "8e1f",
        "model": "late_interaction",
        "results": [
            {"index": 0, "relevance_score": 0.83},
            {"index": 1, "relevance_score": 0.12},
        ],
    },
    "models": {"object": "list", "data": [_MODEL]},
    "model": _MODEL,
    "healthz": {"status": "ok"},
    "readyz": {"ready": True},
}
PROBLEM_EXAMPLE: dict[str, Any] = {
    "type": "https://cumulo.dev/problems/not-found",
    "title": "It is not there",
    "status": 404,
    "detail": "there is no collection 'docs'",
    "hint": "make it with: POST /v1/collections",
    "instance": "8e1f0a52-4b5c-4d7e-9f00-1a2b3c4d5e6f",
}
