"""What a document says about itself, brought into the form of metadata.

Knows which names and values are accepted; nothing of the format that they come from. What is not
accepted is left out: a strange field must not cost the document.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time

from rag.filters import Scalar, Value, kind

MAX_FIELDS = 64
MAX_VALUE_BYTES = 4096

_NAME = re.compile(r"\w(?:[\w .:-]{0,62}[\w])?")


def metadata(properties: Mapping[object, object]) -> dict[str, Value]:
    """Return the acceptable properties as `meta.*` fields, the first 64 of them."""
    fields: dict[str, Value] = {}
    for name, content in properties.items():
        if len(fields) == MAX_FIELDS:
            break
        if isinstance(name, str) and _NAME.fullmatch(name):
            value = _value(content)
            if value is not None:
                fields[f"meta.{name}"] = value
    return fields


def _value(content: object) -> Value | None:
    """Read a scalar, or a list of scalars of one kind; None when it is anything else."""
    if not isinstance(content, list):
        value = _scalar(content)
        return value if value is not None and _size(value) <= MAX_VALUE_BYTES else None
    scalars = [s for s in map(_scalar, content) if s is not None]
    if len(scalars) < len(content) or len({kind(s) for s in scalars}) > 1:
        return None
    return scalars if sum(map(_size, scalars)) <= MAX_VALUE_BYTES else None  # type: ignore[return-value]


def _scalar(content: object) -> Scalar | None:
    match content:
        case bool():
            return content
        case int():
            return content if -(2**63) <= content < 2**63 else None
        case float():
            return content if math.isfinite(content) else None
        case str():
            return content if _storable(content) else None
        case date():
            return _epoch(content)
    return None


def _storable(text: str) -> bool:
    """Whether every backend can keep it: no NUL, no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def _epoch(moment: date) -> int:
    """Return epoch seconds; a moment without a zone is UTC, a day is its midnight."""
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _size(value: Scalar) -> int:
    return len(value.encode()) if isinstance(value, str) else 8
