"""Styles and lists of binary Word documents ([MS-DOC] 2.9.271, 2.9.131, 2.9.150).

Knows which styles are headings, by the numbers of Word's own styles and not by their names, and how
lists label their items; nothing of the text.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from indexers.parsing.office.counting import written
from indexers.parsing.office.docbinary import LISTS, OVERRIDES, STYLES, WordFile, sprms

MAX_INHERITANCE = 32
TITLE = 62
"""The number of Word's own style for titles, 2.9.260."""
BODY = 9
"""The outline level that is none."""
_OUTLINE, _LIST, _LEVEL = 0x2640, 0x460B, 0x260A
_NO_BASE, _PARAGRAPH_STYLE = 0xFFF, 1
_LSTF, _LVLF, _LFO = 28, 28, 16
_FORMATS = {0: "decimal", 1: "upperRoman", 2: "lowerRoman", 3: "upperLetter", 4: "lowerLetter",
            22: "decimalZero", 23: "bullet", 255: "none"}  # fmt: skip


class Look(NamedTuple):
    """What properties and styles make of a paragraph."""

    level: int = 0
    """Of a heading: 1 is the highest; 0 is none."""
    is_title: bool = False
    list: int = 0
    """Number of the list that it is an item of; 0 is none."""
    depth: int = 0
    """Its level in the list: 0 is the outermost."""


class _Level(NamedTuple):
    style: str
    text: str
    start: int


def changed(look: Look, properties: bytes) -> Look:
    """Return a look with what properties change about it."""
    for code, operand in sprms(properties):
        if code == _OUTLINE and operand:
            look = look._replace(level=operand[0] + 1 if operand[0] < BODY else 0)
        elif code == _LIST and len(operand) == 2:
            number = int.from_bytes(operand, "little")
            look = look._replace(list=number if 0 < number < 0x7FF else 0)
        elif code == _LEVEL and operand:
            look = look._replace(depth=min(operand[0], 8))
    return look


class Styles:
    """The styles of a document by their index."""

    def __init__(self, file: WordFile | None = None) -> None:
        """Read the style sheet; of a damaged one, the styles before the damage."""
        data = file.structure(STYLES) if file else b""
        self._found: list[tuple[int, int, bytes]] = []
        self._looks: dict[int, Look] = {}
        if len(data) < 6:
            return
        size, count, base = struct.unpack_from("<HHH", data)
        at = 2 + size
        for _ in range(count):
            if at + 2 > len(data):
                break
            (length,) = struct.unpack_from("<H", data, at)
            self._found.append(_style(data[at + 2 : at + 2 + length], base))
            at += 2 + length + length % 2

    def look(self, index: int) -> Look:
        """Return what a style makes of a paragraph, with those that it is based on."""
        if index not in self._looks:
            line: list[int] = []
            current = index
            while current < len(self._found) and len(line) < MAX_INHERITANCE:
                line.append(current)
                current = self._found[current][1]
            look = Look()
            for ancestor in reversed(line):
                number, _, properties = self._found[ancestor]
                if 1 <= number <= BODY or 1 <= ancestor <= BODY:  # their places are fixed
                    look = look._replace(level=number if 1 <= number <= BODY else ancestor)
                look = changed(look._replace(is_title=look.is_title or number == TITLE), properties)
            self._looks[index] = look
        return self._looks[index]


def _style(data: bytes, base: int) -> tuple[int, int, bytes]:
    """Return number, base and properties of a style (2.9.260, 2.9.338)."""
    if len(data) < 10:
        return -1, _NO_BASE, b""
    number, kind = struct.unpack_from("<HH", data)
    properties = b""
    at = max(base, 10)
    if kind & 0xF == _PARAGRAPH_STYLE and at + 2 <= len(data):
        at += 2 + 2 * int.from_bytes(data[at : at + 2], "little") + 2  # its name
        length = int.from_bytes(data[at : at + 2], "little")
        properties = data[at + 4 : at + 2 + length]
    return number & 0xFFF, kind >> 4, properties


class Lists:
    """The lists of a document, and how far each has been counted."""

    def __init__(self, file: WordFile | None = None) -> None:
        """Read lists and their levels; of damaged ones, those before the damage."""
        self._levels: dict[int, list[_Level]] = {}
        self._counts: dict[int, list[int]] = {}
        self._lists: list[int] = []
        if file is None:
            return
        overrides = file.structure(OVERRIDES)
        rest = overrides[4 : 4 + 0x7FF * _LFO]
        self._lists = [
            int.from_bytes(rest[at : at + 4], "little") for at in range(0, len(rest) - 3, _LFO)
        ]
        data = file.structure(LISTS)
        levels, at = file.after(LISTS), 0
        for n in range(2, len(data) - _LSTF + 1, _LSTF):
            count = 1 if data[n + 26] & 1 else 9
            found: list[_Level] = []
            for _ in range(count):
                if at + _LVLF + 2 > len(levels):
                    return
                level, at = _level(levels, at)
                found.append(level)
            self._levels[int.from_bytes(data[n : n + 4], "little")] = found

    def label(self, look: Look) -> str | None:
        """Count an item and return what stands before it, empty for a bullet; None for nothing."""
        if not 0 < look.list <= len(self._lists):
            return ""
        key = self._lists[look.list - 1]
        levels = self._levels.get(key)
        if not levels:
            return ""
        depth = min(look.depth, len(levels) - 1)
        counts = self._counts.setdefault(key, [level.start - 1 for level in levels])
        counts[depth] += 1
        for deeper in range(depth + 1, len(levels)):
            counts[deeper] = levels[deeper].start - 1
        form = levels[depth]
        if form.style == "bullet":
            return ""
        label = "".join(
            written(max(counts[ord(c)], levels[ord(c)].start), levels[ord(c)].style)
            if ord(c) < len(levels)
            else c
            for c in form.text
        )
        return " ".join(label.split()) or None


def _level(data: bytes, at: int) -> tuple[_Level, int]:
    """Return a level of a list and where the next one begins (2.9.149, 2.9.150)."""
    start, style = struct.unpack_from("<iB", data, at)
    end = at + _LVLF + data[at + 24] + data[at + 25]
    count = int.from_bytes(data[end : end + 2], "little")
    text = data[end + 2 : end + 2 + 2 * count].decode("utf-16-le", errors="replace")
    form = _Level(_FORMATS.get(style, "decimal"), text[:100], min(max(start, 0), 1_000_000))
    return form, end + 2 + 2 * count
