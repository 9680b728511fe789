"""One child process, seen from its parent: started, asked, ended.

Knows the process, its lifeline and the order of its frames. Which child answers which call, and
when a new one is started, is the pool's.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from rag.children import scratch
from rag.children.channel import Channel, HungUp
from rag.children.failures import ChildFailed, garbled, printable, raised
from rag.children.limits import Limits, Protections
from rag.children.spawning import Handles, spawn
from rag.children.surroundings import import_path, packages, readable
from rag.children.verdict import has_died, kills_for_memory, verdict

START_S = 60.0
"""How long a process may take to begin: it imports its task, perhaps from a slow disk."""
LAST_BREATH_S = 1.0
"""How long a process that hung up may take to end by itself."""
MAX_TASKS = 1000
"""Calls after which a process is replaced: what leaks slowly is gone with it."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Reply(NamedTuple):
    """One piece of an answer."""

    head: dict[str, Any]
    body: bytes


class Child:
    """A running process. Whoever started it calls `kill` and `ended`, whatever happens."""

    def __init__(self, task: str, limits: Limits, more_readable: tuple[Path, ...]) -> None:
        """Start the process; `OSError` when the system cannot."""
        self._task, self._limits, self._readable = task, limits, more_readable
        self._scratch = scratch.make_scratch() if limits.file_bytes else None
        try:
            self._handles: Handles = spawn(self._scratch)
        except BaseException:
            if self._scratch is not None:
                scratch.remove_scratch(self._scratch)
            raise
        self._channel = Channel(self._handles.socket, limits)
        self._cpu_s = 0.0
        self._kills = kills_for_memory()
        self._memory = Path(f"/proc/{self.pid}/statm")
        self._is_killed = False
        self._tasks = 0
        self.is_sound = False
        """Whether it has started, and has completed the last call properly."""

    @property
    def pid(self) -> int:
        """The process, which is the leader of a group of its own."""
        return self._handles.process.pid

    async def greet(self) -> Protections:
        """Tell the process its task and limits; return what it is kept from."""
        self._channel.allow(START_S)
        config = {
            "task": self._task,
            "path": import_path(),
            "packages": packages(self._task),
            "readable": readable(self._task, self._readable),
            "scratch": str(self._scratch) if self._scratch else None,
            "memory_bytes": self._limits.memory_bytes,
            "file_bytes": self._limits.file_bytes,
            "open_files": self._limits.open_files,
        }
        try:
            await self._channel.send({"start": config})
            head, _ = await self._channel.receive()
        except HungUp:
            raise await self._cause() from None
        match head:
            case {"hello": {"network": bool(network), "files": bool(files)}}:
                self.is_sound = True
                return Protections(network, files)
            case {"error": {"message": message}}:
                wanted = f"the process cannot run {self._task}: {printable(message)}"
                raise ChildFailed(wanted, code="crashed")
            case _:
                raise garbled()

    async def answers(
        self, request: Mapping[str, Any], descriptor: int | None
    ) -> AsyncGenerator[Reply, None]:
        """Yield the replies to a request; raise `ChildFailed` or `UnreadableDocument`."""
        size = 0 if descriptor is None else os.fstat(descriptor).st_size
        more_s = self._limits.allowance_s(size)
        self.is_sound = False
        self._tasks += 1
        self._handles.words()
        self._channel.allow(self._limits.wall_s + more_s)
        self._cpu_s = self._limits.cpu_s + more_s
        asked = {"request": request, "cpu_s": self._cpu_s}
        try:
            await self._channel.send(asked, descriptor)
            while True:
                match await self._channel.receive():
                    case {"reply": dict(head)}, body:
                        yield Reply(head, body)
                        self._channel.renew()
                    case {"end": bool(is_reusable), **more}, b"" if not more:
                        self.is_sound = is_reusable
                        return
                    case {"end": bool(is_reusable), "error": dict(error)}, b"":
                        self.is_sound = is_reusable
                        raise raised(error, self._limits)
                    case _:
                        raise garbled()
        except HungUp:
            raise await self._cause() from None

    def is_ready(self) -> bool:
        """Whether it can take a call: it has completed the last one, lives and is silent."""
        return self.is_sound and self._channel.is_quiet()

    def is_worth_keeping(self) -> bool:
        """Whether it is as it was before its last call: ready, small and tidy."""
        return (
            self.is_ready()
            and self._tasks < MAX_TASKS
            and self._resident() <= self._limits.memory_bytes // 2
            and (self._scratch is None or scratch.is_empty(self._scratch))
        )

    def kill(self) -> None:
        """End the process and all that it started, at once; `ended` waits for it."""
        self.is_sound = False
        if self._is_killed:
            return
        self._is_killed = True
        if self._handles.process.returncode is None:  # until then its number is its own
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._channel.close()
        self._handles.close()

    async def ended(self) -> None:
        """Return when the process is gone and nothing is left of it; it has been killed."""
        await self._reaped()
        folder, self._scratch = self._scratch, None
        if folder is not None:
            await asyncio.to_thread(scratch.remove_scratch, folder)

    async def _cause(self) -> ChildFailed:
        """Return why the process hung up, which it does by dying."""
        if self._is_killed:
            return ChildFailed("the pool was closed during the call", code="crashed")
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_BREATH_S):
                await _polled(lambda: has_died(self._handles.process))
        words = self._handles.words()
        self.kill()  # before it is reaped: until then nobody else can have its number
        status = await self._reaped()
        kills = kills_for_memory() - self._kills
        return verdict(status, self._limits, words, cpu_s=self._cpu_s, kills=kills)

    async def _reaped(self) -> int:
        """Return the process's status, or minus the number of the signal that ended it."""
        process = self._handles.process
        await _polled(lambda: process.poll() is not None)
        assert process.returncode is not None
        return process.returncode

    def _resident(self) -> int:
        """Return the bytes of memory that the process holds; 0 where that cannot be known."""
        try:
            return int(self._memory.read_bytes().split()[1]) * _PAGE
        except OSError:
            return 0


async def _polled(is_so: Callable[[], bool]) -> None:
    """Return when it is so; a process that was killed takes its time to give back memory."""
    pause_s = 0.0005
    while not is_so():
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.02)
