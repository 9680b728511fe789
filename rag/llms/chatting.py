"""One call of a chat model over OpenAI's protocol, as a stream of deltas.

Knows how servers differ in what they stream and how they break off. Knows nothing of retries,
prices or which server is asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from rag.errors import RagError, Rejected, Unavailable
from rag.llms.events import event_data
from rag.messages import Delta, Finish, Usage
from rag.openai_client import Connection, described_error, told

if TYPE_CHECKING:
    from openai import AsyncOpenAI

T = TypeVar("T")

DONE = b"[DONE]"
LONGEST = 4_000_000
"""Characters of an answer."""
DRAIN_S = 0.1
"""For the last bytes of a whole answer, so that the connection can be used again."""
_THOUGHTS = ("reasoning_content", "reasoning")
_FINISHES: dict[str, Finish] = {"length": "length", "content_filter": "content_filter"}
_PASSING = {408, 409, 425, 429}
_WRONG = ("invalid", "badrequest", "validation", "context", "not_found", "auth", "permission")
"""In the names of errors that do not pass."""


async def stream_chat(
    client: AsyncOpenAI,
    connection: Connection,
    request: Mapping[str, Any],
    *,
    stall_s: float,
    total_s: float,
) -> AsyncGenerator[Delta, None]:
    """Send a request and yield the answer; the last delta has `finish`, and usage where told.

    A model that thinks aloud first is told of by one delta without text. After the first event the
    server may be silent for `stall_s`, before it as long as the connection allows. Raise
    `Unavailable` or `Rejected`; a stream that ends without saying so is cut. Closing the generator
    closes the response.
    """
    end = time.monotonic() + total_s
    with told(connection):
        async with AsyncExitStack() as stack:
            create: Any = client.chat.completions.with_streaming_response.create
            asked = create(**request, stream=True, extra_body=connection.extra_body or None)
            response = await _within(end, None, stack.enter_async_context(asked), connection)
            chunks = await stack.enter_async_context(aclosing(response.http_response.aiter_bytes()))
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "application/json":
                deltas = _whole(chunks, connection, end)
            elif kind in ("text/event-stream", ""):
                deltas = _events(chunks, connection, end, stall_s)
            else:
                raise Rejected(f"{connection.who} answers with {kind[:50]}, not with events")
            async for delta in await stack.enter_async_context(aclosing(deltas)):
                yield delta


@dataclass(slots=True)
class _Told:
    """What a stream has said so far, besides text."""

    finish: Finish | None = None
    usage: Usage | None = None
    characters: int = 0

    def take(self, chunk: Any, connection: Connection) -> tuple[str, bool]:
        """Note what a chunk says; return its text, and whether it has thoughts.

        Raise what it tells of as an error.
        """
        if not isinstance(chunk, dict):
            raise Unavailable(f"{connection.who} sent an event that is no JSON object")
        if chunk.get("error") or chunk.get("object") == "error":
            raise _failure(chunk, connection)
        self.usage = _usage(chunk.get("usage")) or self.usage
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else {}
        if not isinstance(choice, dict) or choice.get("index", 0) not in (0, None):
            return "", False
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self.finish = _FINISHES.get(reason, "stop")
        said = choice.get("delta") or choice.get("message") or {}
        if not isinstance(said, dict):
            return "", False
        text = _text(said.get("content") or said.get("refusal"))
        self.characters += len(text)
        if self.characters > LONGEST:
            raise Rejected(f"{connection.who} answers with more than {LONGEST} characters")
        return text, any(said.get(key) for key in _THOUGHTS)


async def _events(
    chunks: AsyncIterator[bytes], connection: Connection, end: float, stall_s: float
) -> AsyncGenerator[Delta, None]:
    import httpx2

    said, done, thought, stall = _Told(), False, False, None
    async with aclosing(event_data(chunks)) as events:
        while not done:
            data = await _within(end, stall, anext(events, None), connection)
            if data is None:
                break
            stall = stall_s
            if done := data.startswith(DONE):
                break
            text, thinks = said.take(_parsed(data, connection), connection)
            if text or (thinks and not thought):
                thought = True
                yield Delta(text)
        if not done and said.finish is None:
            raise Unavailable(f"{connection.who} cut its answer off")
        yield Delta(finish=said.finish or "stop", usage=said.usage)
        with suppress(TimeoutError, Rejected, httpx2.HTTPError):
            async with asyncio.timeout(DRAIN_S):
                async for _ in events:
                    pass


async def _whole(
    chunks: AsyncIterator[bytes], connection: Connection, end: float
) -> AsyncGenerator[Delta, None]:
    """Read the answer of a server that does not stream."""
    body = b""
    while (chunk := await _within(end, None, anext(chunks, None), connection)) is not None:
        body += chunk
        if len(body) > 4 * LONGEST:
            raise Rejected(f"{connection.who} answers with more than {4 * LONGEST} bytes")
    said = _Told()
    text, _ = said.take(_parsed(body, connection), connection)
    if said.finish is None and not text:
        raise Rejected(f"{connection.who} answers with JSON that is no chat completion")
    if text:
        yield Delta(text)
    yield Delta(finish=said.finish or "stop", usage=said.usage)


async def _within(
    end: float, silent_s: float | None, work: Awaitable[T], connection: Connection
) -> T:
    """Wait until the end at most, and so long for something to come."""
    left = max(0.0, end - time.monotonic())
    try:
        async with asyncio.timeout(left if silent_s is None else min(left, silent_s)) as limit:
            return await work
    except TimeoutError as exc:
        if not limit.expired():
            raise
        stalled = silent_s is not None and silent_s < left
        why = f"fell silent for {silent_s:.3g} s" if stalled else "took too long to answer"
        raise Unavailable(f"{connection.who} {why}", hint="is it overloaded?") from exc


def _parsed(data: bytes, connection: Connection) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise Unavailable(f"{connection.who} sent what is no JSON") from exc


def _text(content: Any) -> str:
    """Join a content's text, given as such or in parts; thoughts and pictures are left out."""
    if isinstance(content, list):
        parts = (p.get("text") for p in content if isinstance(p, dict) and p.get("type") == "text")
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _usage(given: Any) -> Usage | None:
    if not isinstance(given, dict):
        return None
    read, written = given.get("prompt_tokens"), given.get("completion_tokens")
    return Usage(read if isinstance(read, int) else 0, written if isinstance(written, int) else 0)


def _failure(body: Mapping[str, Any], connection: Connection) -> RagError:
    """Name an error that came in place of a chunk."""
    inner = body.get("error")
    told_of = {**body, **inner} if isinstance(inner, dict) else body
    why = connection.redacted(described_error(body))
    message = f"{connection.who} broke off: {why or 'it did not say why'}"
    numbers = (told_of.get(key) for key in ("code", "status", "status_code", "http_status_code"))
    status = next((n for n in map(_status, numbers) if n), None)
    if status is not None:
        passing = status in _PASSING or status >= 500
    else:
        names = " ".join(str(told_of.get(key, "")) for key in ("type", "code", "error_type"))
        passing = not any(word in names.lower() for word in _WRONG)
    return Unavailable(message) if passing else Rejected(message)


def _status(value: Any) -> int | None:
    text = str(value)
    return int(text) if len(text) == 3 and text.isascii() and text.isdigit() else None
