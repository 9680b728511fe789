"""Hits and answers as plain JSON, alike on the command line and over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rag.messages import Usage
from rag.places import locate
from rag.types import Answer, Citation, Hit, Location, Retrieved


def location_json(location: Location | None) -> dict[str, Any] | None:
    """Shape a location; null where the file has no pages, slides or sheets."""
    return None if location is None else asdict(location)


def locate_hit(hit: Hit) -> Location | None:
    """Say where in its file a hit stands."""
    chunk = hit.chunk
    if not chunk.places:
        return None
    return locate(chunk.places, chunk.text, chunk.start, chunk.end, offset=chunk.start)


def hit_json(hit: Hit) -> dict[str, Any]:
    """Shape a hit."""
    chunk = hit.chunk
    return {
        "id": chunk.id,
        "document_id": chunk.document_id,
        "uri": hit.uri,
        "title": hit.title,
        "heading": list(chunk.heading),
        "location": location_json(locate_hit(hit)),
        "start": chunk.start,
        "end": chunk.end,
        "text": chunk.text,
        "score": hit.score,
        "signals": dict(hit.signals),
        "metadata": dict(hit.metadata),
    }


def retrieved_json(found: Retrieved) -> dict[str, Any]:
    """Shape what a search found."""
    return {
        "hits": [hit_json(hit) for hit in found.hits],
        "partial": found.partial,
        "unread": found.unread,
    }


def citation_json(citation: Citation) -> dict[str, Any]:
    """Shape a citation."""
    return {
        "n": citation.n,
        "document_id": citation.document_id,
        "uri": citation.uri,
        "title": citation.title,
        "location": location_json(citation.location),
        "heading": list(citation.heading),
        "start": citation.start,
        "end": citation.end,
        "quote": citation.quote,
    }


def usage_json(usage: Usage | None) -> dict[str, Any] | None:
    """Shape what a generation took; null where no model wrote."""
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "cost": usage.cost,
    }


def answer_json(answer: Answer) -> dict[str, Any]:
    """Shape an answer."""
    return {
        "id": answer.id,
        "answer": answer.text,
        "citations": [citation_json(citation) for citation in answer.citations],
        "model": answer.model,
        "abstained": answer.abstained,
        "unsupported": [list(span) for span in answer.unsupported],
        "partial": answer.partial,
        "question": answer.question,
        "rewritten": answer.rewritten,
        "usage": usage_json(answer.usage),
    }
