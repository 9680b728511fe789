"""The few calls of the C library that Python does not offer."""

from __future__ import annotations

import ctypes
import os
from functools import cache


@cache
def libc() -> ctypes.CDLL:
    """Return the C library that the process runs on."""
    return ctypes.CDLL(None, use_errno=True)


def prctl(option: int, argument: int = 0) -> None:
    """Change a property of the process, see prctl(2); raise `OSError` when it cannot be."""
    zero = ctypes.c_ulong(0)
    result = libc().prctl(option, ctypes.c_ulong(argument), zero, zero, zero)
    _check(result)


def syscall(number: int, *arguments: object) -> int:
    """Call the kernel; arguments are numbers or ctypes objects. Raise `OSError` on failure."""
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _check(libc().syscall(ctypes.c_long(number), *given))


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
