"""The child's end of the socket to its parent: blocking, and trusting.

When the parent has gone, whatever is tried here ends the process.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

from rag.children.frames import LENGTHS, decode_head, pack

CHUNK = 1 << 16


class Pipe:
    """The socket that the parent gave as standard input."""

    def __init__(self) -> None:
        """Take the socket from there, so that programs started later do not get it."""
        self._socket = socket.socket(fileno=os.dup(0))
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.close(nothing)

    def receive(self) -> tuple[dict[str, Any], int | None]:
        """Return the next head of the parent, and the descriptor that came with it."""
        flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        data, descriptors, _, _ = socket.recv_fds(self._socket, LENGTHS.size, 1, flags)
        if not data:
            os._exit(0)
        size, _ = LENGTHS.unpack(data + self._exactly(LENGTHS.size - len(data)))
        return decode_head(self._exactly(size)), descriptors[0] if descriptors else None

    def send(self, head: Mapping[str, Any], body: bytes = b"") -> None:
        """Send a frame; wait while the parent does not read."""
        self.send_raw(pack(head, len(body)), body)

    def send_raw(self, *pieces: bytes) -> None:
        """Send what is a frame already."""
        try:
            for piece in filter(None, pieces):
                self._socket.sendall(piece)
        except OSError:
            os._exit(1)

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = self._socket.recv(min(size - len(data), CHUNK))
            if not chunk:
                os._exit(0)
            data += chunk
        return bytes(data)
