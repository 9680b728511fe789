"""How a process ended, and what that says of the call that it was in.

Knows exit statuses, signals and the signs of exhausted memory; nothing of frames.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

from rag.children.failures import ChildFailed, out_of_memory, printable
from rag.children.limits import Limits

_OF_MEMORY = re.compile(
    r"bad_alloc|out of memory|cannot allocate memory|memory allocation|memoryerror", re.IGNORECASE
)
_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
MAX_WORDS = 200


def has_died(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process has ended by itself; it is not reaped, so its number stays its own."""
    if not hasattr(os, "waitid"):  # then it is killed first and asked later
        return True
    try:
        found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return found is not None


def kills_for_memory() -> int:
    """Return how many processes the system has killed since it started, for want of memory."""
    try:
        found = _KILLS.search(Path("/proc/vmstat").read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def verdict(status: int, limits: Limits, words: str, *, cpu_s: float, kills: int) -> ChildFailed:
    """Return the failure of a call whose process ended with a status (minus the signal's number).

    `words`: what it wrote to its error stream in the call; `cpu_s`: the processor time that it was
    allowed; `kills`: how many processes the system killed for memory since this one began.
    """
    lines = [line for line in words.split("\n") if line.strip()]
    said = f" ({printable(lines[-1], limit=MAX_WORDS)})" if lines else ""
    if status >= 0:
        return ChildFailed(f"the process ended with status {status}{said}", code="crashed")
    if -status == signal.SIGXCPU:
        wanted = f"it used more than {cpu_s:.3g} s of processor time"
        return ChildFailed(wanted, code="timeout")
    # Libraries die in many ways when they get no memory; most say so before.
    if _OF_MEMORY.search(words) or (-status == signal.SIGKILL and kills):
        return out_of_memory(limits)
    return ChildFailed(f"the process died by {_name(-status)}{said}", code="crashed")


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
