"""Rows to paragraphs, items and code.

Knows spacing, indents and lines that end early; nothing of headings' levels, columns or tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from indexers.parsing.pdf.elements import Element, Kind
from indexers.parsing.pdf.fonts import Look
from indexers.parsing.pdf.joining import Vocabulary, joined_lines
from indexers.parsing.pdf.lists import is_bullet, is_item
from indexers.parsing.pdf.rows import Row

_WIDER = 1.22
"""Of the pitch of lines: more begins a paragraph."""
_NORMAL_PITCH = 1.3
"""Of the height of a line, where nothing tells the pitch."""
_OTHER_SIZE = 0.08
_QUITE_OTHER_SIZE = 0.25
_INDENT = 0.8
_SPACE = 0.3
_FULL = 0.12
_CENTRED = 3.0
_AROUND = 3
_MAX_COLUMN = 400
_BLANKS = 2.2
"""Letters that a gap in code must be wide to be more than one blank."""
_ENDS = '.:!?。！？：”"'


@dataclass(slots=True)
class Block:
    """Rows of one look that follow each other closely."""

    rows: list[Row]
    look: Look
    is_bold: bool
    right: float
    """Where the column ends."""
    rights: dict[int, float] = field(default_factory=dict)
    """For rows of a long block: where those around end, as text may run around a picture."""

    @property
    def left(self) -> float:
        return min(row.x0 for row in self.rows)


def blocks(rows: Sequence[Row], body: Look) -> Iterator[Block]:
    """Group rows by spacing and look."""
    if not rows:
        return
    right = max(row.x1 for row in rows)
    pitch = _pitch(rows, right)
    current: Block | None = None
    for row in rows:
        look, is_bold = row_look(row), all(s.look.bold for s in row.stretches)
        if current is not None and (
            _is_apart(current.rows[-1], row, pitch)
            or _is_other(current, row, look, is_bold=is_bold)
            or (look.mono != current.look.mono and not body.mono)
        ):
            yield current
            current = None
        if current is None:
            current = Block([], look, is_bold, right)
        current.rows.append(row)
    if current is not None:
        yield current


def _is_other(block: Block, row: Row, look: Look, *, is_bold: bool) -> bool:
    """Whether a row looks unlike the block before it, and is not the rest of its sentence."""
    change = abs(look.size - block.look.size) / block.look.size
    goes_on = row.text[:1].islower() and block.rows[-1].text[-1:] not in _ENDS
    if goes_on and not block.is_bold:
        return change > _QUITE_OTHER_SIZE
    return change > _OTHER_SIZE or is_bold != block.is_bold


def elements(block: Block, body: Look, vocabulary: Vocabulary) -> Iterator[Element]:
    """Yield what a block is made of."""
    left = block.left
    if len(block.rows) > 2:
        ends = [row.x1 for row in block.rows]
        for i, row in enumerate(block.rows):
            block.rights[id(row)] = max(ends[max(0, i - _AROUND) : i + _AROUND + 1])
    if block.look.mono and not body.mono and len(block.rows) > 1:
        yield Element("code", _code(block), block.look, len(block.rows), x0=left)
        return
    group: list[Row] = []
    for row in block.rows:
        if group and _begins(group, row, block, left):
            yield _element(group, block, vocabulary)
            group = []
        group.append(row)
    yield _element(group, block, vocabulary)


def row_look(row: Row) -> Look:
    """Return the look of most of a row."""
    return max(row.stretches, key=lambda s: len(s.text)).look


def _element(group: Sequence[Row], block: Block, vocabulary: Vocabulary) -> Element:
    texts = [row.text for row in group]
    kind: Kind = "item" if is_item(texts[0]) else "prose"
    runs: list[list[str]] = [[]]
    for i, text in enumerate(texts):
        if i and kind == "prose" and _ends_early(group[i - 1], group[i], block):
            runs.append([])
        runs[-1].append(text)
    text = "\n".join(joined_lines(run, vocabulary) for run in runs)
    return Element(kind, text, block.look, len(group), block.is_bold, group[0].x0)


def _begins(group: Sequence[Row], row: Row, block: Block, left: float) -> bool:
    """Whether a row begins a paragraph or an item."""
    above = group[-1]
    slack = _INDENT * row.height
    if is_item(row.text):
        return (
            is_item(group[0].text)
            or is_bullet(row.text)
            or abs(row.x0 - above.x0) > slack
            or _ends_early(above, row, block)
        )
    if is_item(group[0].text):
        return row.x0 < group[0].x0 + _SPACE * row.height and _ends_early(above, row, block)
    ends_early = _ends_early(above, row, block)
    is_centred = abs(row.x0 + row.x1 - above.x0 - above.x1) < 2 * _CENTRED
    if not is_centred and row.x0 - above.x0 > slack:
        if len(group) > 1 or group[0].x0 - left >= slack or ends_early:
            return True
    elif not is_centred and ends_early and row.x0 - left < slack <= above.x0 - left:
        return True
    return (
        ends_early
        and above.text[-1:] in _ENDS
        and (len(group) > 1 or row.x0 - left >= slack)
        and not _is_ragged(block)
    )


def _is_ragged(block: Block) -> bool:
    """Whether few rows reach the right edge: then a short one tells nothing."""
    right = max(row.x1 for row in block.rows) if len(block.rows) > 2 else block.right
    reach = right - _FULL * (right - block.left)
    return 2 * sum(1 for row in block.rows if row.x1 > reach) < len(block.rows)


def _ends_early(row: Row, following: Row, block: Block) -> bool:
    """Whether the first word of the next row would have had room at the end of this one."""
    if row.text.endswith(("-", "\u00ad")):
        return False
    first = following.stretches[0].words[0]
    right = block.rights.get(id(row), block.right)
    return right - row.x1 > (first.x1 - first.x0) + 2 * _SPACE * row.height


def _is_apart(above: Row, row: Row, pitch: float) -> bool:
    distance = _distance(above, row)
    return distance < 0 or distance > _WIDER * max(pitch, (above.height + row.height) * 0.45)


def _distance(above: Row, below: Row) -> float:
    """Return how far two rows are from each other; indices make rows taller on one side only."""
    return min(below.y0 - above.y0, below.y1 - above.y1)


def _pitch(rows: Sequence[Row], right: float) -> float:
    """Return how far lines of one paragraph are from each other, by their middles.

    Only a line that reaches the right edge surely goes on in the next one.
    """
    reach = right - _FULL * (right - min(row.x0 for row in rows))
    normal = _NORMAL_PITCH * median(row.height for row in rows)
    steps = [_distance(above, below) for above, below in pairwise(rows) if above.x1 > reach]
    steps = [step for step in steps if 0 < step < 2 * normal]
    return median(steps) if len(steps) > 1 else normal


def _code(block: Block) -> str:
    """Return lines of letters of one width, with the blanks at their beginning and in them."""
    stretches = [stretch for row in block.rows for stretch in row.stretches]
    letter = median((s.x1 - s.x0) / len(s.text) for s in stretches) or 1.0
    left = block.left
    lines = []
    for row in block.rows:
        line, end = "", left
        for stretch in row.stretches:
            column = min(round((stretch.x0 - left) / letter), _MAX_COLUMN)
            if stretch.x0 - end > _BLANKS * letter and len(line) < column:
                line = line.ljust(column)
            elif line:
                line += " "
            line, end = line + stretch.text, stretch.x1
        lines.append(line)
    return "\n".join(lines)
