"""The ways in which a call of a child process fails.

The codes are those of `rag.errors.UNREADABLE`, so that a failure is easily told of a document.
Whatever came from the child is made short and printable here: it may have been written to deceive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag.children.limits import MIB, Limits
from rag.errors import UNREADABLE, RagError, UnreadableDocument

MAX_CHARS = 500


class ChildFailed(RagError):
    """A call got no complete answer; the pool goes on with another process.

    `code` says why in one word: crashed, timeout, out_of_memory or too_large.
    """

    def __init__(self, message: str, *, code: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code


class TaskFailed(ChildFailed):
    """The task raised an error that it did not mean for its caller; the process is sound.

    `code` is too_deep for a recursion without end, crashed for all others.
    """


def printable(value: object, *, limit: int = MAX_CHARS) -> str:
    """Return a text as one short line without control characters."""
    text = "".join(c if c.isprintable() else " " for c in str(value)[: 4 * limit])
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def out_of_memory(limits: Limits) -> ChildFailed:
    """Say that the memory did not suffice."""
    wanted = f"it needed more than {limits.memory_bytes // MIB:,} MiB of memory"
    return ChildFailed(wanted, code="out_of_memory")


def flooded(limits: Limits) -> ChildFailed:
    """Say that too much came back."""
    return ChildFailed(
        f"its output passed {limits.output_bytes / MIB:,.0f} MiB"
        if limits.output_bytes >= MIB
        else f"its output passed {limits.output_bytes:,} bytes",
        code="too_large",
    )


def garbled() -> ChildFailed:
    """Say that what came back cannot be read."""
    return ChildFailed("the process sent what is no reply", code="crashed")


def raised(error: Mapping[str, Any], limits: Limits) -> RagError:
    """Return the exception that an error frame of the child stands for."""
    kind, code = error.get("type"), error.get("code")
    message = printable(error.get("message") or "no reason was given")
    hint = printable(error["hint"]) if error.get("hint") else None
    if kind == UnreadableDocument.__name__:
        known = code if isinstance(code, str) and code in UNREADABLE else "malformed"
        return UnreadableDocument(message, code=known, hint=hint)
    if code == "out_of_memory":
        return out_of_memory(limits)
    if code == "too_large":
        return ChildFailed(message, code="too_large")
    return TaskFailed(message, code="too_deep" if code == "too_deep" else "crashed", hint=hint)
