"""The frames that parent and child exchange: two lengths, a head in JSON, a body of bytes.

Knows their form alone. Heads of the parent: `{"start": …}` once, then `{"request": …, "cpu_s": …}`,
with the descriptor beside the first byte. Heads of the child: `{"hello": …}` once, then for each
request any number of `{"reply": …}` and one of `{"end": …}` and `{"error": …}`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, NoReturn

LENGTHS = struct.Struct(">II")
"""The bytes of the head and of the body."""
MAX_HEAD = 4 << 20
"""Bytes of a head: what JSON of that size becomes in memory can still be borne."""
MAX_BODY = 0xFFFFFFFF


class FrameTooLarge(Exception):
    """A head or a body that no frame can hold."""


def pack(head: Mapping[str, Any], body_size: int = 0) -> bytes:
    """Write a frame up to its body; `FrameTooLarge` when it cannot be one.

    Half characters, which UTF-8 cannot hold, become `?`.
    """
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    raw = text.encode("utf-8", "replace")
    if len(raw) > MAX_HEAD or body_size > MAX_BODY:
        raise FrameTooLarge(f"a head of {len(raw):,} bytes with a body of {body_size:,}")
    return LENGTHS.pack(len(raw), body_size) + raw


def decode_head(raw: bytes) -> dict[str, Any]:
    """Read a head; raise `ValueError` when it is no JSON object of one kind."""
    try:
        head = json.loads(raw, parse_constant=_refuse)
    except RecursionError as exc:
        raise ValueError("the head is nested too deeply") from exc
    if not isinstance(head, dict):
        raise ValueError("the head is no object")
    return head


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
