"""Which files the process can reach, by Landlock: a few folders of programs, one to write in.

Knows landlock(7), versions 1 to 7 of its interface, from `linux/landlock.h`. What is open already
stays usable, which is how the process reads the one file that it is given.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable

from rag.children.sandbox.libc import syscall

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_READING = _EXECUTE | _READ_FILE | _READ_DIR
_MAKING_DEVICES = 1 << 6 | 1 << 11
_HANDLED_BY_VERSION = {1: (1 << 13) - 1, 2: 1 << 13, 3: _TRUNCATE, 5: _IOCTL_DEV}
"""The accesses that each version added."""
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_TCP = 1 << 0 | 1 << 1
"""To bind and to connect, from version 4."""
_SCOPES = 1 << 0 | 1 << 1
"""Abstract Unix sockets and signals to processes outside, from version 6."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def landlock_version() -> int:
    """Return the version of the kernel's interface; raise `OSError` where there is none."""
    return syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)


def lock_files(readable: Iterable[str], writable: str | None) -> None:
    """Allow to read and run what is beneath some paths, and to write in one folder, no more.

    Paths that do not exist are left out. Raise `OSError` where the kernel has no Landlock. The
    caller has forgone new privileges.
    """
    version = landlock_version()
    handled = sum(bits for since, bits in _HANDLED_BY_VERSION.items() if since <= version)
    rules = _Ruleset(handled, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = syscall(_CREATE_RULESET, ctypes.byref(rules), size, 0)
    try:
        for path in readable:
            _allow(ruleset, path, _READING)
        _allow(ruleset, os.devnull, _READ_FILE | _WRITE_FILE | (handled & _TRUNCATE))
        if writable is not None:
            _allow(ruleset, writable, handled & ~(_EXECUTE | _MAKING_DEVICES | _IOCTL_DEV))
        syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, accesses: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            accesses &= _OF_FILES
        rule = _PathBeneath(accesses, descriptor)
        syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)
