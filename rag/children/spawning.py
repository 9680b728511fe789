"""Starting the interpreter of a child process, and the descriptors that lead to it.

Knows command line, descriptors and process groups; nothing of what is said over the socket. The
process is started with `subprocess`, which does not run Python code between fork and exec, so it is
safe beside threads.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from rag.children.surroundings import environment, packages

BOOT = Path(__file__).with_name("boot.py")
FLAGS = ("-I", "-S", "-B", "-X", "utf8")
"""No variables, no site, no bytecode: what the child imports is told to it."""
MAX_WORDS = 1 << 16


@dataclass(frozen=True, slots=True)
class Handles:
    """What the parent holds of a child."""

    process: subprocess.Popen[bytes]
    socket: socket.socket
    lifeline: int
    """The writing end of a pipe. When it closes, which the parent's death does, too, the system
    kills the child's whole group."""
    error_stream: int
    """The reading end of the child's error stream."""

    def words(self) -> str:
        """Take what the child has written to its error stream."""
        with suppress(BlockingIOError):
            return os.read(self.error_stream, MAX_WORDS).decode("utf-8", "replace")
        return ""

    def close(self) -> None:
        """Close the pipes; the socket is the channel's."""
        for descriptor in (self.lifeline, self.error_stream):
            os.close(descriptor)


def spawn(home: Path | None) -> Handles:
    """Start a process that waits for its first frame; `OSError` when the system cannot.

    The child writes to a pipe that drops what does not fit, so nothing has to be read in time.
    """
    with ExitStack() as ours, ExitStack() as theirs:
        near, far = socket.socketpair()
        ours.callback(near.close)
        theirs.callback(far.close)
        line, lifeline = os.pipe()
        ours.callback(os.close, lifeline)
        theirs.callback(os.close, line)
        error_stream, its_errors = os.pipe()
        ours.callback(os.close, error_stream)
        theirs.callback(os.close, its_errors)
        os.set_blocking(error_stream, False)
        os.set_blocking(its_errors, False)
        process = subprocess.Popen(
            [sys.executable, *FLAGS, str(BOOT), str(line), packages("rag:")["rag"]],
            stdin=far.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=its_errors,
            pass_fds=(line,),
            cwd="/",
            env=environment(home),
            start_new_session=True,
        )
        ours.pop_all()
    return Handles(process, near, lifeline, error_stream)
