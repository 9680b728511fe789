"""Paragraphs, lists, tables and notes of an RTF document while it is read.

Knows how text and the control words of paragraphs and tables become parts; nothing of syntax and
encodings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from indexers.parsing.content import Part
from indexers.parsing.rtf.state import State
from indexers.parsing.rtf.tables import Row, table_parts
from indexers.parsing.rtf.tokens import mended

MAX_HEADING = 300
"""Characters of a heading; what is longer is text that was only set like one."""
MAX_LIST = 500
"""Lines of one part."""

_ENDS = frozenset({"par", "sect", "page", "column", "cell", "nestcell", "row", "nestrow"})
_TABLES = frozenset(
    {"trowd", "cellx", "clmrg", "clvmrg", "trhdr", "cell", "row", "nestcell", "nestrow"}
)
_SPACE = re.compile(r"[ \t\r\f\v]+")
_NUMBER = re.compile(r"(\d{1,4})[.)]?")
_LAST_LEVEL = 6


class Blocks:
    """What of the document is under way."""

    def __init__(self) -> None:
        self.done: list[Part] = []
        """Complete parts that nobody has taken yet."""
        self._text: list[str] = []
        self._outer: list[list[str]] = []
        """The paragraphs around the notes and bullets that are open."""
        self._notes: list[str] = []
        self._open_notes = 0
        self._marker = ""
        self._items: list[str] = []
        self._row = Row()
        self._rows: list[Row] = []
        self._cell: list[str] = []
        """The paragraphs of the cell under way, but for the last one."""
        self._inner_row = Row()
        self._inner_rows: list[Row] = []
        self._inner_tables: list[Part] = []
        """Tables in cells; they stand below the one around them."""

    def take(self) -> list[Part]:
        """Return the complete parts, once."""
        done, self.done = self.done, []
        return done

    def add(self, text: str) -> None:
        """Add to the paragraph under way."""
        self._text.append(text)

    def ends_text(self, word: str) -> bool:
        """Whether the text so far belongs to what the word ends."""
        return word in _ENDS

    def word(self, word: str, number: int | None, state: State, styles: Mapping[int, int]) -> None:
        """Follow a control word of paragraphs or tables; others are of no matter here."""
        match word:
            case "pard":
                state.begin_paragraph()
            case "s":
                state.style = number or 0
            case "outlinelevel":
                state.outline = number or 0
            case "intbl":
                state.in_table = True
            case "ls":
                state.in_list = bool(number)
            case "ilvl":
                state.list_level = min(8, max(0, number or 0))
            case "par" | "sect" | "page" | "column":
                if self._open_notes:
                    self._text.append("\n")
                else:
                    self._paragraph(state, styles, is_end=word == "par")
            case _ if word in _TABLES and not self._open_notes:
                self._table_word(word, number or 0)

    def begin_note(self) -> None:
        """Begin a text that stands below the paragraph under way."""
        self._open_notes += 1
        self.begin_marker()

    def end_note(self) -> None:
        """End it."""
        self._open_notes -= 1
        self._notes.append(self._ended())

    def begin_marker(self) -> None:
        """Begin the bullet or number of an item."""
        self._outer.append(self._text)
        self._text = []

    def end_marker(self) -> None:
        """End it."""
        self._marker = self._ended()

    def end(self) -> None:
        """End the document, wherever it is."""
        while self._outer:
            self.end_note()
        if self._row.cells or self._cell:
            self._table_word("row", 0)
        self._paragraph(State(), {}, is_end=True)
        self._end_list()

    def _ended(self) -> str:
        text = _clean("".join(self._text))
        self._text = self._outer.pop() if self._outer else []
        return text

    def _paragraph(self, state: State, styles: Mapping[int, int], *, is_end: bool) -> None:
        text = _clean("".join(self._text))
        if not is_end and not text:  # a page may end between two rows of a table
            return
        self._text.clear()
        if state.in_table:
            self._cell.append(text)
            return
        self._end_table()
        marker, self._marker = self._marker, ""
        level = state.outline if state.outline is not None else styles.get(state.style, 9)
        if text and level < 9 and len(text) <= MAX_HEADING:
            self._end_list()
            label = " ".join(f"{marker} {text}".split())
            level = min(_LAST_LEVEL, max(0, level) + 1)
            self.done.append(Part("heading", f"{'#' * level} {label}", level, label))
        elif text and (marker or state.in_list):
            self._item(text, marker, state.list_level)
        elif text:
            self._end_list()
            self.done.append(Part("paragraph", text))
        self._end_notes()

    def _item(self, text: str, marker: str, level: int) -> None:
        indent = "  " * level
        number = _NUMBER.fullmatch(marker)
        if number is not None:
            sign = f"{number[1]}."
        else:
            sign = f"- {marker}" if any(map(str.isalnum, marker)) else "-"
        first, *rest = text.split("\n")
        self._items.append(f"{indent}{sign} {first}")
        self._items.extend(f"{indent}  {line}" for line in rest)
        if len(self._items) >= MAX_LIST:
            self._end_list()

    def _table_word(self, word: str, number: int) -> None:
        row = self._row
        match word:
            case "trowd":  # may come a second time, after the cells
                self._row = Row(cells=row.cells)
            case "cellx":
                row.add_edge(number)
            case "clmrg":
                row.next_merged = "left"
            case "clvmrg":
                row.next_merged = "above"
            case "trhdr":
                row.is_header = True
            case "cell":
                row.add_cell("\n".join(filter(None, (*self._cell, self._taken()))))
                self._cell.clear()
                self._end_inner_table()
            case "nestcell":
                self._inner_row.add_cell(self._taken())
            case "nestrow":
                self._inner_rows.append(self._inner_row)
                self._inner_row = Row()
            case "row":
                if last := "\n".join(filter(None, (*self._cell, self._taken()))):
                    row.add_cell(last)
                    self._cell.clear()
                if row.cells:
                    self._rows.append(row)
                self._row = row.following()

    def _taken(self) -> str:
        """Return the text of a cell's last paragraph, with its bullet."""
        text = _clean("".join(self._text))
        self._text.clear()
        marker, self._marker = self._marker, ""
        return f"{marker} {text}".strip()

    def _end_list(self) -> None:
        if self._items:
            self.done.append(Part("list", "\n".join(self._items)))
            self._items = []

    def _end_inner_table(self) -> None:
        if self._inner_row.cells:
            self._inner_rows.append(self._inner_row)
        self._inner_tables.extend(table_parts(self._inner_rows))
        self._inner_row, self._inner_rows = Row(), []

    def _end_table(self) -> None:
        if self._rows:
            self._end_list()
            self.done.extend((*table_parts(self._rows), *self._inner_tables))
            self._rows, self._inner_tables = [], []
            self._end_notes()

    def _end_notes(self) -> None:
        if self._notes:
            self._end_list()
            self.done.extend(Part("paragraph", note) for note in self._notes)
            self._notes = []


def _clean(text: str) -> str:
    """Return a text with single blanks, and its surrogates in pairs."""
    lines = (_SPACE.sub(" ", line).strip(" ") for line in mended(text).split("\n"))
    return "\n".join(filter(None, lines)).replace("\0", "")
