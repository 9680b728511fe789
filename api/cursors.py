"""Cursors of lists: opaque to clients, read back strictly."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import orjson

from rag.errors import UserError


def write_cursor(place: Sequence[str | float]) -> str:
    """Write the place after which the next page begins."""
    return base64.urlsafe_b64encode(orjson.dumps(list(place))).decode().rstrip("=")


def read_cursor(cursor: str, kinds: Sequence[type]) -> list[str | float]:
    """Read a cursor of values of these kinds; raise `UserError`."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        found = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        found = None
    if (
        not isinstance(found, list)
        or list(map(type, found)) != list(kinds)
        or any("\0" in value for value in found if isinstance(value, str))
    ):
        raise UserError("the cursor is none of ours", hint="take `next` of the page before")
    return found
