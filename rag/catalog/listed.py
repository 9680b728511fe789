"""Any number of strings as one bound parameter: a JSON array that the database takes apart.

An `IN` with a parameter for each value is text anew for every number of values, and databases limit
parameters; building such a statement for 300 ids took longer than running it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _strings(FunctionElement[str]):  # noqa: N801 - named as SQL names functions
    """The rows of a JSON array of strings, in a column `value`."""

    name = "strings"
    inherit_cache = True


@compiles(_strings, "sqlite")
def _sqlite(element: _strings, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kw)})"


@compiles(_strings, "postgresql")
def _postgresql(element: _strings, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **kw)} AS json))"


def listed(column: sa.ColumnElement[Any], parameter: str) -> sa.ColumnElement[bool]:
    """Say that a column is among the values of a parameter, which `as_list` makes."""
    rows = _strings(sa.bindparam(parameter, type_=sa.String)).table_valued("value", name="listed")
    return column.in_(sa.select(rows.c.value))


def as_list(values: Collection[str]) -> str:
    """Make the parameter's value."""
    return orjson.dumps(list(values)).decode()
