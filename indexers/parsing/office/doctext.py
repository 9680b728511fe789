"""The text of a binary Word document, paragraph by paragraph ([MS-DOC] 2.4).

Knows fields, notes, comments and tables; nothing of where they lie in the file.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, takewhile
from typing import NamedTuple

from indexers.parsing.office.counting import marker
from indexers.parsing.office.docbinary import HIDDEN, Paragraph, WordFile, sprms
from indexers.parsing.office.docstyles import Lists, Styles, changed
from indexers.parsing.office.grouping import Line, plain_line
from indexers.parsing.office.tables import Cell, is_layout, spanning, table_lines

MAX_CODE = 100
SAME_EDGE = 40
"""Twentieths of a point: edges of cells that differ less are one edge of the table."""
_IN_TABLE, _ROW_END, _HEADER_ROW, _DEFINE_TABLE = 0x2416, 0x2417, 0x3404, 0xD608
_CELL_END = "\x07"
_SPECIAL = re.compile("[\x00-\x08\x0b-\x1f]")
_SHOWN = {"\x0b": "\n", "\x0e": "\n", "\x1e": "-"}
_PAGE_NUMBERS = frozenset({"PAGE", "NUMPAGES", "SECTIONPAGES"})
_TC = 20
_LEVEL_INDENT = 1000


class _Row(NamedTuple):
    cells: list[list[Line]]
    edges: list[int]
    """Of the cells from left to right, one more than there are; none where they are unknown."""
    flags: list[int]
    is_header: bool


class DocText:
    """Turns paragraphs into lines; keeps track of fields, which may span several."""

    def __init__(
        self,
        file: WordFile,
        styles: Styles,
        lists: Lists,
        asides: Mapping[int, tuple[str, Line]],
        *,
        is_margin: bool = False,
    ) -> None:
        """`asides`: what is shown at the position of a note or comment, and its line."""
        self._file, self._styles, self._lists, self._asides = file, styles, lists, asides
        self._is_margin = is_margin
        self._fields: list[str | None] = []
        """The codes of the open fields, None for those that show their results."""
        self._codes = 0
        self._met: list[Line] = []
        self._has_page_number = False
        self.title: str | None = None

    def lines(self, start: int, end: int) -> Iterator[Line]:
        """Yield the lines between two positions."""
        rows: list[_Row] = []
        cells: list[list[Line]] = []
        cell: list[Line] = []
        for paragraph in self._file.paragraphs(start, end):
            has = dict(sprms(paragraph.properties))
            if paragraph.mark != _CELL_END and has.get(_IN_TABLE, b"\0")[:1] == b"\0":
                yield from _table(rows)
                rows, cells, cell = [], [], []
                yield self._line(paragraph)
                yield from self._pending()
            elif has.get(_ROW_END, b"\0")[:1] != b"\0":
                rows.append(_row(cells, has))
                cells, cell = [], []
            else:
                cell.append(self._line(paragraph))
                if paragraph.mark == _CELL_END:
                    cells.append(cell)
                    cell = []
        if cells or cell:
            rows.append(_Row([*cells, cell] if cell else cells, [], [], False))
        yield from _table(rows)
        yield from self._pending()

    def _pending(self) -> Iterator[Line]:
        met, self._met = self._met, []
        yield from met

    def _line(self, paragraph: Paragraph) -> Line:
        text = self._read(paragraph).strip()
        look = changed(self._styles.look(paragraph.style), paragraph.properties)
        if self._is_margin and self._has_page_number:
            return Line("paragraph", text if sum(map(str.isalpha, text)) > 12 else "")
        label = self._lists.label(look) if look.list and text else None
        if look.is_title and not self._is_margin:
            self.title = self.title or " ".join(text.split()) or None
            return Line("heading", text, 1)
        if look.level and not self._is_margin:
            return Line("heading", f"{label or ''} {text}".strip(), look.level)
        if label is not None:
            return Line("list", text, marker=marker(label), indent=look.depth * _LEVEL_INDENT)
        return plain_line(text)

    def _read(self, paragraph: Paragraph) -> str:
        """Return what a paragraph shows: results of fields without their codes (2.8.25)."""
        pieces: list[str] = []
        done = 0
        self._has_page_number = False
        for match in _SPECIAL.finditer(paragraph.text):
            self._put(paragraph.text[done : match.start()], pieces)
            done = match.end()
            match match[0]:
                case "\x13":
                    self._fields.append("")
                    self._codes += 1
                case "\x14" if self._fields and (code := self._fields[-1]) is not None:
                    if self._is_margin and code.split()[:1] and code.split()[0] in _PAGE_NUMBERS:
                        self._has_page_number = True
                    else:
                        self._fields[-1] = None
                        self._codes -= 1
                case "\x15" if self._fields:
                    self._codes -= self._fields.pop() is not None
                case char if not self._codes:
                    shown, line = self._asides.get(paragraph.start + match.start(), ("", None))
                    pieces.append(shown or _SHOWN.get(char, ""))
                    if line is not None:
                        self._met.append(line)
        self._put(paragraph.text[done:], pieces)
        text = "".join(pieces).replace(HIDDEN, "")
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _put(self, text: str, pieces: list[str]) -> None:
        if not self._codes:
            pieces.append(text)
        elif self._fields and (code := self._fields[-1]) is not None:
            self._fields[-1] = code + text[: MAX_CODE - len(code)]


def _row(cells: list[list[Line]], has: Mapping[int, bytes]) -> _Row:
    """Return a row with what its end says of its cells (2.9.322)."""
    data = has.get(_DEFINE_TABLE, b"")
    count = data[0] if data else 0
    edges = [
        int.from_bytes(data[at : at + 2], "little", signed=True)
        for at in range(1, min(1 + 2 * (count + 1), len(data) - 1), 2)
    ]
    start = 1 + 2 * (count + 1)
    flags = [
        int.from_bytes(data[start + n * _TC : start + n * _TC + 2], "little") for n in range(count)
    ]
    is_header = has.get(_HEADER_ROW, b"\0")[:1] != b"\0"
    return _Row(cells, edges if len(edges) == len(cells) + 1 else [], flags, is_header)


def _table(rows: list[_Row]) -> Iterator[Line]:
    """Yield a table; one that only arranges text on the page as what it arranges."""
    if is_layout([[len(cell) for cell in row.cells] for row in rows]):
        for row in rows:
            yield from chain.from_iterable(row.cells)
        return
    known = _merged_edges(edge for row in rows for edge in row.edges)
    headers = sum(1 for _ in takewhile(lambda row: row.is_header, rows))
    yield from table_lines([_grid_row(row, known) for row in rows], headers or None)


def _merged_edges(edges: Iterable[int]) -> list[int]:
    found: list[int] = []
    for edge in sorted(set(edges)):
        if not found or edge - found[-1] > SAME_EDGE:
            found.append(edge)
    return found


def _grid_row(row: _Row, known: list[int]) -> list[Cell]:
    """Return the cells of a row in the grid that the edges of all rows make."""
    places = [bisect_right(known, edge) - 1 for edge in row.edges]
    grid: list[Cell] = [Cell()] * (places[0] if places else 0)
    for n, lines in enumerate(row.cells):
        text = " ".join(f"{line.marker}{line.text}" for line in lines if line.text)
        flag = row.flags[n] if n < len(row.flags) else 0
        columns = places[n + 1] - places[n] if places else 1
        if flag & 2 and not text:
            grid.extend(spanning("", columns, "left"))
        elif flag >> 5 & 3 == 1 and not text:
            grid.extend(spanning("", columns, "above"))
        else:
            grid.extend(spanning(text, columns))
    return grid
