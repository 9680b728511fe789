"""A page's rows to its elements, in the order in which they are read.

Knows how tables, columns and paragraphs come together on one page; nothing of other pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from indexers.parsing.pdf.bands import Bands, bands
from indexers.parsing.pdf.elements import Element, goes_on
from indexers.parsing.pdf.fonts import PLAIN, Look
from indexers.parsing.pdf.grids import find_grids
from indexers.parsing.pdf.gridtables import grid_table, taken
from indexers.parsing.pdf.grouping import lines
from indexers.parsing.pdf.joining import Vocabulary, joined_lines
from indexers.parsing.pdf.lists import with_lists
from indexers.parsing.pdf.marks import Marks
from indexers.parsing.pdf.notes import without_notes
from indexers.parsing.pdf.paragraphs import blocks, elements
from indexers.parsing.pdf.regions import flows
from indexers.parsing.pdf.rows import Row, regathered
from indexers.parsing.pdf.tables import find_tables
from indexers.parsing.pdf.words import Stretch

MAX_ROWS = 5_000
"""More of them on a page are a drawing, whose text has no order."""
_ORNAMENTS = "_-–—=*.·•~ \n"
"""Lines of nothing else part sections; they say nothing."""


@dataclass(slots=True)
class Page:
    """What was read of a page: its rows, and what is drawn around them."""

    number: int
    rows: list[Row]
    marks: Marks


def page_elements(
    page: Page, body: Look, vocabulary: Vocabulary
) -> tuple[list[Element], list[Element]]:
    """Return what stands on a page, and its footnotes.

    `body`: how most text of the document looks.
    """
    if len(page.rows) > MAX_ROWS:
        return [Element("prose", "\n".join(row.text for row in page.rows), body)], []
    rows = _with_grids(page.rows, page.marks)
    drawn = bands(page.marks, rows)
    found: list[list[Element]] = []
    notes: list[Element] = []
    for flow in flows(rows, drawn.rules):
        kept, below = without_notes(flow, drawn.rules, body)
        found.append(list(_flow(kept, drawn, body, vocabulary)))
        notes.extend(_flow(below, drawn, body, vocabulary))
    return with_lists(_joined(found, vocabulary)), with_lists(notes)


def _flow(
    rows: Sequence[Row], drawn: Bands, body: Look, vocabulary: Vocabulary
) -> Iterator[Element]:
    """Yield the tables of a column and what stands between them."""
    start = 0
    for i, row in enumerate([*rows, None]):
        if row is not None and row.table is None:
            continue
        yield from _aligned(rows[start:i], drawn, body, vocabulary)
        if row is not None and row.table is not None:
            yield Element("table", "", PLAIN, table=row.table, x0=row.x0)
        start = i + 1


def _aligned(
    rows: Sequence[Row], drawn: Bands, body: Look, vocabulary: Vocabulary
) -> Iterator[Element]:
    start = 0
    for found in find_tables(lines(rows, mono=body.mono), drawn):
        yield from _prose(rows[start : found.first], body, vocabulary)
        look = _look(rows[found.first])
        yield Element("table", "", look, table=found.table, x0=rows[found.first].x0)
        start = found.end
    yield from _prose(rows[start:], body, vocabulary)


def _look(row: Row) -> Look:
    return PLAIN._replace(size=row.stretches[0].look.size)


def _prose(rows: Sequence[Row], body: Look, vocabulary: Vocabulary) -> Iterator[Element]:
    for block in blocks(rows, body):
        for element in elements(block, body, vocabulary):
            if element.text.strip(_ORNAMENTS):
                yield element


def _joined(found: Sequence[Sequence[Element]], vocabulary: Vocabulary) -> list[Element]:
    """Join paragraphs that go on in the next column."""
    joined: list[Element] = []
    for column in found:
        rest = list(column)
        if joined and rest and goes_on(joined[-1], rest[0]):
            last, following = joined[-1], rest.pop(0)
            text = joined_lines([last.text, following.text], vocabulary)
            joined[-1] = replace(last, text=text, lines=last.lines + following.lines)
        joined.extend(rest)
    return joined


def _with_grids(rows: list[Row], marks: Marks) -> list[Row]:
    """Put the tables in place of the rows that stand in grids."""
    for grid in find_grids(marks):
        inside = taken(rows, grid.box)
        table = grid_table(grid, inside) if inside else None
        if table is None:
            continue
        gone = {id(stretch) for stretch in inside}
        box = grid.box
        rows = [kept for row in rows if (kept := _without(row, gone)) is not None]
        frame = Stretch(box.x0, box.y0, box.x1, box.y1, [], inside[0].order, inside[0].look)
        rows.append(Row(box.y0, box.y1, [frame], table))
        rows.sort(key=lambda row: row.y0 + row.y1 if row.table is None else 2 * row.y0)
    return rows


def _without(row: Row, gone: set[int]) -> Row | None:
    kept = [stretch for stretch in row.stretches if id(stretch) not in gone]
    return regathered(row, kept) if kept else None
