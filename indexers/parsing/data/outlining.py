"""Nested values as the parts of a document: sections with headings, lists, tables, paragraphs.

Small values become one list with an item for each field, objects that are alike a table; what is
larger becomes a section with a heading for every large field. Knows nothing of syntaxes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from indexers.parsing.content import Part
from indexers.parsing.data.values import MAX_CELL, MAX_ROWS, Fields, Value, lines_of, table_of
from rag.errors import UnreadableDocument

MAX_DEPTH = 200
SMALL = 1500
"""Characters of a value that stands in one list."""
LONG = 300
"""Characters of a text that is a paragraph of its own."""
MAX_LEVEL = 6
_NAMES = ("title", "name", "label", "id", "key")


class _Section(NamedTuple):
    """What is still to be written."""

    value: Value
    label: str
    level: int


def outline(value: Value, *, label: str = "", level: int = 1) -> Iterator[Part]:
    """Yield the parts of a value, below a heading where it has a label.

    Raise `UnreadableDocument` (too_deep) for values nested more than 200 deep.
    """
    sizes = _sizes([value])
    return _unfolded([_Section(value, label, level)], sizes)


def outline_records(values: Iterable[Value], *, level: int = 1) -> Iterator[Part]:
    """Yield the parts of the values of a long array, in memory for 200 of them only."""
    number = 1
    remaining = iter(values)
    while batch := list(islice(remaining, MAX_ROWS)):
        sizes = _sizes(batch)
        yield from _unfolded(list(_elements(batch, number, level, sizes)), sizes)
        number += len(batch)


def _unfolded(tasks: list[Part | _Section], sizes: dict[int, int]) -> Iterator[Part]:
    waiting = tasks[::-1]
    while waiting:
        task = waiting.pop()
        if isinstance(task, Part):
            yield task
        else:
            waiting.extend(reversed(list(_written(task, sizes))))


def _sizes(values: list[Value]) -> dict[int, int]:
    """Measure all containers, by identity: about how many characters each of them takes."""
    sizes: dict[int, int] = {}
    stack: list[tuple[Value, bool]] = [(value, False) for value in values]
    depth = 0
    while stack:
        item, is_done = stack.pop()
        if isinstance(item, str):
            continue
        if is_done:
            depth -= 1
            sizes[id(item)] = _size(item, sizes)
            continue
        depth += 1
        if depth > MAX_DEPTH:
            raise UnreadableDocument(
                f"the values are nested more than {MAX_DEPTH} deep", code="too_deep"
            )
        stack.append((item, True))
        inner = [field[1] for field in item] if isinstance(item, Fields) else item
        stack.extend((value, False) for value in inner if not isinstance(value, str))
    return sizes


def _size(value: Value, sizes: dict[int, int]) -> int:
    """Measure one value whose containers have been measured."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Fields):
        return sum(len(name) + 4 + _known(item, sizes) for name, item in value)
    return sum(2 + _known(item, sizes) for item in value)


def _known(value: Value, sizes: dict[int, int]) -> int:
    return len(value) if isinstance(value, str) else sizes[id(value)]


def _written(section: _Section, sizes: dict[int, int]) -> Iterator[Part | _Section]:
    """Write a section: its heading, its small fields, then what is larger."""
    value, label, level = section
    if label:
        shown = min(level, MAX_LEVEL)
        yield Part("heading", f"{'#' * shown} {label}", shown, label)
        level += 1
    if isinstance(value, str):
        yield from _paragraphs("", value)
    elif isinstance(value, Fields):
        yield from _fields(value, level, sizes)
    else:
        for start in range(0, len(value), MAX_ROWS):
            batch = value[start : start + MAX_ROWS]
            yield from _elements(batch, start + 1, level, sizes)


def _fields(value: Fields, level: int, sizes: dict[int, int]) -> Iterator[Part | _Section]:
    if _known(value, sizes) <= SMALL:
        yield _list(value)
        return
    small: list[tuple[str, Value]] = []
    length = 0
    large: list[_Section] = []
    for name, item in value:
        size = _known(item, sizes)
        if isinstance(item, str) and size > LONG:
            yield from _gathered(small)
            yield from _paragraphs(name, item)
            small, length = [], 0
        elif size > SMALL or (isinstance(item, list) and table_of(item[:MAX_ROWS])):
            large.append(_Section(item, name, level))
        else:
            if length + size > SMALL:
                yield from _gathered(small)
                small, length = [], 0
            small.append((name, item))
            length += size
    yield from _gathered(small)
    yield from large


def _gathered(fields: list[tuple[str, Value]]) -> Iterator[Part]:
    if fields:
        yield _list(Fields(fields))


def _elements(
    batch: Sequence[Value], number: int, level: int, sizes: dict[int, int]
) -> Iterator[Part | _Section]:
    """Write some elements of an array, of which the first has the number."""
    if table := table_of(batch):
        yield Part("table", table)
        return
    apart = any(_known(item, sizes) > SMALL for item in batch if not isinstance(item, str))
    texts: list[Value] = []
    for i, item in enumerate(batch, start=number):
        if isinstance(item, str) and len(item) <= LONG:
            texts.append(item)
            continue
        if texts:
            yield _list(texts)
            texts = []
        yield _Section(item, (_name(item) or str(i)) if apart else "", level)
    if texts:
        yield _list(texts)


def _list(value: Value) -> Part:
    return Part("list", "\n".join(lines_of(value)))


def _paragraphs(name: str, text: str) -> Iterator[Part]:
    """Write a long text, the name of its field before its first words."""
    lead = f"{name}: " if name else ""
    for paragraph in text.split("\n\n"):
        if paragraph.strip():
            yield Part("paragraph", lead + paragraph.strip("\n"))
            lead = ""


def _name(value: Value) -> str:
    """Return what an object calls itself, if that is short."""
    if not isinstance(value, Fields):
        return ""
    fields = {name.lower(): item for name, item in reversed(value) if isinstance(item, str)}
    names = (" ".join(fields[name].split()) for name in _NAMES if name in fields)
    return next((name for name in names if 0 < len(name) <= MAX_CELL), "")
