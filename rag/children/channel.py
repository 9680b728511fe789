"""The parent's end of the socket to one child: sends requests and reads frames without trust.

Knows waiting and budgets: how long the parent still waits, how many bytes it still takes. It reads
no further ahead than one chunk, so a child whose caller pauses soon waits, too. Knows nothing of
what frames mean.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

from rag.children.failures import ChildFailed, flooded, garbled
from rag.children.frames import LENGTHS, MAX_HEAD, decode_head, pack
from rag.children.limits import Limits

CHUNK = 1 << 18
SLICE_S = 1.0
"""Waiting is counted in slices, so that a loop held up by other work costs a child only one."""


class HungUp(Exception):
    """The other end is closed: the child has died, or the pool was closed."""


class Channel:
    """One end of a socket pair, on the event loop that runs when it is used."""

    def __init__(self, end: socket.socket, limits: Limits) -> None:
        end.setblocking(False)
        self._socket = end
        self._limits = limits
        self._buffer = bytearray()
        self._wakening: asyncio.Future[None] | None = None
        self._allowed_s = self._patience_s = self._total_s = 0.0
        self._room = 0

    def allow(self, seconds: float) -> None:
        """Set the budget of the next call: how long to wait for each reply; limits say the rest."""
        self._allowed_s = self._patience_s = seconds
        self._total_s = max(self._limits.total_s, seconds)
        self._room = self._limits.output_bytes

    def renew(self) -> None:
        """Wait as long for the next reply as for the one before."""
        self._patience_s = min(self._allowed_s, self._total_s)

    def is_quiet(self) -> bool:
        """Whether the child lives and has nothing to say, as it should be between calls."""
        if self._buffer:
            return False
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    async def send(self, head: Mapping[str, Any], descriptor: int | None = None) -> None:
        """Send a frame without a body, and a descriptor that the child gets a copy of."""
        data = pack(head)
        try:
            if descriptor is None:
                sent = self._socket.send(data)
            else:
                sent = socket.send_fds(self._socket, [data], [descriptor])
            while sent < len(data):
                sent += await self._send_more(data[sent:])
        except BlockingIOError:
            raise garbled() from None  # it filled the socket that it alone should read
        except OSError as exc:
            if isinstance(exc, ConnectionError) or self._socket.fileno() < 0:
                raise HungUp from exc
            raise

    async def receive(self) -> tuple[dict[str, Any], bytes]:
        """Return the next frame; raise `HungUp`, or `ChildFailed` when a budget is used up."""
        head_size, body_size = LENGTHS.unpack(await self._take(LENGTHS.size))
        self._room -= LENGTHS.size + head_size + body_size
        if self._room < 0:
            raise flooded(self._limits)
        if head_size > MAX_HEAD:
            raise garbled()
        try:
            head = decode_head(await self._take(head_size))
        except ValueError:
            raise garbled() from None
        return head, await self._take(body_size)

    def close(self) -> None:
        """Hang up; whoever waits here gets `HungUp`."""
        if self._wakening is not None:
            self._wake()
            loop, number = self._wakening.get_loop(), self._socket.fileno()
            loop.remove_reader(number)
            loop.remove_writer(number)
        self._socket.close()

    async def _take(self, size: int) -> bytes:
        """Return so many bytes; no more memory is taken than the child has filled."""
        missing = size - len(self._buffer)
        if missing <= 0:
            taken = bytes(memoryview(self._buffer)[:size])
            del self._buffer[:size]
            return taken
        gathered, self._buffer = self._buffer, bytearray()
        while missing > 0:
            chunk = await self._receive_some()
            gathered += chunk[:missing]
            self._buffer += chunk[missing:]
            missing -= len(chunk)
        return bytes(gathered)

    async def _receive_some(self) -> bytes:
        while True:
            try:
                chunk = self._socket.recv(CHUNK)
            except BlockingIOError:
                await self._wait(writing=False)
                continue
            except OSError as exc:
                raise HungUp from exc
            if not chunk:
                raise HungUp
            await asyncio.sleep(0)  # a child that never pauses must not hold up the loop
            return chunk

    async def _send_more(self, data: bytes) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            await self._wait(writing=True)
            return 0

    async def _wait(self, *, writing: bool) -> None:
        """Wait until the child has written or read something; raise when patience is at its end."""
        if self._patience_s <= 0:
            allowed = self._allowed_s if self._total_s > 0 else self._limits.total_s
            raise ChildFailed(f"it took longer than {allowed:.3g} s", code="timeout")
        loop = asyncio.get_running_loop()
        self._wakening = loop.create_future()
        number = self._socket.fileno()
        (loop.add_writer if writing else loop.add_reader)(number, self._wake)
        slice_s = min(self._patience_s, SLICE_S)
        alarm = loop.call_later(slice_s, self._wake)
        started = loop.time()
        try:
            await self._wakening
        finally:
            waited = min(loop.time() - started, slice_s)
            self._patience_s -= waited
            self._total_s -= waited
            alarm.cancel()
            self._wakening = None
            if self._socket.fileno() >= 0:
                (loop.remove_writer if writing else loop.remove_reader)(number)

    def _wake(self) -> None:
        if self._wakening is not None and not self._wakening.done():
            self._wakening.set_result(None)
