"""The parts of a page that was read: running text and tables, in reading order.

Knows where tables stand among the text; nothing of how either was found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby, pairwise

from indexers.parsing.content import Part
from indexers.parsing.ocr.columns import aligned_tables
from indexers.parsing.ocr.joining import joined_lines, joined_words
from indexers.parsing.ocr.page import Page, RuledTable, place
from indexers.parsing.ocr.paragraphs import text_parts, usual_height
from indexers.parsing.ocr.ruling import Cell, Grid
from indexers.parsing.ocr.words import Word, certainty
from indexers.parsing.tabular import markdown_table

_LEAST_SURE = 50.0
"""Of a line; less is dust, or strokes of a drawing."""
_CERTAIN = 80.0
"""Of a word of some letters; with one of them, a line is none of dust."""
_LEADERS = ".,·…_-eco"
_STROKES = "|_=~-–—.,:;'‘’`/\\<>^*°«»"
_LEAST_SURE_MARK = 70.0
"""Of what is only strokes."""
_LONGEST_REPEATED = 80
"""Characters of a cell that is repeated in each row that it spans."""


def page_parts(page: Page) -> list[Part]:
    """Return the parts of a page; they have no places."""
    words = _without_noise(page.words)
    aligned = [] if page.model.vertical else aligned_tables(words)
    placed: list[tuple[float, Part]] = []
    for table in aligned:
        text = markdown_table(table.rows, headers=table.headers)
        placed.append((min(table.words) - 0.5, Part("table", text)))
    for ruled in page.tables:
        grid = ruled.grid
        at = place(grid.left, grid.top, grid.right, words) - 0.5
        placed += [(at, part) for part in _ruled(ruled)]
    used = frozenset[int]().union(*(table.words for table in aligned))
    usual = usual_height(words)
    for segment in _segments(words, used, [at for at, _ in placed]):
        placed += text_parts(segment, usual)
    return [part for _, part in sorted(placed, key=lambda item: item[0])]


def _segments(
    words: Sequence[Word], used: frozenset[int], cuts: Sequence[float]
) -> list[list[tuple[int, Word]]]:
    """Cut the words where tables stand, and leave out those of tables; they keep their numbers."""
    edges = [0, *sorted({math.ceil(cut) for cut in cuts}), len(words)]
    return [
        [(number, words[number]) for number in range(start, end) if number not in used]
        for start, end in pairwise(edges)
    ]


def _without_noise(words: Sequence[Word]) -> list[Word]:
    """Leave out what Tesseract itself hardly believes; single letters of good lines stay."""
    kept: list[Word] = []
    for _, line in groupby(words, key=lambda word: (word.block, word.paragraph, word.line)):
        found = list(line)
        if certainty(found)[0] >= _LEAST_SURE or any(map(_is_certain, found)):
            first = found[0]
            kept += [w for w in found if not _is_noise(w) or (w is first and len(w.text) == 1)]
    return kept


def _is_certain(word: Word) -> bool:
    return word.confidence >= _CERTAIN and sum(map(str.isalnum, word.text)) >= 3


def _is_noise(word: Word) -> bool:
    """Whether it is strokes without a letter, or dots that lead to a page number."""
    if not word.text.strip(_STROKES):
        return word.confidence < _LEAST_SURE_MARK
    return word.confidence < _LEAST_SURE and not word.text.strip(_LEADERS)


def _ruled(table: RuledTable) -> list[Part]:
    """Write a ruled table; what spans all columns at its top stands above it."""
    grid = table.grid
    titles, first = [], 0
    for cell in grid.cells:
        if cell.row != first or cell.columns < grid.columns:
            break
        titles.append(_text(table, cell, grid))
        first += cell.rows
    rows = [[""] * grid.columns for _ in range(grid.rows)]
    for cell in grid.cells:
        text = _text(table, cell, grid)
        down = cell.rows if len(text) <= _LONGEST_REPEATED else 1
        for row in range(cell.row, cell.row + down):
            rows[row][cell.column : cell.column + cell.columns] = [text] * cell.columns
    body = rows[first:]
    parts = [Part("paragraph", title) for title in titles if title]
    if body:
        headers = _headers([cell for cell in grid.cells if cell.row == first], len(body))
        kept = [row for n, row in enumerate(body) if n < headers or any(row)]
        parts.append(Part("table", markdown_table(kept, headers=headers)))
    return parts


def _text(table: RuledTable, cell: Cell, grid: Grid) -> str:
    """Return what stands in a cell; its lines are joined."""
    found = table.cells.get(grid.cells.index(cell), ())
    lines: dict[tuple[int, int, int], list[str]] = {}
    for word in found:
        lines.setdefault((word.block, word.paragraph, word.line), []).append(word.text)
    return joined_lines(joined_words(line) for line in lines.values())


def _headers(cells: Sequence[Cell], rows: int) -> int:
    """Return how many rows the header has: more than one where cells of its first span columns."""
    deepest = max(cell.rows for cell in cells)
    spanning = all(cell.columns > 1 for cell in cells if cell.rows < deepest)
    return deepest if spanning and deepest < rows else 1
