"""`Cumulo`: a server to a program that waits for its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

import httpx2

from rag.client import asking, following, keeping
from rag.client.blocking import Sender
from rag.client.kept import RunReply
from rag.client.methods import paged, sent, streamed
from rag.client.trying import Patience
from rag.client.wire import DEFAULT_URL, Server


@dataclass(frozen=True, slots=True)
class Collections:
    """`client.collections`."""

    _sender: Sender

    create = sent(keeping.create_collection)
    list = sent(keeping.collections)
    get = sent(keeping.collection)
    stats = sent(keeping.collection_stats)
    delete = sent(keeping.delete_collection)


@dataclass(frozen=True, slots=True)
class Documents:
    """`client.documents`."""

    _sender: Sender

    upload = sent(keeping.upload)
    add_text = sent(keeping.add_text)
    add_url = sent(keeping.add_url)
    list = paged(keeping.documents)
    get = sent(keeping.document)
    text = sent(keeping.text)
    chunks = paged(keeping.chunks)
    original = sent(keeping.original)
    set_metadata = sent(keeping.set_metadata)
    delete = sent(keeping.delete_document)
    receipt = sent(keeping.receipt)


@dataclass(frozen=True, slots=True)
class Runs:
    """`client.runs`."""

    _sender: Sender

    list = paged(following.runs)
    get = sent(following.run)
    follow = streamed(following.follow_run)
    cancel = sent(following.cancel_run)

    def wait(self, run_id: str, *, timeout_s: float | None = None) -> RunReply:
        """Wait until a run has ended; raise `TimedOut` when it takes longer than allowed."""
        return self._sender.wait(run_id, timeout_s)


@dataclass(frozen=True, slots=True)
class Conversations:
    """`client.conversations`."""

    _sender: Sender

    get = sent(asking.conversation)
    delete = sent(asking.delete_conversation)


class Cumulo:
    """A Cumulo server. It holds connections: use it in a `with`, or close it."""

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
        http = httpx2.Client(**server.options())
        self._use(Sender(http, server, Patience(timeout_s, attempts)))

    def _use(self, sender: Sender) -> None:
        self._sender = sender
        self.collections = Collections(sender)
        self.documents = Documents(sender)
        self.runs = Runs(sender)
        self.conversations = Conversations(sender)

    search = sent(asking.search)
    answer = sent(asking.answer)
    stream_answer = streamed(asking.stream_answer)
    kept_answer = sent(asking.kept_answer)
    embed = sent(asking.embed)
    rerank = sent(asking.rerank)
    models = sent(asking.models)
    model = sent(asking.model)
    ready = sent(asking.ready)

    def within(self, timeout_s: float) -> Cumulo:
        """Return a client with another limit of time, over the same connections."""
        other = object.__new__(Cumulo)
        other._use(self._sender.within(timeout_s))
        return other

    def close(self) -> None:
        """Close the connections."""
        self._sender.http.close()

    def __enter__(self) -> Cumulo:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()
