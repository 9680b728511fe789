"""Makes methods of calls, for the client that waits and for the one that is awaited.

A route is described once, in `asking.py` or `keeping.py`; its parameters, types and description
are those of the methods.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from rag.client.awaiting import AsyncSender, AsyncStream
from rag.client.blocking import Sender, Stream
from rag.client.call import Call, Listing
from rag.client.events import Feed

T = TypeVar("T")
P = ParamSpec("P")
M = TypeVar("M", bound=Callable[..., object])


class Waiting(Protocol):
    """What has methods that wait."""

    @property
    def _sender(self) -> Sender: ...


class Awaited(Protocol):
    """What has methods to await."""

    @property
    def _sender(self) -> AsyncSender: ...


def sent(build: Callable[P, Call[T]]) -> Callable[Concatenate[Waiting, P], T]:
    """Make a method that sends the call."""

    @wraps(build)
    def method(self: Waiting, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._sender.perform(build(*args, **kwargs))

    return _signed(method, build)


def paged(build: Callable[P, Listing[T]]) -> Callable[Concatenate[Waiting, P], Iterator[T]]:
    """Make a method that reads a list as it is iterated."""

    @wraps(build)
    def method(self: Waiting, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._sender.pages(build(*args, **kwargs))

    return _signed(method, build)


def streamed(build: Callable[P, Feed[T]]) -> Callable[Concatenate[Waiting, P], Stream[T]]:
    """Make a method that follows events."""

    @wraps(build)
    def method(self: Waiting, /, *args: P.args, **kwargs: P.kwargs) -> Stream[T]:
        return self._sender.stream(build(*args, **kwargs))

    return _signed(method, build)


def async_sent(
    build: Callable[P, Call[T]],
) -> Callable[Concatenate[Awaited, P], Coroutine[Any, Any, T]]:
    """Make a method that sends the call."""

    @wraps(build)
    async def method(self: Awaited, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._sender.perform(build(*args, **kwargs))

    return _signed(method, build)


def async_paged(
    build: Callable[P, Listing[T]],
) -> Callable[Concatenate[Awaited, P], AsyncIterator[T]]:
    """Make a method that reads a list as it is iterated."""

    @wraps(build)
    def method(self: Awaited, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return self._sender.pages(build(*args, **kwargs))

    return _signed(method, build)


def async_streamed(
    build: Callable[P, Feed[T]],
) -> Callable[Concatenate[Awaited, P], AsyncStream[T]]:
    """Make a method that follows events."""

    @wraps(build)
    def method(self: Awaited, /, *args: P.args, **kwargs: P.kwargs) -> AsyncStream[T]:
        return self._sender.stream(build(*args, **kwargs))

    return _signed(method, build)


def _signed(method: M, build: Callable[..., object]) -> M:
    """Give a method the parameters of what it is made of, for `help` and editors."""
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    given = inspect.signature(build).parameters.values()
    method.__signature__ = inspect.Signature([own, *given])  # type: ignore[attr-defined]
    return method
