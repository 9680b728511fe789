"""The filter language: six nodes, one meaning (`matches`), one JSON form.

Knows nothing of stores. A store compiles the tree; property tests hold every compiler to `matches`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, assert_never

from rag.errors import InvalidFilter

Scalar: TypeAlias = str | int | float | bool
Value: TypeAlias = Scalar | list[str] | list[int] | list[float] | list[bool]
Operator: TypeAlias = Literal["lt", "le", "gt", "ge"]

RESERVED = frozenset({"tenant", "subjects", "document", "attempt"})
MAX_DEPTH = 32
MAX_NODES = 1024


@dataclass(frozen=True, slots=True)
class Eq:
    """The field, or one element of it when it is a list, equals the value in kind and content."""

    field: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class Compare:
    """The field, or one element of it, is a number that stands in this order to the value."""

    field: str
    op: Operator
    value: float


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is present (an empty list is)."""

    field: str


@dataclass(frozen=True, slots=True)
class And:
    """Every child holds; an empty one holds for everything."""

    children: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class Or:
    """Some child holds; an empty one holds for nothing."""

    children: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """The plain complement: true wherever the child is false, also on missing fields."""

    child: Filter


Filter: TypeAlias = Eq | Compare | Exists | And | Or | Not

EVERYTHING = And()
NOTHING = Or()


def In(field: str, values: Iterable[Scalar]) -> Or:  # noqa: N802 - reads as a node where it is used
    """Build the filter "the field equals one of the values"."""
    return Or(tuple(Eq(field, value) for value in values))


def kind(value: object) -> str:
    """Name the kind of a scalar; values of different kinds are never equal (`True` is not 1)."""
    if isinstance(value, bool):
        return "bool"
    return "str" if isinstance(value, str) else "number"


ORDER: Mapping[Operator, Callable[[float, float], bool]] = {
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}


def matches(where: Filter, fields: Mapping[str, Value]) -> bool:
    """Decide whether a row with these fields satisfies the filter: the meaning of the language."""
    match where:
        case Eq(field, value):
            wanted = kind(value)
            return any(kind(v) == wanted and v == value for v in elements(fields, field))
        case Compare(field, op, value):
            test = ORDER[op]
            return any(kind(v) == "number" and test(v, value) for v in elements(fields, field))
        case Exists(field):
            return field in fields
        case And(children):
            return all(matches(child, fields) for child in children)
        case Or(children):
            return any(matches(child, fields) for child in children)
        case Not(child):
            return not matches(child, fields)
        case _:
            assert_never(where)


def elements(fields: Mapping[str, Value], field: str) -> Iterable[Any]:
    """Return the field's values: none when it is missing, all elements when it is a list."""
    value = fields.get(field, ())
    return value if isinstance(value, (list, tuple)) else (value,)


def parse_filter(text: str) -> Filter:
    """Read a filter from its JSON text; raise `InvalidFilter` that says what is wrong and where."""
    try:
        return from_json(json.loads(text))
    except json.JSONDecodeError as exc:
        raise InvalidFilter(
            f"the filter is not JSON: {exc.msg} at character {exc.pos}",
            hint='write it like {"eq": {"meta.lang": "en"}}',
        ) from exc
    except RecursionError as exc:
        raise InvalidFilter(f"the filter is nested deeper than {MAX_DEPTH} levels") from exc
    except ValueError as exc:  # a number of thousands of digits
        raise InvalidFilter("the filter has a number that is too long") from exc


def from_json(tree: object) -> Filter:
    """Read a filter from decoded JSON. User filters see `meta.*`, `uri` and `title` only."""
    budget = [MAX_NODES]
    return _node(tree, budget, 0)


def _node(tree: object, budget: list[int], depth: int) -> Filter:
    budget[0] -= 1
    if depth > MAX_DEPTH:
        raise InvalidFilter(f"the filter is nested deeper than {MAX_DEPTH} levels")
    if budget[0] < 0:
        raise InvalidFilter(f"the filter has more than {MAX_NODES} nodes")
    if not isinstance(tree, dict) or len(tree) != 1:
        raise InvalidFilter(
            f"a filter is an object with one operator, got {_short(tree)}",
            hint="operators: and, or, not, eq, in, lt, le, gt, ge, exists",
        )
    ((op, body),) = tree.items()
    match op:
        case "and" | "or":
            if not isinstance(body, list):
                raise InvalidFilter(f"{op!r} takes a list of filters, got {_short(body)}")
            children = tuple(_node(child, budget, depth + 1) for child in body)
            return And(children) if op == "and" else Or(children)
        case "not":
            return Not(_node(body, budget, depth + 1))
        case "exists":
            return Exists(_field(body))
        case "eq":
            field, value = _leaf(op, body)
            return Eq(field, _scalar(op, value))
        case "in":
            field, value = _leaf(op, body)
            if not isinstance(value, list):
                raise InvalidFilter(f"'in' takes a list of values, got {_short(value)}")
            budget[0] -= len(value)
            if budget[0] < 0:
                raise InvalidFilter(f"the filter has more than {MAX_NODES} nodes")
            return In(field, [_scalar(op, v) for v in value])
        case "lt" | "le" | "gt" | "ge":
            field, value = _leaf(op, body)
            return Compare(field, op, _number(op, value))
        case _:
            raise InvalidFilter(
                f"unknown filter operator {_short(op)}",
                hint="operators: and, or, not, eq, in, lt, le, gt, ge, exists",
            )


def _leaf(op: str, body: object) -> tuple[str, object]:
    if not isinstance(body, dict) or len(body) != 1:
        raise InvalidFilter(f"{op!r} takes one field and its value, got {_short(body)}")
    ((field, value),) = body.items()
    return _field(field), value


def _field(name: object) -> str:
    if not isinstance(name, str) or not name or "\0" in name:
        raise InvalidFilter(f"a field name is a non-empty string, got {_short(name)}")
    if name in RESERVED:
        raise InvalidFilter(f"the field {name!r} is reserved", hint="user fields are named meta.*")
    return name


def _scalar(op: str, value: object) -> Scalar:
    if isinstance(value, str) and "\0" in value:
        raise InvalidFilter(f"a value of {op!r} contains the NUL character")
    if isinstance(value, float) and value != value:
        raise InvalidFilter(f"{op!r} cannot compare with NaN")
    if isinstance(value, (str, bool, int, float)):
        return value
    raise InvalidFilter(f"{op!r} takes strings, numbers and booleans, got {_short(value)}")


def _number(op: str, value: object) -> float:
    """Read a number, or an ISO date as its epoch seconds."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as exc:
            raise InvalidFilter(
                f"{op!r} takes a number or an ISO date, got {_short(value)}"
            ) from exc
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise InvalidFilter(f"{op!r} takes a number or an ISO date, got {_short(value)}")
    return value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
