"""The process and the programs that it starts end together, and end with the parent.

Knows process groups and signals of Linux, see prctl(2) and fcntl(2); elsewhere the process ends
when it reads the end of its socket.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys

from rag.children.sandbox.libc import prctl

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def hold_lifeline(descriptor: int) -> None:
    """Have the system kill the whole group of this process when the pipe's other end closes.

    That end is the parent's, and closes with it however it ends. It is the only way to reach
    programs that a killed process leaves behind.
    """
    if sys.platform != "linux":
        return
    os.set_inheritable(descriptor, False)
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        os.read(descriptor, 1)
    except BlockingIOError:
        return
    os._exit(0)  # it closed before anybody watched


def has_programs_left() -> bool:
    """Whether a program that was started still runs; those that have ended are reaped."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True
