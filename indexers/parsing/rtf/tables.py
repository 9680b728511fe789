"""Tables of RTF: rows that each say on their own where their cells end.

Knows merged cells, in both ways in which they are written, and header rows; nothing of text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from indexers.parsing.content import Part
from indexers.parsing.tabular import markdown_table

MAX_ROWS = 500
"""Of one part."""
MAX_CELLS = 500
"""Of one row."""
TOLERANCE = 30
"""Twips by which edges may differ that are the same to the eye."""


@dataclass(slots=True)
class Row:
    """A row while it is read: its definition, and its cells."""

    edges: list[int] = field(default_factory=list)
    """Right edges of the cells, in twips."""
    merged: list[str] = field(default_factory=list)
    """Per cell: `left` or `above` when it continues that cell, else empty."""
    is_header: bool = False
    cells: list[str] = field(default_factory=list)
    next_merged: str = ""
    """Of the cell whose edge comes next."""

    def add_edge(self, edge: int) -> None:
        """Finish the definition of a cell."""
        if len(self.edges) < MAX_CELLS:
            self.edges.append(edge)
            self.merged.append(self.next_merged)
        self.next_merged = ""

    def add_cell(self, text: str) -> None:
        """Add the text of the next cell."""
        if len(self.cells) < MAX_CELLS:
            self.cells.append(text)

    def following(self) -> Row:
        """Return a row of the same definition, which need not be repeated."""
        return Row(self.edges, self.merged, self.is_header)


def table_parts(rows: list[Row]) -> Iterator[Part]:
    """Write a table; a long one in several parts, each with the header."""
    rows = [row for row in rows if any(row.cells)]
    headers = 0
    while headers < len(rows) and rows[headers].is_header:
        headers += 1
    headers = max(1, headers if headers < len(rows) else 1)
    lines = _aligned(rows, headers)
    top, body = lines[:headers], lines[headers:]
    for start in range(0, max(1, len(body)), MAX_ROWS):
        if text := markdown_table([*top, *body[start : start + MAX_ROWS]], headers=headers):
            yield Part("table", text)


def _aligned(rows: list[Row], headers: int) -> list[list[str]]:
    """Bring cells into columns: those that span several are repeated, bands stand once."""
    known = bool(rows) and all(len(row.edges) == len(row.cells) for row in rows)
    edges = _columns(rows) if known else []
    lines: list[list[str]] = []
    for number, row in enumerate(rows):
        above = lines[-1] if lines else []
        line = _with_merged(row, edges, above, is_band=number >= headers and len(row.cells) == 1)
        lines.append(line)
    return lines


def _columns(rows: list[Row]) -> list[int]:
    """Return the edges of all rows, each once; none where all rows have the same."""
    if len({tuple(row.edges) for row in rows}) == 1:
        return []
    edges: list[int] = []
    for edge in sorted({edge for row in rows for edge in row.edges}):
        if not edges or edge - edges[-1] > TOLERANCE:
            edges.append(edge)
    return edges if len(edges) <= MAX_CELLS else []


def _with_merged(row: Row, edges: list[int], above: list[str], *, is_band: bool) -> list[str]:
    line: list[str] = []
    for i, cell in enumerate(row.cells):
        merged = row.merged[i] if i < len(row.merged) and not cell else ""
        if merged == "left" and line and not is_band:
            cell = line[-1]
        elif merged == "above" and len(line) < len(above):
            cell = above[len(line)]
        line.append(cell)
        while edges and len(line) < len(edges) and edges[len(line)] <= row.edges[i] + TOLERANCE:
            line.append("" if is_band else cell)
    return line
