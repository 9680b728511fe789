"""Resource limits, see setrlimit(2): for the process, and for each program that it starts.

The limit of processor time is set before each task, by `worker`.
"""

from __future__ import annotations

import resource
from contextlib import suppress


def set_limits(memory_bytes: int, file_bytes: int, open_files: int) -> None:
    """Limit address space, the size of written files and open descriptors; forbid core dumps."""
    for name, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(name)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        with suppress(OSError, ValueError):  # macOS refuses some
            resource.setrlimit(name, (value, value))
