"""The parts that show a sheet: a heading, tables with the places of their cells, texts.

Knows how regions of cells become parts; nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from indexers.parsing.content import Part
from indexers.parsing.office.cells import Row, bounded
from indexers.parsing.office.regions import Region, regions
from indexers.parsing.tabular import markdown_table
from rag.types import Place

MAX_ROWS = 500
"""Of one part; the header stands in each."""
MAX_CHARACTERS = 100_000
"""Of the cells of one part, about."""
MAX_HEAD = 10_000
"""Characters: a longer header is not repeated."""
MAX_EMPTY = 20
"""A region with more empty cells for each one that is not is no table."""


def sheet_parts(name: str, number: int, rows: Iterable[Row]) -> Iterator[Part]:
    """Yield the parts of a sheet; none where it is empty. `number`: 1 is the first sheet."""
    label = " ".join(name.split())
    place = Place(0, "sheet", number, label)
    is_first = True
    for region in regions(bounded(rows)):
        if is_first:
            yield Part("heading", f"# {label or number}", 1, label or str(number), (place,))
            is_first = False
        cells = sum(len(row.cells) for row in region.rows)
        area = len(region.rows) * (region.right - region.left + 1)
        if region.is_table and area <= cells * MAX_EMPTY:
            yield from _table_parts(region, place)
        else:
            yield from _text_parts(region, place)


def _at(place: Place, start: int, row: Row, left: int, right: int) -> Place:
    return Place(start, place.kind, place.number, place.label, row.number, left, right - left + 1)


def _text_parts(region: Region, place: Place) -> Iterator[Part]:
    """Yield rows as lines of text, each as long as what stands in it."""
    for rows in _pieces(region.rows):
        lines = [" | ".join(_shown(row)) for row in rows]
        places = (_at(place, 0, rows[0], region.left, region.right),)
        yield Part("paragraph", "\n".join(lines), places=places)


def _shown(row: Row) -> list[str]:
    return [
        " ".join(row.cells[column].split())
        for column in sorted(row.cells)
        if column not in row.repeated
    ]


def _table_parts(region: Region, place: Place) -> Iterator[Part]:
    head = [*region.head, *region.rows[: region.headers]]
    columns = range(region.left, region.right + 1)
    is_next = bool(region.head)
    for rows in _pieces(region.rows[region.headers :]):
        if is_next and sum(len(text) for row in head for text in row.cells.values()) > MAX_HEAD:
            head = []
        is_next = True
        texts = [[row.cells.get(column, "") for column in columns] for row in [*head, *rows]]
        text = markdown_table(texts, headers=len(head))
        body = text.find("\n", text.find("\n") + 1) + 1
        first = (head or rows)[0]
        places = [_at(place, 0, first, region.left, region.right)]
        if rows and body:
            places.append(_at(place, body, rows[0], region.left, region.right))
        yield Part("table", text, places=tuple(places))


def _pieces(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Cut many rows into pieces for one part each; at least one."""
    start, size = 0, 0
    for number, row in enumerate(rows):
        size += sum(map(len, row.cells.values())) + len(row.cells)
        if number + 1 - start >= MAX_ROWS or size > MAX_CHARACTERS:
            yield rows[start : number + 1]
            start, size = number + 1, 0
    if start < len(rows) or not rows:
        yield rows[start:]
