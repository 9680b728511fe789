"""The binary format of Word 97 to 2003 ([MS-DOC]): text and properties by character positions.

Knows the tables that say where pieces of text and properties of paragraphs and characters lie in
the file; nothing of what they mean for a reader. Whatever they say is checked against the file.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from rag.errors import UnreadableDocument

# Indexes of FibRgFcLcb97, [MS-DOC] 2.5.6
STYLES, NOTE_REFS, NOTE_TEXTS, COMMENT_REFS, COMMENT_TEXTS = 1, 2, 3, 4, 5
MARGINS, CHARACTERS, PARAGRAPHS, CLX, AUTHORS = 11, 12, 13, 33, 36
END_REFS, END_TEXTS, LISTS, OVERRIDES = 46, 47, 73, 74
# Indexes of FibRgLw97, 2.5.4: characters of the text and of what follows it
TEXT, NOTES, MARGIN_TEXT, MACROS, COMMENTS, END_NOTES, BOXES = 3, 4, 5, 6, 7, 8, 9

HIDDEN = "\0"
"""Stands for a character that is not shown."""
COMPLEX, ENCRYPTED, _TABLE_1 = 0x0004, 0x0100, 0x0200
_COMPRESSED = 1 << 30
_PAGE = 512
_VANISH, _DELETED, _SYMBOL = 0x083C, 0x0800, 0x6A09
_DEFINE_TABLE, _CHANGE_TABS = 0xD608, 0xC615
_OPERANDS = (1, 1, 2, 4, 2, 2, 0, 3)
"""Bytes, by the three highest bits of a code; 0 is variable (2.2.5.1)."""
PARAGRAPH_END = re.compile("[\r\x07\x0c]")
_FIELD_CODE = re.compile("\x13[^\x13-\x15]*[\x14\x15]?")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f]")


class Paragraph(NamedTuple):
    """A paragraph with its end mark and its own properties."""

    start: int
    """Position of its first character."""
    text: str
    """Without the mark; `HIDDEN` for characters that are not shown."""
    mark: str
    style: int
    properties: bytes


class _Piece(NamedTuple):
    start: int
    offset: int
    width: int


class WordFile:
    """The streams of a document, and where in them everything is."""

    def __init__(self, main: bytes, tables: tuple[bytes, bytes]) -> None:
        """Read the beginning of the main stream (2.5.1); raise `UnreadableDocument`."""
        self._main = main
        flags = _u16(main, 10)
        if flags & ENCRYPTED:
            raise UnreadableDocument("the document is encrypted", code="encrypted")
        self._table = tables[bool(flags & _TABLE_1)]
        words = 34 + 2 * _u16(main, 32)
        longs = words + 2
        self._counts = [_u32(main, longs + 4 * n) for n in range(min(_u16(main, words), 22))]
        pairs = longs + 4 * _u16(main, words)
        self._places = [
            (_u32(main, at), _u32(main, at + 4))
            for at in range(pairs + 2, pairs + 2 + 8 * min(_u16(main, pairs), 200), 8)
        ]
        self._pieces: list[_Piece] = []
        self.text = self._read_text(self._hidden())
        """All characters, those of notes and margins behind those of the text."""
        self._runs = sorted(self._properties(PARAGRAPHS), key=lambda run: run[0])
        self._starts = [run[0] for run in self._runs]

    def count(self, index: int) -> int:
        """Return how many characters one of the texts has."""
        return self._counts[index] if index < len(self._counts) else 0

    def range(self, index: int) -> tuple[int, int]:
        """Return where one of the texts begins and ends."""
        start = sum(map(self.count, range(TEXT, index)))
        return start, start + self.count(index)

    def structure(self, index: int) -> bytes:
        """Return a structure of the table stream; empty where it is missing."""
        start, length = self._places[index] if index < len(self._places) else (0, 0)
        return self._table[start : start + length]

    def after(self, index: int) -> bytes:
        """Return what follows a structure in the table stream."""
        start, length = self._places[index] if index < len(self._places) else (0, 0)
        return self._table[start + length :] if length else b""

    def positions(self, index: int, size: int) -> tuple[list[int], list[bytes]]:
        """Return the positions of a PLC and its elements of `size` bytes (2.2.2)."""
        data = self.structure(index)
        count = max(0, (len(data) - 4) // (4 + size))
        positions = [_u32(data, 4 * n) for n in range(count + 1)] if data else []
        rest = 4 * (count + 1)
        return positions, [data[rest + n * size : rest + (n + 1) * size] for n in range(count)]

    def paragraphs(self, start: int, end: int) -> Iterator[Paragraph]:
        """Yield the paragraphs between two positions, also one that does not end there."""
        end = min(end, len(self.text))
        while start < end:
            match = PARAGRAPH_END.search(self.text, start, end)
            stop = match.start() if match else end
            style, properties = self._paragraph_properties(min(stop, end - 1))
            mark = match[0] if match else "\r"
            yield Paragraph(start, self.text[start:stop], mark, style, properties)
            start = stop + 1

    def _paragraph_properties(self, position: int) -> tuple[int, bytes]:
        """Return style and properties of the paragraph whose mark is there (2.4.6.1)."""
        found = bisect_right(self._pieces, position, key=lambda piece: piece.start) - 1
        if found < 0:
            return 0, b""
        piece = self._pieces[found]
        offset = piece.offset + (position - piece.start) * piece.width
        number = bisect_right(self._starts, offset) - 1
        if number < 0 or offset >= self._runs[number][1]:
            return 0, b""
        data = self._runs[number][2]
        return (_u16(data, 0), data[2:]) if len(data) >= 2 else (0, b"")

    def _read_text(self, hidden: list[tuple[int, int, str]]) -> str:
        """Put the pieces together (2.4.1, 2.8.35, 2.9.177)."""
        clx, at = self.structure(CLX), 0
        while at + 3 <= len(clx) and clx[at] == 1:
            at += 3 + _u16(clx, at + 1)
        if at + 5 > len(clx) or clx[at] != 2:
            raise UnreadableDocument("the document's table of pieces is missing")
        plc = clx[at + 5 : at + 5 + _u32(clx, at + 1)]
        count = max(0, (len(plc) - 4) // 12)
        texts: list[str] = []
        length = 0
        for n in range(count):
            start, end = _u32(plc, 4 * n), _u32(plc, 4 * n + 4)
            where = _u32(plc, 4 * (count + 1) + 8 * n + 2)
            is_compressed = bool(where & _COMPRESSED)
            width = 1 if is_compressed else 2
            offset = (where & (_COMPRESSED - 1)) // (2 if is_compressed else 1)
            data = self._main[offset : offset + max(0, end - start) * width]
            text = data.decode("cp1252" if is_compressed else "utf-16-le", errors="replace")
            if start != length or length + len(text) > len(self._main):
                break  # pieces follow each other, and do not share their bytes
            text = _aligned(text, data, width)
            self._pieces.append(_Piece(length, offset, width))
            texts.append(_without_hidden(text, offset, width, hidden))
            length += len(text)
        return "".join(texts)

    def _hidden(self) -> list[tuple[int, int, str]]:
        """Return the ranges of bytes that are not shown as they are, and what is shown instead."""
        found: list[tuple[int, int, str]] = []
        for start, end, data in self._properties(CHARACTERS):
            for code, operand in sprms(data):
                if code in (_VANISH, _DELETED) and operand[:1] in (b"\x01", b"\x81"):
                    found.append((start, end, HIDDEN))
                elif code == _SYMBOL and len(operand) == 4:
                    found.append((start, end, f"{_u16(operand, 2):04X}"))
        return sorted(found)

    def _properties(self, index: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield the runs of bytes with their properties, page by page (2.9.33, 2.9.174)."""
        _, pages = self.positions(index, 4)
        for number in pages[: len(self._main) // _PAGE + 1]:
            base = (_u32(number, 0) & 0x3FFFFF) * _PAGE
            page = self._main[base : base + _PAGE]
            if len(page) < _PAGE:
                continue
            step = 13 if index == PARAGRAPHS else 1
            count = min(page[511], (_PAGE - 5) // (4 + step))
            for n in range(count):
                at = 2 * page[4 * (count + 1) + n * step]
                if not at:
                    data = b""
                elif index == CHARACTERS:
                    data = page[at + 1 : at + 1 + page[at]]
                elif page[at]:
                    data = page[at + 1 : at + 2 * page[at]]
                else:
                    data = page[at + 2 : at + 2 + 2 * page[min(at + 1, 511)]]
                yield _u32(page, 4 * n), _u32(page, 4 * n + 4), data


def sprms(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the properties in a list of them: their codes and operands (2.2.5)."""
    at = 0
    while at + 2 < len(data):
        code = _u16(data, at)
        at += 2
        size = _OPERANDS[code >> 13]
        if not size:
            size = data[at]
            at += 1
            if code == _DEFINE_TABLE and at < len(data):
                size = (size | data[at] << 8) - 1
                at += 1
            elif code == _CHANGE_TABS and size == 255:
                return
        yield code, data[at : at + max(size, 0)]
        at += max(size, 0)


def without_fields(text: str) -> str:
    """Return a text without the codes of fields and without control characters."""
    return _CONTROL.sub("", _FIELD_CODE.sub("", text).replace("\x0b", "\n"))


def _without_hidden(text: str, offset: int, width: int, hidden: list[tuple[int, int, str]]) -> str:
    """Blank what is not shown in a piece, and put in symbols; marks of paragraphs stay."""
    pieces: list[str] = []
    done = 0
    first = max(0, bisect_right(hidden, (offset, 0, "")) - 1)
    for start, end, instead in hidden[first:]:
        if start >= offset + len(text) * width:
            break
        begin = max((start - offset) // width, done)
        stop = min((end - offset) // width, len(text))
        if begin >= stop:
            continue
        pieces.append(text[done:begin])
        if instead == HIDDEN:
            pieces.append(re.sub("[^\r\x07\x0c\x13\x14\x15]", HIDDEN, text[begin:stop]))
        else:
            pieces.append(chr(int(instead, 16)) * (stop - begin))
        done = stop
    return "".join([*pieces, text[done:]])


def _aligned(text: str, data: bytes, width: int) -> str:
    """Give each two bytes one character, also where a pair of them makes one."""
    if len(text) * width == len(data) or width == 1:
        return text
    units = struct.unpack(f"<{len(data) // 2}H", data[: len(data) // 2 * 2])
    return "".join(chr(unit) for unit in units)


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")
