"""Makes replies of JSON, led by the types of their fields.

Keys that are not known are left out, so that an older client understands a newer server; a key
that is missing, or of another type, is an `UnexpectedReply` that names the place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from rag.client.errors import UnexpectedReply

T = TypeVar("T")
Read = Callable[[object, str], Any]
"""Takes a value and the name of its place."""


def read_json(kind: type[T], content: bytes | str) -> T:
    """Return the reply that the JSON says."""
    try:
        value = json.loads(content)
    except ValueError as exc:
        raise UnexpectedReply("the reply is not JSON", hint="is the address right?") from exc
    return cast(T, _reader(cast(Any, kind))(value, "reply"))


@cache
def _reader(kind: Any) -> Read:
    if is_dataclass(kind):
        return _record(cast(type, kind))
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _either(parts)
    if origin is tuple:
        return _row(parts)
    if origin is Literal:
        return _plain(str)  # a newer server may know more of them
    if origin in (dict, Mapping) or kind is dict:
        return _plain(dict)
    return (lambda value, place: value) if kind is Any else _plain(kind)


def _record(kind: type) -> Read:
    hints = get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in fields(kind)}
    required = {field.name for field in fields(kind) if field.default is MISSING}

    def read(value: object, place: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong(place, "an object", value)
        missing = required - value.keys()
        if missing:
            raise UnexpectedReply(f"{place} has no {min(missing)!r}", hint="is the server older?")
        return kind(
            **{
                name: reader(value[name], f"{place}.{name}")
                for name, reader in readers.items()
                if name in value
            }
        )

    return read


def _row(parts: tuple[Any, ...]) -> Read:
    same = parts[-1] is Ellipsis
    readers = [_reader(part) for part in parts if part is not Ellipsis]

    def read(value: object, place: str) -> Any:
        if not isinstance(value, list) or not (same or len(value) == len(readers)):
            raise _wrong(place, "a list" if same else f"a list of {len(readers)}", value)
        turns = readers * len(value) if same else readers
        return tuple(
            reader(part, f"{place}[{i}]")
            for i, (reader, part) in enumerate(zip(turns, value, strict=True))
        )

    return read


def _either(parts: tuple[Any, ...]) -> Read:
    readers = [_reader(part) for part in parts if part is not NoneType]

    def read(value: object, place: str) -> Any:
        if value is None and NoneType in parts:
            return None
        for reader in readers[:-1]:
            try:
                return reader(value, place)
            except UnexpectedReply:
                continue
        return readers[-1](value, place)

    return read


def _plain(kind: type) -> Read:
    accepted = (float, int) if kind is float else (kind,)

    def read(value: object, place: str) -> Any:
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise _wrong(place, kind.__name__, value)
        return value

    return read


def _wrong(place: str, wanted: str, value: object) -> UnexpectedReply:
    return UnexpectedReply(f"{place} should be {wanted}, and is {type(value).__name__}")
