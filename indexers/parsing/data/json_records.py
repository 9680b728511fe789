"""JSON (RFC 8259) and lines of JSON: values as lists, tables and sections.

Knows the syntax, and how to read the elements of a long array one after the other; what becomes of
values is the business of `outlining`. Text that is no JSON after all (comments, a cut end) is kept
as it is, from there on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, cast

from indexers.parsing.content import Content, Part, Properties, Yielded
from indexers.parsing.data.outlining import outline, outline_records
from indexers.parsing.data.values import Fields, Value
from indexers.parsing.text.decoding import cleaned, decode, open_text
from rag.errors import UnreadableDocument
from rag.types import BlockKind

MAX_BYTES = 64 << 20
MAX_LINE = 16 << 20
"""Characters of one line of JSON; what is longer is no JSON any more."""
MAX_TITLE = 200
MAX_PIECE = 50_000
"""Characters of a part of what is no JSON."""
MAX_DATA = 1000
"""Characters of embedded data (`data:` URLs, RFC 2397) that are text to anyone."""

_SPACE = re.compile(r"[ \t\n\r]*")
_TITLES = ("title", "name")


class _Broken(Exception):
    """From here on the text is no JSON."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


def parse_json(content: Content) -> Iterator[Yielded]:
    """Yield one value, or several that follow each other; the elements of an array one by one.

    Raise `UnreadableDocument`: too_large (beyond 64 MiB), too_deep.
    """
    if content.size > MAX_BYTES:
        raise UnreadableDocument(
            f"a JSON file of {content.size:,} bytes is read as a whole, allowed are {MAX_BYTES:,}",
            code="too_large",
            hint="write it as JSON lines (.ndjson), which are read one by one",
        )
    text = decode(content.read())
    position = _space_end(text, 0)
    try:
        while position < len(text):
            if text[position] == "[":
                reader = _Elements(text, position)
                yield from outline_records(reader)
                if reader.broken:
                    raise _Broken(reader.position)
                position = reader.position
            else:
                value, position = _value(text, position)
                yield Properties(title=_title(value) or None)
                yield from outline(value)
            position = _space_end(text, position)
    except _Broken as broken:
        yield from _verbatim(text[broken.position :])


def parse_ndjson(content: Content) -> Iterator[Yielded]:
    """Yield the value of every line, in memory for 200 of them only; broken lines as they are."""
    with open_text(content) as text:
        lines = (line for line in iter(lambda: text.readline(MAX_LINE), "") if line.strip())
        first = next(lines, "")
        if first.strip() in ("{", "["):  # values over several lines after all
            yield from parse_json(content)
        else:
            yield from _mixed(_values(chain([first], lines)))


def _values(lines: Iterable[str]) -> Iterator[Value | Part]:
    """Read lines of JSON; a broken one is a part of its own."""
    for line in map(str.strip, map(cleaned, lines)):
        try:
            value, end = _value(line, 0)
            if end < len(line):
                raise _Broken(end)
        except (_Broken, UnreadableDocument):
            yield from _verbatim(line, "paragraph")
        else:
            yield value


def _mixed(items: Iterator[Value | Part]) -> Iterator[Part]:
    """Write runs of values as records, and parts as they are."""
    parts: list[Part] = []

    def until_part() -> Iterator[Value]:
        for item in items:
            if isinstance(item, Part):
                parts.append(item)
                return
            yield item

    while True:
        yield from outline_records(until_part())
        if not parts:
            return
        yield parts.pop()


def _verbatim(text: str, kind: BlockKind = "code") -> Iterator[Part]:
    """Yield what is no JSON in parts that end with a line where they can."""
    while text:
        end = len(text)
        if end > MAX_PIECE:
            end = text.rfind("\n", MAX_PIECE // 2, MAX_PIECE) + 1 or MAX_PIECE
        yield Part(kind, text[:end])
        text = text[end:]


class _Elements:
    """The elements of an array, one after the other, as far as they can be read."""

    def __init__(self, text: str, position: int) -> None:
        self._text = text
        self.position = position
        self.broken = False

    def __iter__(self) -> Iterator[Value]:
        text = self._text
        position = _space_end(text, self.position + 1)
        if text[position : position + 1] == "]":
            self.position = position + 1
            return
        while True:
            self.position = position
            try:
                value, position = _value(text, position)
            except _Broken:
                self.broken = True
                return
            yield value
            position = _space_end(text, position)
            mark = text[position : position + 1]
            self.position = position + 1
            if mark == "]":
                return
            if mark != ",":
                self.broken, self.position = True, position
                return
            position = _space_end(text, position + 1)


def _space_end(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _value(text: str, position: int) -> tuple[Value, int]:
    """Read the value that begins at the position; return it and where it ends."""
    try:
        value, end = _DECODER.raw_decode(text, position)
    except RecursionError as exc:
        raise UnreadableDocument("the JSON is nested too deeply", code="too_deep") from exc
    except ValueError as exc:
        raise _Broken(position) from exc
    return _readable(value), end


def _object(pairs: list[tuple[str, Any]]) -> Fields:
    return Fields((" ".join(_text(name).split()), _readable(item)) for name, item in pairs)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=str, parse_float=str, parse_constant=str
)
"""Numbers stay as they are written, names that come twice are kept."""


def _readable(value: Any) -> Value:
    """Make texts of what is none; objects inside have been through this already."""
    waiting = [value] if isinstance(value, list) else []
    while waiting:
        array = waiting.pop()
        for i, item in enumerate(array):
            if isinstance(item, list):
                waiting.append(item)
            else:
                array[i] = _scalar(item)
    return _scalar(value)


def _scalar(value: Any) -> Value:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return _text(value)
    return cast(Value, value)


def _text(text: str) -> str:
    """Make a text that can be kept: no half surrogate pairs, no control characters, no data."""
    if len(text) > MAX_DATA and text.startswith("data:"):
        text = f"{text[:MAX_DATA].partition(',')[0]},…"
    text = cleaned(text.replace("\r\n", "\n").replace("\r", "\n"))
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _title(value: Value) -> str:
    """Return what an object says that its title is."""
    fields = dict(reversed(value)) if isinstance(value, Fields) else {}
    for name in _TITLES:
        title = fields.get(name)
        if isinstance(title, str) and 0 < len(title.strip()) <= MAX_TITLE:
            return " ".join(title.split())
    return ""
