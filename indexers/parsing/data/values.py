"""Nested values (objects, arrays, texts) written as lists and tables.

Knows nothing of the syntax that they come from. What is too large for a list is cut into sections
by `outlining`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from indexers.parsing.tabular import markdown_table

Value: TypeAlias = "str | list[Value] | Fields"


class Fields(tuple["tuple[str, Value]", ...]):
    """An object: names and values, in order; a name may come again."""

    __slots__ = ()


MAX_ROWS = 200
MAX_COLUMNS = 16
MAX_CELL = 200
MAX_HEADER = 180
"""UTF-8 bytes of a table's column names."""
MIN_FILLED = 0.6
"""Share of the cells of a table."""
INLINE = 200
"""Characters of an array, or of an object in an array, that stands on one line."""
SHORT = 20
"""Characters of the texts in an array that share lines."""
MAX_INDENT = 8


def table_of(values: Sequence[Value]) -> str:
    """Write objects that have about the same short fields as a table; empty where they have not."""
    objects = [value for value in values if isinstance(value, Fields) and value]
    if len(objects) < max(2, len(values)):
        return ""
    rows = [row for row in map(_row, objects) if row is not None]
    columns = dict.fromkeys(name for row in rows for name in row)
    if len(rows) < len(objects) or len(columns) > MAX_COLUMNS:
        return ""
    filled = sum(map(len, rows)) >= len(rows) * len(columns) * MIN_FILLED
    if not filled or len(" | ".join(columns).encode()) > MAX_HEADER:
        return ""
    return markdown_table([list(columns), *([r.get(c, "") for c in columns] for r in rows)])


def _row(value: Fields) -> dict[str, str] | None:
    """Return the cells of an object by column; None where it does not fit into a row."""
    row: dict[str, str] = {}
    for name, item in value:
        cell = inline(item)
        if cell is None or len(cell) > MAX_CELL or "\n" in cell or name in row:
            return None
        row[name] = cell
    return row


def lines_of(value: Value) -> Iterator[str]:
    """Write a value as the lines of a list, fields of fields indented."""
    stack = [_entries(value)]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            continue
        name, item = entry
        indent = "  " * min(len(stack) - 1, MAX_INDENT)
        mark = f"{indent}- {name}:" if name else f"{indent}-"
        text = None if name and isinstance(item, Fields) and item else inline(item)
        if text is None:
            yield mark
            stack.append(_entries(item))
        else:
            first, *rest = text.split("\n")
            yield f"{mark} {first}".rstrip()
            yield from (f"{indent}  {line}" for line in rest if line.strip())


def _entries(value: Value) -> Iterator[tuple[str, Value]]:
    if isinstance(value, str):
        return iter([("", value)])
    if isinstance(value, Fields):
        return iter(value)
    if all(isinstance(item, str) and len(item) <= SHORT for item in value):
        return (("", line) for line in _wrapped(value))
    return (
        ("" if inline(item) is not None else str(number), item)
        for number, item in enumerate(value, start=1)
    )


def _wrapped(texts: Sequence[Value]) -> Iterator[str]:
    """Write many short texts (numbers, codes) several on a line."""
    line: list[str] = []
    length = 0
    for text in filter(None, map(inline, texts)):
        if length + len(text) > INLINE:
            yield ", ".join(line)
            line, length = [], 0
        line.append(" ".join(text.split()))
        length += len(text) + 2
    if line:
        yield ", ".join(line)


def inline(value: Value) -> str | None:
    """Write a text, a short array of texts or a short flat object on one line; else None."""
    if isinstance(value, str):
        return value
    if isinstance(value, Fields):
        texts = [f"{name}: {item}" for name, item in value if isinstance(item, str)]
        separator = "; "
    else:
        texts = [item for item in value if isinstance(item, str)]
        separator = ", "
    if len(texts) < len(value) or sum(map(len, texts)) > INLINE:
        return None
    text = separator.join(texts)
    return text if "\n" not in text else None
