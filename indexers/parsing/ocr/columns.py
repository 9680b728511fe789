"""Tables without ruled lines: short pieces of text that stand in rows and columns.

Knows rows of pieces; nothing of pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean, median

import numpy as np

from indexers.parsing.ocr.joining import joined_words
from indexers.parsing.ocr.pieces import PROSE_WORDS, Piece, Row, regions
from indexers.parsing.ocr.words import Word

_GUTTER = 0.5
_CROSSED = 0.25
"""Share of the rows that may have something in a gutter: headings that span columns."""
_HEADINGS = 2
"""First rows whose cells may span columns."""
_FEWEST_ROWS = 3
_CUTS = 4
_WIDER = 1.3
_FILLED = 0.5
_LEADERS = ".·…•_- "


@dataclass(frozen=True, slots=True)
class AlignedTable:
    """Rows of cells, and the numbers of the words that they are made of."""

    rows: list[list[str]]
    headers: int
    words: frozenset[int]


def aligned_tables(words: Sequence[Word]) -> list[AlignedTable]:
    """Find the tables among the words of a page."""
    if not words:
        return []
    height = float(np.percentile([word.height for word in words], 75))
    tables: list[AlignedTable] = []
    left = [(rows, _CUTS) for rows in regions(words, height)]
    while left:
        region, cuts = left.pop()
        rows = _trimmed(region)
        if sum(len(row.pieces) > 1 for row in rows) < _FEWEST_ROWS:
            continue
        table = _table(rows, words, height)
        if table is not None:
            tables.append(table)
        elif cuts:
            left += [(half, cuts - 1) for half in _halves(rows)]
    return tables


def _trimmed(rows: list[Row]) -> list[Row]:
    """Leave out what stands alone above and below: titles and notes."""
    several = [number for number, row in enumerate(rows) if len(row.pieces) > 1]
    return rows[several[0] : several[-1] + 1] if several else []


def _halves(rows: list[Row]) -> list[list[Row]]:
    """Cut the rows at the widest gap, in case that two tables stand below each other."""
    if len(rows) < 2 * _FEWEST_ROWS:
        return []
    gaps = [below.middle - above.middle for above, below in pairwise(rows)]
    at = int(np.argmax(gaps))
    return [rows[: at + 1], rows[at + 1 :]] if gaps[at] > _WIDER * median(gaps) else []


def _table(rows: list[Row], words: Sequence[Word], height: float) -> AlignedTable | None:
    """Make a table of rows; None when they have no columns in common."""
    columns = _columns([row for row in rows if len(row.pieces) > 1], height)
    if len(columns) < 2:
        return None
    cells = [_cells(row, columns, words) for row in rows]
    filled = [[bool(cell) for cell in row] for row in cells]
    if mean(mean(row) for row in filled) < _FILLED or _runs_on(rows, columns):
        return None
    if sum(_crosses(row, columns) for row in rows[_HEADINGS:]) > _CROSSED * len(rows):
        return None
    texts = [row for row in cells if any(row)]
    members = frozenset(n for row in rows for piece in row.pieces for n in piece.words)
    return AlignedTable(_unwrapped(texts), _headers(texts), members)


def _columns(rows: list[Row], height: float) -> list[tuple[int, int]]:
    """Return where the columns begin and end: between gutters that hardly any row crosses."""
    right = max(piece.right for row in rows for piece in row.pieces)
    change = np.zeros(right + 2, dtype=np.int64)
    for row in rows:
        for piece in row.pieces:
            change[piece.left] += 1
            change[piece.right] -= 1
    inside = np.cumsum(change) > int(_CROSSED * len(rows))
    edges = np.diff(np.concatenate(([0], inside.astype(np.int8), [0])))
    spans = zip(
        np.nonzero(edges == 1)[0].tolist(), np.nonzero(edges == -1)[0].tolist(), strict=True
    )
    columns: list[tuple[int, int]] = []
    for start, end in spans:
        if columns and start - columns[-1][1] < _GUTTER * height:
            columns[-1] = (columns[-1][0], end)
        else:
            columns.append((start, end))
    return columns


def _cells(row: Row, columns: list[tuple[int, int]], words: Sequence[Word]) -> list[str]:
    """Put the pieces of a row into columns; what spans several columns stands in each."""
    cells: list[list[str]] = [[] for _ in columns]
    for piece in row.pieces:
        text = joined_words(words[number].text for number in piece.words)
        if text.strip(_LEADERS):
            for column in _spanned(piece, columns):
                cells[column].append(text)
    return [" ".join(cell) for cell in cells]


def _spanned(piece: Piece, columns: list[tuple[int, int]]) -> list[int]:
    """Return the columns that a piece covers a part of, or else the nearest one."""
    found = [
        number
        for number, (start, end) in enumerate(columns)
        if min(end, piece.right) - max(start, piece.left) > 0.3 * (end - start)
    ]
    middle = (piece.left + piece.right) / 2
    nearest = min(range(len(columns)), key=lambda n: abs(middle - sum(columns[n]) / 2))
    return found or [nearest]


def _crosses(row: Row, columns: list[tuple[int, int]]) -> bool:
    return any(len(_spanned(piece, columns)) > 1 for piece in row.pieces)


def _runs_on(rows: list[Row], columns: list[tuple[int, int]]) -> bool:
    """Whether it is rather text in columns: most pieces have many words and fill their column."""
    pieces = [piece for row in rows for piece in row.pieces]
    widths = [
        max((end - start for start, end in columns if start <= p.left < end), default=1)
        for p in pieces
    ]
    full = [
        len(piece.words) >= PROSE_WORDS and piece.right - piece.left >= 0.7 * width
        for piece, width in zip(pieces, widths, strict=True)
    ]
    return mean(full) > 0.5


def _unwrapped(rows: list[list[str]]) -> list[list[str]]:
    """Join a row to the one above when it only continues some of its cells."""
    done: list[list[str]] = []
    for row in rows:
        goes_on = (
            len(done) > 1
            and not row[0]
            and all(above for above, cell in zip(done[-1], row, strict=True) if cell)
            and not any(_is_number(cell) for cell in row)
        )
        if goes_on:
            done[-1] = [f"{a} {b}".strip() for a, b in zip(done[-1], row, strict=True)]
        else:
            done.append(row)
    return done


def _headers(rows: list[list[str]]) -> int:
    """Tell whether the first row is a header: no numbers but years where the others have some."""
    first, below = rows[0], rows[1:]
    numeric = [
        column
        for column in range(len(first))
        if mean(_is_number(row[column]) for row in below) >= 0.5
    ]
    if not numeric:
        return int(len(first) > 2)
    return int(all(not _is_number(first[c]) or _is_year(first[c]) for c in numeric))


def _is_number(cell: str) -> bool:
    digits = sum(map(str.isdigit, cell))
    return digits > 0 and digits >= sum(map(str.isalpha, cell))


def _is_year(cell: str) -> bool:
    return cell.isdigit() and 1800 <= int(cell) <= 2200
