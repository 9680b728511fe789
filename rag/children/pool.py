"""A few child processes that take calls: started when needed, used again, replaced when spent.

Knows who is idle; what happens within a process is `child`'s. One pool belongs to one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any

from rag.children.child import Child, Reply
from rag.children.limits import Limits, Protections
from rag.errors import Unavailable

__all__ = ["ChildPool", "Reply"]


class ChildPool:
    """Calls one function in child processes, at most `size` calls at a time.

    The function takes a request and a descriptor, and yields heads, which JSON can hold, with
    bytes: `serve(request: dict[str, Any], descriptor: int | None) ->
    Iterator[tuple[dict[str, Any], bytes]]`.
    """

    def __init__(
        self, task: str, *, size: int, limits: Limits, readable: Sequence[Path] = ()
    ) -> None:
        """Take the function's name, "package.module:function"; no process is started yet.

        `readable`: files and folders that the child may read and run programs from, besides
        installed code.
        """
        self._task, self._limits, self._readable = task, limits, tuple(readable)
        self._slots = asyncio.Semaphore(size)
        self._idle: list[Child] = []
        self._children: set[Child] = set()
        self._endings: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._protections: Protections | None = None

    @property
    def protections(self) -> Protections | None:
        """What children are kept from; None before the first of them has started."""
        return self._protections

    async def call(
        self, request: Mapping[str, Any], descriptor: int | None = None
    ) -> AsyncGenerator[Reply, None]:
        """Ask a child and yield its replies; it waits while the caller does not take them.

        The descriptor stays the caller's; the child gets a copy, with which it can do what the
        caller can: open it for reading only. Its position in the file is shared. Raise
        `ChildFailed` when no complete answer comes, `UnreadableDocument` as the function does, and
        `Unavailable` when no process can be started. A call that is given up half-way costs its
        process; leave it with `aclosing`.
        """
        async with self._slots:
            child = await self._take()
            try:
                async with aclosing(child.answers(request, descriptor)) as answers:
                    async for reply in answers:
                        yield reply
            finally:
                if child.is_worth_keeping() and not self._is_closed:
                    self._idle.append(child)
                else:
                    self._discard(child)

    async def close(self) -> None:
        """End all processes, those in a call as well; return when nothing is left of them."""
        self._is_closed = True
        self._idle.clear()
        for child in list(self._children):
            self._discard(child)
        while self._endings:
            await asyncio.wait(self._endings)

    async def __aenter__(self) -> ChildPool:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _take(self) -> Child:
        """Return an idle child, or start one."""
        while self._idle:
            child = self._idle.pop()
            if child.is_ready():
                return child
            self._discard(child)
        if self._is_closed:
            raise RuntimeError("the pool of child processes is closed")
        try:
            child = Child(self._task, self._limits, self._readable)
        except OSError as exc:
            raise Unavailable(f"no process can be started: {exc.strerror or exc}") from exc
        self._children.add(child)
        try:
            self._protections = await child.greet()
        except BaseException:
            self._discard(child)
            raise
        return child

    def _discard(self, child: Child) -> None:
        """Kill a child; what remains of it is cleared away beside other work."""
        child.kill()
        if child in self._children:
            self._children.discard(child)
            ending = asyncio.get_running_loop().create_task(child.ended())
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
