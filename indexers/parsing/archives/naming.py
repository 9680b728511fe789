"""Names of files inside files, made fit to be shown.

Knows which characters deceive or damage a screen; the names are never used as paths.
"""

from __future__ import annotations

import unicodedata

MAX_CHARACTERS = 500

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")  # needed to write Persian, Hindi, emoji


def shown_name(name: str) -> str:
    """Return a name without characters that a reader does not see: those are escaped.

    So controls, and marks that turn the direction of writing (`evil\\u202efdp.exe`).
    """
    shown = "".join(_escaped(c) for c in name[:MAX_CHARACTERS])
    return f"{shown}…" if len(name) > MAX_CHARACTERS else shown


def member_name(path: str) -> str:
    """Return a path inside a container: slashes, no root, no way out, nothing hidden."""
    steps = (step.strip() for step in path.replace("\\", "/").split("/"))
    return shown_name("/".join(step for step in steps if step not in ("", ".", "..")))


def shown_size(size: int) -> str:
    """Write a number of bytes for people."""
    if size < 1024:
        return f"{size} bytes" if size != 1 else "1 byte"
    for unit, bytes_ in (("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)):
        if size < bytes_ * 1024 or unit == "GiB":
            break
    return f"{size / bytes_:.1f} {unit}"


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN or character in _JOINERS:
        return character
    code = ord(character)
    return (
        f"\\x{code:02x}"
        if code < 0x100
        else f"\\u{code:04x}"
        if code < 0x10000
        else f"\\U{code:08x}"
    )
