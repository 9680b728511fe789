"""What a stream of server-sent events says, as typed events."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import httpx2

from rag.client.call import Call
from rag.client.errors import UnexpectedReply, problem
from rag.client.kept import RunReply
from rag.client.reading import read_json
from rag.client.replies import AnswerReply, Citation

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Piece:
    """The next characters of an answer, and the citations that their marks point to."""

    text: str
    citations: tuple[Citation, ...] = ()


AnswerEvent: TypeAlias = Piece | AnswerReply


@dataclass(frozen=True, slots=True)
class Feed(Generic[E]):
    """A request that is answered with events; `read` gives None for those it does not know."""

    call: Call[object]
    read: Callable[[httpx2.ServerSentEvent], E | None]


LAST = "done"
"""The event that ends a stream; without it the stream was cut off."""


def answer_event(event: httpx2.ServerSentEvent) -> AnswerEvent | None:
    """Read an event of an answer; raise the failure that an `error` event tells."""
    _raise_error(event)
    if event.event == LAST:
        return read_json(AnswerReply, event.data)
    return read_json(Piece, event.data) if event.event == "piece" else None


def run_event(event: httpx2.ServerSentEvent) -> RunReply | None:
    """Read an event of a run; raise the failure that an `error` event tells."""
    _raise_error(event)
    return read_json(RunReply, event.data) if event.event in ("progress", LAST) else None


def _raise_error(event: httpx2.ServerSentEvent) -> None:
    if event.event != "error":
        return
    try:
        body = json.loads(event.data)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise UnexpectedReply("the stream ended with an error that cannot be read")
    raise problem(body, {})
