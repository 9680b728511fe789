"""`AsyncCumulo`: a server to a program with an event loop. Its methods are those of `Cumulo`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

import httpx2

from rag.client import asking, following, keeping
from rag.client.awaiting import AsyncSender
from rag.client.kept import RunReply
from rag.client.methods import async_paged, async_sent, async_streamed
from rag.client.trying import Patience
from rag.client.wire import DEFAULT_URL, Server


@dataclass(frozen=True, slots=True)
class AsyncCollections:
    """`client.collections`."""

    _sender: AsyncSender

    create = async_sent(keeping.create_collection)
    list = async_sent(keeping.collections)
    get = async_sent(keeping.collection)
    stats = async_sent(keeping.collection_stats)
    delete = async_sent(keeping.delete_collection)


@dataclass(frozen=True, slots=True)
class AsyncDocuments:
    """`client.documents`."""

    _sender: AsyncSender

    upload = async_sent(keeping.upload)
    add_text = async_sent(keeping.add_text)
    add_url = async_sent(keeping.add_url)
    list = async_paged(keeping.documents)
    get = async_sent(keeping.document)
    text = async_sent(keeping.text)
    chunks = async_paged(keeping.chunks)
    original = async_sent(keeping.original)
    set_metadata = async_sent(keeping.set_metadata)
    delete = async_sent(keeping.delete_document)
    receipt = async_sent(keeping.receipt)


@dataclass(frozen=True, slots=True)
class AsyncRuns:
    """`client.runs`."""

    _sender: AsyncSender

    list = async_paged(following.runs)
    get = async_sent(following.run)
    follow = async_streamed(following.follow_run)
    cancel = async_sent(following.cancel_run)

    async def wait(self, run_id: str, *, timeout_s: float | None = None) -> RunReply:
        """Wait until a run has ended; raise `TimedOut` when it takes longer than allowed."""
        return await self._sender.wait(run_id, timeout_s)


@dataclass(frozen=True, slots=True)
class AsyncConversations:
    """`client.conversations`."""

    _sender: AsyncSender

    get = async_sent(asking.conversation)
    delete = async_sent(asking.delete_conversation)


class AsyncCumulo:
    """A Cumulo server. It holds connections: use it in an `async with`, or close it."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout_s: float = 120.0,
        attempts: int = 4,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Take the server's address.

        `timeout_s`: of a call with all its attempts, and of a stream between two signs of life.
        `attempts`: at most, the first included; only what does no harm is sent again.
        `headers`: sent with every request.
        """
        server = Server(url.rstrip("/"), headers or {})
        http = httpx2.AsyncClient(**server.options())
        self._use(AsyncSender(http, server, Patience(timeout_s, attempts)))

    def _use(self, sender: AsyncSender) -> None:
        self._sender = sender
        self.collections = AsyncCollections(sender)
        self.documents = AsyncDocuments(sender)
        self.runs = AsyncRuns(sender)
        self.conversations = AsyncConversations(sender)

    search = async_sent(asking.search)
    answer = async_sent(asking.answer)
    stream_answer = async_streamed(asking.stream_answer)
    kept_answer = async_sent(asking.kept_answer)
    embed = async_sent(asking.embed)
    rerank = async_sent(asking.rerank)
    models = async_sent(asking.models)
    model = async_sent(asking.model)
    ready = async_sent(asking.ready)

    def within(self, timeout_s: float) -> AsyncCumulo:
        """Return a client with another limit of time, over the same connections."""
        other = object.__new__(AsyncCumulo)
        other._use(self._sender.within(timeout_s))
        return other

    async def close(self) -> None:
        """Close the connections."""
        await self._sender.http.aclose()

    async def __aenter__(self) -> AsyncCumulo:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.close()
