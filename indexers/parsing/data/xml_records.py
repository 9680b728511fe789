"""XML that holds records: elements become values, their names the names of fields.

Knows nothing of vocabularies. The name of the outermost element and of the records stand as
headings, so that each record is found by what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from lxml import etree

from indexers.parsing.content import Part
from indexers.parsing.data.outlining import outline, outline_records
from indexers.parsing.data.values import Fields, Value
from indexers.parsing.xmlsafe import local

MAX_TITLE = 200
_SCHEMA_INSTANCE = "{http://www.w3.org/2001/XMLSchema-instance}"
_TITLES = ("title", "name")


def record_parts(root: etree._Element) -> Iterator[Part]:
    """Yield the content of a tree, record by record."""
    name = local(root)
    yield Part("heading", f"# {name}", 1, name)
    attributes = _attributes(root)
    if len(root) == 0:
        text = text_of(root)
        yield from outline(Fields([*attributes, *([("", text)] if text else [])]))
        return
    single: list[tuple[str, Value]] = list(attributes)
    for tag, run in groupby(_children(root), key=local):
        elements = list(run)
        if len(elements) == 1:
            single.append((tag, value_of(elements[0])))
            continue
        yield from _fields(single)
        single = []
        yield Part("heading", f"## {tag}", 2, tag)
        yield from outline_records(map(value_of, elements), level=3)
    yield from _fields(single)


def _fields(fields: list[tuple[str, Value]]) -> Iterator[Part]:
    if fields:
        yield from outline(Fields(fields), level=2)


def value_of(root: etree._Element) -> Value:
    """Make a value of an element: text, or fields of its attributes and elements."""
    open_fields: list[list[tuple[str, Value]]] = [[]]
    walk: Any = etree.iterwalk(root, events=("start", "end"), tag=etree.Element)
    for event, element in walk:
        if event == "start":
            open_fields.append([])
        else:
            fields = open_fields.pop()
            open_fields[-1].append((local(element), _value(element, fields)))
    return open_fields[0][0][1]


def _value(element: etree._Element, fields: list[tuple[str, Value]]) -> Value:
    attributes = _attributes(element)
    if not fields:
        text = text_of(element)
        if not attributes:
            return text
        said = "; ".join(f"{name}: {value}" for name, value in attributes)
        return f"{text} ({said})" if text else Fields(attributes)
    own = _own_text(element)
    grouped: dict[str, list[Value]] = {}
    for name, value in fields:
        grouped.setdefault(name, []).append(value)
    items = ((name, values[0] if len(values) == 1 else values) for name, values in grouped.items())
    return Fields([*attributes, *([("", own)] if own else []), *items])


def _attributes(element: etree._Element) -> list[tuple[str, Value]]:
    return [
        (str(name).rpartition("}")[2], " ".join(str(value).split()))
        for name, value in element.attrib.items()
        if not str(name).startswith(_SCHEMA_INSTANCE)
    ]


def _children(element: etree._Element) -> Iterator[etree._Element]:
    return (child for child in element if local(child))


def text_of(element: etree._Element) -> str:
    """Return all text inside an element, white space collapsed."""
    return " ".join("".join(map(str, element.itertext())).split())


def _own_text(element: etree._Element) -> str:
    """Return the text that stands directly in an element, between the others."""
    pieces = [element.text or "", *(child.tail or "" for child in element)]
    return " ".join(" ".join(pieces).split())


def title_of(root: etree._Element) -> str | None:
    """Return the short text of the element that is the title, or else the name, of the root."""
    found = {local(child).lower(): child for child in reversed(root) if len(child) == 0}
    titles = (text_of(found[name]) for name in _TITLES if name in found)
    return next((title for title in titles if 0 < len(title) <= MAX_TITLE), None)
