"""Privileges are given up, and the kernel's favours with them.

Knows capabilities(7), prctl(2) and the kernel's out-of-memory killer.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path

from rag.children.sandbox.libc import libc, prctl

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITIES_V3 = 0x20080522
_DAC_READ_SEARCH = 1 << 2


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def offer_to_killer() -> None:
    """Let the kernel kill this process before its parent when the machine has no memory left."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("900")


def drop_privileges() -> None:
    """Give up what root may do, for good; leave no core dump, be no one's to trace.

    Reading what belongs to others stays, if it was allowed: the program's own files may belong to
    others, and all other files are locked away.
    """
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if os.geteuid() == 0:
        header, sets = _Header(_CAPABILITIES_V3, 0), (_Sets * 2)()
        libc().capget(ctypes.byref(header), sets)
        kept = sets[0].permitted & _DAC_READ_SEARCH
        sets[0], sets[1] = _Sets(kept, kept, 0), _Sets(0, 0, 0)
        libc().capset(ctypes.byref(header), sets)
    prctl(_PR_SET_DUMPABLE, 0)
