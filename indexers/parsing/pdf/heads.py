"""The header of a table: which columns each of its cells stands over.

Knows lines under headers and centred text; nothing of the rows below.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from typing import TypeAlias

from indexers.parsing.pdf.bands import Bands
from indexers.parsing.pdf.cells import Cell, Kind
from indexers.parsing.pdf.columns import overlap
from indexers.parsing.pdf.grouping import Interval, Line
from indexers.parsing.pdf.marks import Box

Span: TypeAlias = tuple[int, int]
"""First and last column."""

_OVER = 1.5
"""Points that a cell must share with a column."""
_RULE_REACH = 3.2
"""Of the height of a line: how far below a header its line may be."""
_CENTRED = 0.03
"""Of the width of some columns: how far from their middle a cell over them may be."""
_NEAR = 3.0
_MAX_UNIT = 120
_UNIT = re.compile(
    r"\(?(?:(?:u\.?s\.? )?(?:dollars|\$|amounts|shares|numbers|figures|data|eur|usd|€)[\w ]*)?,? ?"
    r"\(?(?:in|as a) (?:\w+ ){0,2}?(?:millions?|thousands?|billions?|dollars|percent|%)[^)]*\)?",
    re.IGNORECASE,
)
_PERIODS = frozenset(
    "january february march april may june july august september october november december "
    "jan feb mar apr jun jul aug sep sept oct nov dec three six nine twelve quarter quarters year "
    "years fiscal month months q1 q2 q3 q4".split()
)


def is_period(cell: Cell) -> bool:
    """Whether a cell names a time, as headers do: `2023`, `July 1,`, `Three Months Ended`."""
    if cell.kind is Kind.YEAR:
        return True
    words = cell.text.lower().replace(",", " ").replace(".", " ").split()
    return bool(words) and words[0] in _PERIODS and len(words) <= 6


def is_unit(text: str) -> bool:
    """Whether a text says in what all values are given: `(In millions)`."""
    return len(text) <= _MAX_UNIT and _UNIT.fullmatch(text) is not None


def boxes(columns: Sequence[Interval], rules: Sequence[Box]) -> list[Interval]:
    """Return the columns as wide as the lines are that are drawn across each of them alone."""
    found = list(columns)
    for rule in rules:
        over = [
            k for k, column in enumerate(columns) if overlap(column, (rule.x0, rule.x1)) > _OVER
        ]
        if len(over) == 1:
            low, high = found[over[0]]
            found[over[0]] = (min(low, rule.x0), max(high, rule.x1))
    return found


def header(
    lines: Sequence[Line], columns: Sequence[Interval], bands: Bands
) -> tuple[list[str], str]:
    """Return the header of each column, and what is said of all (`(In millions)`).

    A cell over several columns is repeated in each.
    """
    pieces: list[list[str]] = [[] for _ in columns]
    units = []
    for i, line in enumerate(lines):
        below = lines[i + 1].y0 if i + 1 < len(lines) else None
        for cell, span in zip(line.cells, spans(line, below, columns, bands), strict=True):
            if is_unit(cell.text) and (len(line.cells) == 1 or span[1] > span[0]):
                units.append(cell.text)
                continue
            for k in range(span[0], span[1] + 1):
                pieces[k].append(cell.text)
    return [" ".join(piece) for piece in pieces], " ".join(units)


def spans(line: Line, below: float | None, columns: Sequence[Interval], bands: Bands) -> list[Span]:
    """Return for each cell of a header line the columns that it stands over.

    `below`: where the next line of the header begins, if there is one.
    """
    rules = bands.within(line.y1 - line.height / 2, line.y1 + _RULE_REACH * line.height)
    found = [_by_overlap(cell, columns) for cell in line.cells]
    for i, cell in enumerate(line.cells):
        ruled = _by_rule(cell, line.cells, columns, rules)
        over = found[i]
        if ruled is not None and (over is None or (ruled[0] <= over[0] and over[1] <= ruled[1])):
            found[i] = ruled
    underlined = below is not None and any(rule.y0 < below + line.height / 3 for rule in rules)
    sure = []
    for i, cell in enumerate(line.cells):
        taken = {k for j, other in enumerate(found) if other and j != i for k in _all(other)}
        span = found[i] or _nearest(cell, columns, taken)
        if below is not None and (underlined or is_period(cell)):
            span = _widest(cell, span, columns, taken)
        found[i] = span
        sure.append(span)
    return sure


def _all(span: Span) -> range:
    return range(span[0], span[1] + 1)


def _by_overlap(cell: Cell, columns: Sequence[Interval]) -> Span | None:
    over = [k for k, column in enumerate(columns) if overlap((cell.x0, cell.x1), column) > _OVER]
    return (over[0], over[-1]) if over else None


def _nearest(cell: Cell, columns: Sequence[Interval], taken: Set[int]) -> Span:
    free = [k for k in range(len(columns)) if k not in taken] or [0]
    best = max(free, key=lambda k: overlap((cell.x0, cell.x1), columns[k]))
    return best, best


def _by_rule(
    cell: Cell, cells: Sequence[Cell], columns: Sequence[Interval], rules: Sequence[Box]
) -> Span | None:
    """Return the columns over which the line goes that is drawn under a header."""
    for rule in rules:
        if rule.x0 > cell.x0 + 2 or rule.x1 < cell.x1 - 2:
            continue
        if any(c is not cell and overlap((c.x0, c.x1), (rule.x0, rule.x1)) > 0 for c in cells):
            return None
        over = [
            k
            for k, (low, high) in enumerate(columns)
            if overlap((low, high), (rule.x0, rule.x1)) > (high - low) / 2
        ]
        return (over[0], over[-1]) if over and over[0] > 0 else None
    return None


def _widest(cell: Cell, span: Span, columns: Sequence[Interval], taken: Set[int]) -> Span:
    """Widen a span to the most columns over whose middle the cell stands."""
    best = span
    for first in range(span[0], 0, -1):
        if first in taken:
            break
        for last in range(span[1], len(columns)):
            if last in taken:
                break
            low, high = columns[first][0], columns[last][1]
            is_centred = abs((low + high) / 2 - cell.middle) <= max(_NEAR, _CENTRED * (high - low))
            if is_centred and last - first > best[1] - best[0]:
                best = first, last
    return best
