"""JSON out, quickly: plain values, dataclasses and arrays become bytes without validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

JSON = "application/json"


def reply(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None, *, kind: str = JSON
) -> Response:
    """Make a reply; `kind` is its media type."""
    return Response(dump(value), status, headers=headers, media_type=kind)


def dump(value: Any) -> bytes:
    """Write JSON."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
