"""Finding the rows of a document or of an attempt through SQLite's own indexes.

Knows which filters SQLite can narrow down; their meaning stays with `rag.filters.matches`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rag.filters import And, Eq, Filter, Or, Scalar

INT64 = 2**63


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A condition that no matching row fails."""

    sql: str
    parameters: tuple[str, ...] = ()
    exact: bool = False
    """Every *plain* row that meets the condition matches: its columns say what its fields say."""


def narrow(where: Filter) -> Narrowed:
    """Derive the narrowest condition known for the filter; rows that are not plain always pass."""
    match where:
        case And(()):
            return Narrowed("TRUE", exact=True)
        case And(children):
            found = next((c for c in map(narrow, children) if c.sql != "TRUE"), Narrowed("TRUE"))
            return Narrowed(found.sql, found.parameters)
        case Or(()):
            return Narrowed("FALSE", exact=True)
        case Eq() | Or():
            return _one_of(where.children if isinstance(where, Or) else (where,))
        case _:
            return Narrowed("TRUE")


def _one_of(leaves: tuple[Filter, ...]) -> Narrowed:
    wanted = [leaf for leaf in leaves if isinstance(leaf, Eq)]
    columns = {leaf.field for leaf in wanted}
    if len(wanted) < len(leaves) or len(columns) != 1 or not columns <= COLUMNS.keys():
        return Narrowed("TRUE")
    (column,) = columns
    values = [COLUMNS[column](leaf.value) for leaf in wanted]
    return Narrowed(
        f"({column} IN (SELECT value FROM json_each(?)) OR plain = 0)",  # noqa: S608 - a constant name
        (json.dumps([value for value in values if value is not None]),),
        exact=True,
    )


def _document(value: Scalar) -> str | None:
    """Return what the column can equal; json_each would cut a text at its NUL."""
    return value if isinstance(value, str) and "\0" not in value else None


def _attempt(value: Scalar) -> int | None:
    if isinstance(value, (str, bool)) or not -INT64 <= value < INT64 or value != int(value):
        return None
    return int(value)


COLUMNS: Mapping[str, Callable[[Scalar], str | int | None]] = {
    "document": _document,
    "attempt": _attempt,
}
