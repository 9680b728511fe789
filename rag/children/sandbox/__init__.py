"""What a child process does to itself before it sees any input, so that it can do little harm.

Each file sets one kind of lock, with the system's own calls, and can be read alone. All locks hold
for the programs that the process starts, too. On systems other than Linux there are limits only.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from rag.children.limits import Protections
from rag.children.sandbox.limiting import set_limits


def confine(start: Mapping[str, Any]) -> Protections:
    """Set limits and locks as the first frame says; return which locks hold.

    A lock that the system does not have is left out. Keys of the frame: memory_bytes, file_bytes,
    open_files, readable (paths), scratch (a path or None).
    """
    if sys.platform == "linux":
        from rag.children.sandbox.files import lock_files
        from rag.children.sandbox.privileges import drop_privileges, offer_to_killer
        from rag.children.sandbox.syscalls import lock_syscalls

        offer_to_killer()
        drop_privileges()
        with suppress(OSError):
            lock_files(start["readable"], start["scratch"])
        with suppress(OSError):
            lock_syscalls()
    set_limits(start["memory_bytes"], start["file_bytes"], start["open_files"])
    return Protections(network=_network_is_locked(), files=_files_are_locked())


def _network_is_locked() -> bool:
    try:
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).close()
    except PermissionError:
        return True
    return False


def _files_are_locked() -> bool:
    try:
        os.scandir("/").close()
    except PermissionError:
        return True
    return False
