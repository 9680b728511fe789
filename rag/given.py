"""Metadata that a person gives to a document: checked, and named as filters name them.

`{"lang": "en"}` becomes the field `meta.lang`; a name may already begin with `meta.`, so that what
is shown can be given back.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from rag.errors import UserError
from rag.filters import Scalar, Value, kind
from rag.types import Metadata

PREFIX = "meta."
MOST = 64
"""Names of one document."""
LONGEST = 2000
"""Characters of one value."""
MOST_VALUES = 100
"""Values of one list."""
LARGEST = 2**53
"""Whole numbers beyond it are not the same in every system."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


def as_fields(given: Mapping[str, Any]) -> Metadata:
    """Check names and values and return the fields; raise `UserError` naming the first bad one."""
    if len(given) > MOST:
        raise UserError(f"the metadata have {len(given)} names, the limit is {MOST}")
    fields: dict[str, Value] = {}
    for name, value in given.items():
        short = name.removeprefix(PREFIX)
        if not _NAME.fullmatch(short):
            raise UserError(
                f"metadata: {name[:80]!r} is no name for a field",
                hint="begin with a letter; letters, digits, _ . and - may follow, 64 at most",
            )
        if PREFIX + short in fields:
            raise UserError(f"metadata: {short!r} is given twice")
        fields[PREFIX + short] = _value(short, value)
    return fields


def same(one: Metadata, other: Metadata) -> bool:
    """Tell whether metadata are equal in kind and value (True is not 1)."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _value(name: str, value: Any) -> Value:
    if not isinstance(value, list):
        return _scalar(name, value)
    values = [_scalar(name, element) for element in value]
    if len(values) > MOST_VALUES:
        raise UserError(f"metadata: {name!r} has {len(values)} values, the limit is {MOST_VALUES}")
    if len({kind(element) for element in values}) > 1:
        raise UserError(f"metadata: {name!r} mixes kinds of values", hint="one kind in one list")
    return values  # type: ignore[return-value]  # of one kind, as was just checked


def _scalar(name: str, value: Any) -> Scalar:
    match value:
        case bool():
            return value
        case int() if abs(value) <= LARGEST:
            return value
        case float() if math.isfinite(value):
            return value
        case str() if len(value) <= LONGEST and "\0" not in value and _is_unicode(value):
            return value
    raise UserError(
        f"metadata: the value of {name!r} cannot be kept",
        hint=f"texts of at most {LONGEST} characters, finite numbers, true, false, and lists",
    )


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
