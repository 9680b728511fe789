"""An answer: its head at once, its body piece by piece, no more of it than is allowed.

Knows limits of size and time; nothing of redirects and retries.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import BinaryIO

import httpcore2
import httpx2

from rag.errors import Rejected
from rag.http.failures import headers_too_large, told
from rag.http.policy import HttpPolicy
from rag.http.targets import Target

CODINGS = ("gzip", "deflate")
"""Compressions that are asked for and undone; one at a time."""


class Fetched:
    """What a server answered; the body can be taken once, before the request is left."""

    def __init__(self, target: Target, status: int, headers: Mapping[str, str], body: Body) -> None:
        """Take where the answer came from, its head, and its body under way."""
        self.url = str(target.url)
        """After all redirects."""
        self.status = status
        """200 to 299, or 304."""
        self.headers = headers
        """Names in lower case; several of one name are joined by commas."""
        self._body = body

    async def __aenter__(self) -> Fetched:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the connection back, or end it where the body was not taken."""
        await self._body.close()

    @property
    def media_type(self) -> str:
        """Return the type that the server names, without parameters; empty where it names none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body, decompressed, in pieces of up to about a MiB.

        Raise `Rejected` when it is larger than allowed, `Unavailable` when it comes too slowly or
        breaks off.
        """
        return self._body.chunks()

    async def read(self) -> bytes:
        """Return the body at once."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def save(self, file: BinaryIO) -> int:
        """Write the body to a file; return its size."""
        size = 0
        async for chunk in self.chunks():
            await asyncio.to_thread(file.write, chunk)
            size += len(chunk)
        return size


class Body:
    """The body of an answer under way."""

    def __init__(
        self, response: httpx2.Response, target: Target, policy: HttpPolicy, deadline: float
    ) -> None:
        self._response, self._target = response, target
        self._limit, self._deadline = policy.max_bytes, deadline

    async def close(self) -> None:
        """End what is left of it."""
        await self._response.aclose()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the pieces, and count them before and after decompression."""
        size = 0
        async with aclosing(self._response.aiter_bytes()) as pieces:
            while True:
                with told(self._target):
                    async with asyncio.timeout_at(self._deadline):
                        piece = await anext(pieces, None)
                if piece is None:
                    return
                size += len(piece)
                if max(size, self._response.num_bytes_downloaded) > self._limit:
                    raise too_large(self._target, self._limit)
                yield piece


def checked_head(
    target: Target, response: httpcore2.Response, policy: HttpPolicy
) -> Mapping[str, str]:
    """Return the headers; raise `Rejected` when they or the body they announce are too large."""
    if (
        sum(len(name) + len(value) + 4 for name, value in response.headers)
        > policy.max_header_bytes
    ):
        raise headers_too_large(target)
    headers = dict(httpx2.Headers(response.headers).items())
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > policy.max_bytes:
        raise too_large(target, policy.max_bytes)
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in (*CODINGS, "identity", ""):
        raise Rejected(f"the body of {target} is compressed in a way that is not undone: {coding}")
    return headers


def fetched(
    target: Target, response: httpcore2.Response, policy: HttpPolicy, deadline: float
) -> Fetched:
    """Make an answer of what the connection gives; `deadline` is on the clock of the loop."""
    headers = checked_head(target, response, policy)
    body = httpx2.Response(
        response.status, headers=response.headers, stream=_Stream(response), request=None
    )
    return Fetched(target, response.status, headers, Body(body, target, policy, deadline))


def too_large(target: Target, limit: int) -> Rejected:
    """Say that a body is larger than allowed."""
    return Rejected(f"{target} has more than the {limit} bytes that are allowed")


class _Stream(httpx2.AsyncByteStream):
    """The body of a connection, for the library that decompresses it."""

    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._response.aiter_stream():
            yield piece

    async def aclose(self) -> None:
        await self._response.aclose()
