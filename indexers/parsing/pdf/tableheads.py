"""Where the header of a table ends and its rows begin.

Knows what stands over columns of values; nothing of how the header's cells are written.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from statistics import median

from indexers.parsing.pdf.bands import Bands
from indexers.parsing.pdf.cells import Cell
from indexers.parsing.pdf.columns import overlap
from indexers.parsing.pdf.grouping import Interval, Line, is_prose
from indexers.parsing.pdf.heads import is_period

_GAP = 1.3
"""Of the height of a line: how far from each other the lines of a header may be."""
_MAX_WORDS = 14
_LARGER = 1.12
_MAX_LABELS = 4
_OVER = 1.5
_NEAR = 20.0
_EDGE = 3.0
_CENTRED = 0.04
_INDENT = 3


def divided(lines: Sequence[Line], first: int, end: int) -> list[tuple[int, int]]:
    """Cut a group of rows before each header that stands among them."""
    cuts = [first]
    edge = None
    for i in range(first, end):
        line = lines[i]
        if line.has_values and line.is_multi:
            edge = min(line.cells[1].x0, edge if edge is not None else line.cells[1].x0)
        elif edge is not None and i + 1 < end and _is_header(line, edge):
            start = i
            left = min(above.cells[0].x0 for above in lines[cuts[-1] : i])
            while start - 1 > cuts[-1] and _goes_on(lines[start - 1], left):
                start -= 1
            cuts.append(start)
            edge = None
    return [
        (start, _last_cells(lines, start, stop))
        for start, stop in zip(cuts, [*cuts[1:], end], strict=True)
    ]


def value_columns(lines: Sequence[Line], columns: Sequence[Interval]) -> set[int]:
    """Return the columns that mostly hold values."""
    values, others = [0] * len(columns), [0] * len(columns)
    for line in lines:
        if not line.has_values:
            continue
        for cell in line.cells:
            for k in _over(cell.core, cell.x1, columns):
                (values if cell.is_value else others)[k] += 1
    return {k for k, count in enumerate(values) if count and count >= others[k]}


def body_start(
    lines: Sequence[Line],
    first: int,
    end: int,
    taken: int,
    columns: Sequence[Interval],
    bands: Bands,
) -> int:
    """Return the first row below the header; there may be labels before the values."""
    valued = value_columns(lines[first:end], columns)
    start = next(i for i in range(first, end) if lines[i].has_values)
    while start > first and not _stands_over(lines[start - 1], columns, valued):
        start -= 1
    above = start
    while (
        above - 1 >= max(taken, start - _MAX_LABELS)
        and not _stands_over(lines[above - 1], columns, valued)
        and not is_prose(lines[above - 1], [(columns[0][1], columns[-1][0])])
        and lines[above].y0 - lines[above - 1].y1 <= _GAP * lines[above].height
    ):
        above -= 1
        line = lines[above]
        if bands.shade((line.y0 + line.y1) / 2):
            start = above
    if above > taken and head_start(lines, above, taken, columns, valued, bands) < above:
        return above
    return start


def head_start(
    lines: Sequence[Line],
    body: int,
    taken: int,
    columns: Sequence[Interval],
    valued: Set[int],
    bands: Bands,
) -> int:
    """Return where the header begins: the lines above the rows that stand over their values."""
    head = body
    while head - 1 >= taken:
        line, below = lines[head - 1], lines[head]
        reach = _GAP * max(line.height, below.height)
        if bands.within(line.y1 - 1, below.y0 + 1):
            reach *= 2
        if head < body:
            valued = set(range(1, len(columns)))
        if below.y0 - line.y1 > reach or not _is_head(line, columns, valued):
            break
        if head < body and size(lines[head - 1 : head]) > size(lines[head:body]) * _LARGER:
            break
        head -= 1
    return head


def size(lines: Sequence[Line]) -> float:
    """Return the usual size of the text."""
    return median(cell.size for line in lines for cell in line.cells)


def _stands_over(line: Line, columns: Sequence[Interval], valued: Set[int]) -> bool:
    """Whether any cell of a line stands over a column of values."""
    if len(line.cells) == 1 and line.cells[0].text.endswith(":"):
        return False
    return any(valued & set(_over(cell.x0, cell.x1, columns)) for cell in line.cells)


def _is_head(line: Line, columns: Sequence[Interval], valued: Set[int]) -> bool:
    """Whether every cell of a line could be a header of some columns."""
    if line.has_values or is_prose(line, ()) or not _stands_over(line, columns, valued):
        return False
    if any(
        (cell.x0 < columns[0][1] and cell.x1 > columns[1][0])
        or cell.words > _MAX_WORDS
        or cell.x0 > columns[-1][1]
        for cell in line.cells
    ):
        return False
    first = line.cells[0]
    return line.is_multi or is_period(first) or _is_in_line(first, columns)


def _is_in_line(cell: Cell, columns: Sequence[Interval]) -> bool:
    """Whether a cell begins or ends where some columns do, or has their middle."""
    over = _over(cell.x0, cell.x1, columns)
    lows = [columns[k][0] for k in range(1, over[0] + 1)]
    highs = [columns[k][1] for k in range(over[-1], len(columns))]
    return any(
        abs((low + high) / 2 - cell.middle) <= max(_EDGE, _CENTRED * (high - low))
        for low in lows
        for high in highs
    ) or (abs(columns[over[0]][0] - cell.x0) < _EDGE or abs(highs[0] - cell.x1) < _EDGE)


def _is_header(line: Line, edge: float) -> bool:
    """Whether a line among rows of values is of a header: periods, or bold without a label.

    `edge`: where the values of the rows above begin.
    """
    if line.has_values or not line.is_multi:
        return False
    periods = [cell for cell in line.cells if is_period(cell)]
    if len(periods) > 1 and len(periods) >= len(line.cells) / 2:
        return True
    is_bold = all(cell.bold for cell in line.cells)
    return is_bold and line.cells[0].x0 > edge - _INDENT * line.height


def _goes_on(line: Line, left: float) -> bool:
    """Whether a line is of the header that goes on below it: it has no label, at the left."""
    return not line.has_values and line.cells[0].x0 > left + _INDENT * line.height


def _last_cells(lines: Sequence[Line], start: int, stop: int) -> int:
    """Return the end of the last line with several cells."""
    return next((i for i in range(stop, start, -1) if lines[i - 1].is_multi), start)


def _over(x0: float, x1: float, columns: Sequence[Interval]) -> list[int]:
    """Return the columns that a cell lies over, else the one that it is near to."""
    shared = [overlap((x0, x1), column) for column in columns]
    over = [k for k, points in enumerate(shared) if points > _OVER]
    if over:
        return over
    nearest = max(range(len(columns)), key=lambda k: shared[k])
    return [nearest] if shared[nearest] > -_NEAR else []
