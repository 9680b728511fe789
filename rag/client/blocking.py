"""Sends calls and waits for each: what `Cumulo` stands on."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Generic, TypeVar

import httpx2

from rag.client.call import Call, Listing, Page
from rag.client.errors import CumuloError
from rag.client.events import LAST, Feed
from rag.client.kept import RunReply
from rag.client.trying import Patience, Pause, Send, Steps, attempts, ended
from rag.client.wire import Server, arguments, cut, failure, refused

T = TypeVar("T")


class Stream(Generic[T]):
    """Events as they come. Closing it, or leaving its `with`, ends the work on the server too."""

    def __init__(self, events: Generator[T, None, None]) -> None:
        self._events = events

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        return next(self._events)

    def __enter__(self) -> Stream[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._events.close()


@dataclass(frozen=True, slots=True)
class Sender:
    """An open connection pool, and how much its user bears with."""

    http: httpx2.Client
    server: Server
    patience: Patience

    def within(self, timeout_s: float) -> Sender:
        """Return the same with another limit of time."""
        return replace(self, patience=replace(self.patience, timeout_s=timeout_s))

    def perform(self, call: Call[T]) -> T:
        """Send it, as often as is sensible, and read the reply."""
        return call.read(self._take(attempts(call, self.patience)))

    def wait(self, run_id: str, timeout_s: float | None) -> RunReply:
        """Wait until a run has ended."""
        return self._take(ended(run_id, self.patience, timeout_s=timeout_s))

    def pages(self, listing: Listing[T]) -> Iterator[T]:
        """Yield what is listed, page after page."""
        call: Call[Page[T]] | None = listing.first
        while call is not None:
            page = call.read(self._take(attempts(call, self.patience)))
            yield from page.data
            call = listing.after(page)

    def stream(self, feed: Feed[T]) -> Stream[T]:
        """Open a stream when its first event is asked for."""
        return Stream(self._events(feed))

    def _events(self, feed: Feed[T]) -> Generator[T, None, None]:
        response = self._take(attempts(feed.call, self.patience, stream=True))
        try:
            for event in httpx2.EventSource(response):
                found = feed.read(event)
                if found is not None:
                    yield found
                if event.event == LAST:
                    return
        except httpx2.HTTPError as exc:
            raise failure(exc, self.server) from exc
        finally:
            response.close()
        raise cut()

    def _take(self, steps: Steps[T]) -> T:
        """Take the steps one after the other."""
        response: httpx2.Response | None = None
        try:
            step = next(steps)
            while True:
                try:
                    response = self._step(step)
                except CumuloError as exc:
                    step = steps.throw(exc)
                else:
                    step = steps.send(response)
        except StopIteration as end:
            value: T = end.value
            return value

    def _step(self, step: Send | Pause) -> httpx2.Response | None:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        with ExitStack() as files:
            request = self.http.build_request(**arguments(step, files))
            try:
                response = self.http.send(request, stream=step.stream)
                if not response.is_success:
                    response.read()
                    response.close()
            except httpx2.HTTPError as exc:
                raise failure(exc, self.server) from exc
        if not response.is_success:
            raise refused(response)
        return response
