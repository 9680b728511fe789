"""What a child says of an exception: enough to raise it again, no traceback.

Knows exceptions; nothing of frames.
"""

from __future__ import annotations

import errno
from typing import Any

from rag.children.frames import FrameTooLarge
from rag.errors import RagError, UnreadableDocument

MAX_CHARS = 1000


def is_for_memory(exc: BaseException) -> bool:
    """Whether the exception says that memory is exhausted; what it left undone cannot be known."""
    return isinstance(exc, MemoryError) or _number(exc) == errno.ENOMEM


def describe(exc: BaseException) -> dict[str, Any]:
    """Return the exception as an error frame has it."""
    kind = type(exc).__name__
    if isinstance(exc, RagError):
        code = exc.code if isinstance(exc, UnreadableDocument) else None
        return _error(kind, exc.message, code, exc.hint)
    if isinstance(exc, RecursionError):
        return _error(kind, f"internal error: {kind}: {_text(exc)}", "too_deep")
    if isinstance(exc, FrameTooLarge):
        return _error(kind, "one piece of its output is too large", "too_large")
    if _number(exc) == errno.EFBIG:
        return _error(kind, "it wrote more to a file than is allowed", "too_large")
    return _error(kind, f"internal error: {kind}: {_text(exc)}")


def _error(
    kind: str, message: str, code: str | None = None, hint: str | None = None
) -> dict[str, Any]:
    hint = hint[:MAX_CHARS] if hint else None
    return {"type": kind, "message": message[:MAX_CHARS], "code": code, "hint": hint}


def _number(exc: BaseException) -> int | None:
    return exc.errno if isinstance(exc, OSError) else None


def _text(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception:  # noqa: BLE001  an exception that cannot even be shown
        return "it cannot be shown"
