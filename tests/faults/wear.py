"""Parts that break: a runtime whose catalog, store or files fail at a chosen call, and listings."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from itertools import count
from threading import Lock
from typing import Any, Literal, TypeAlias

from rag.blobs import Blobs
from rag.catalog.database import Catalog
from rag.errors import Unavailable
from rag.ports import Change, Changed, Connector, ListingComplete
from rag.runtime import Runtime
from rag.types import Blob, Generation

Fate: TypeAlias = Literal["dies", "fails", "is cancelled", "is stopped"]


class Died(BaseException):
    """The process is no more: no handler of its own may do anything."""


class Fuse:
    """Lets calls through up to the one that is chosen, and then does what it is for."""

    def __init__(self, at: int, *, fate: Fate, after: bool) -> None:
        """Choose the call, from 1; `after` is when the call has taken effect."""
        self.fired = False
        self.where = ""
        self.stop = asyncio.Event()
        self._at, self._fate, self._after = at, fate, after
        self._numbers = count(1)
        self._lock = Lock()
        self._dead = False
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()

    def watch(self, task: asyncio.Task[Any]) -> None:
        """Name the task that is cancelled; it was made after the fuse."""
        self._task = task

    def enter(self, where: str) -> int:
        """Count a call; fail when it is the one, or when the process is dead already."""
        with self._lock:
            number = next(self._numbers)
        if self._dead:
            raise Died
        if number == self._at and not self._after:
            self._blow(where)
        return number

    def leave(self, number: int, where: str) -> None:
        """Fail if it was this call, which is done."""
        if number == self._at and self._after:
            self._blow(where)

    def _blow(self, where: str) -> None:
        self.fired, self.where = True, where
        match self._fate:
            case "dies":
                self._dead = True
                raise Died
            case "fails":
                raise Unavailable("the fault that was asked for")
            case "is cancelled":
                assert self._task is not None
                self._loop.call_soon_threadsafe(self._task.cancel)
            case "is stopped":
                self._loop.call_soon_threadsafe(self.stop.set)


class Fused:
    """Anything whose methods are counted by a fuse."""

    def __init__(self, inner: Any, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if inspect.iscoroutinefunction(value):
            return self._waiting(name, value)
        return self._computing(name, value) if inspect.ismethod(value) else value

    def _waiting(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        async def fused(*args: Any, **kwargs: Any) -> Any:
            number = self._fuse.enter(name)
            result = await call(*args, **kwargs)
            self._fuse.leave(number, name)
            return result

        return fused

    def _computing(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def fused(*args: Any, **kwargs: Any) -> Any:
            number = self._fuse.enter(name)
            result = call(*args, **kwargs)
            self._fuse.leave(number, name)
            return result

        return fused


class Frail:
    """A runtime whose catalog, files and indexes hang on a fuse."""

    def __init__(self, runtime: Runtime, fuse: Fuse) -> None:
        self._runtime, self._fuse = runtime, fuse

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._runtime, name)
        return Fused(value, self._fuse) if isinstance(value, (Catalog, Blobs)) else value

    async def index(self, generation: Generation) -> Any:
        return Fused(await self._runtime.index(generation), self._fuse)


class Tapped:
    """A connector whose documents are looked at, and whose listing may end early."""

    def __init__(
        self, inner: Connector, seen: Callable[[Changed], Changed], *, at: int | None, raises: bool
    ) -> None:
        """List `at` documents and then raise, or end without having said that it is complete."""
        self._inner, self._seen, self._at, self._raises = inner, seen, at, raises
        self.kind, self.root, self.repeatable = inner.kind, inner.root, inner.repeatable

    async def changes(self) -> AsyncIterator[Change]:
        listed = 0
        async for change in self._inner.changes():
            if self._at is not None and (listed == self._at or isinstance(change, ListingComplete)):
                if self._raises:
                    raise Unavailable("the source is away")
                return
            listed += 1
            yield self._seen(change) if isinstance(change, Changed) else change

    async def fetch(self, change: Changed) -> Blob:
        return await self._inner.fetch(change)
