"""Spreadsheets in the OpenDocument format (ODF 1.3 part 3, 9): cells as they are displayed.

Knows rows and cells that stand for several alike; nothing of tables in sheets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

from lxml import etree

from indexers.parsing.content import Content, Properties, Yielded
from indexers.parsing.metadata import metadata
from indexers.parsing.office.cells import MAX_COLUMNS, Merge, Merger, Row, cell_name
from indexers.parsing.office.grouping import Line, grouped
from indexers.parsing.office.odfpackage import (
    OFFICE,
    TABLE,
    TEXT,
    odf_properties,
    open_odf,
)
from indexers.parsing.office.odfruns import Runs, comment_line
from indexers.parsing.office.odfstyles import Styles
from indexers.parsing.office.sheetparts import sheet_parts
from indexers.parsing.office.wordstyles import integer
from indexers.parsing.xmlsafe import stream_xml

MAX_SHEET_BYTES = 512 << 20
MAX_COPIES = 1000
"""Of a cell or row with content that is stored once for several."""
_COVERED = f"{TABLE}covered-table-cell"
_CELLS = (f"{TABLE}table-cell", _COVERED)
_RUNS = Runs(Styles())


def parse_ods(content: Content) -> Iterator[Yielded]:
    """Yield each sheet: its name as a heading, then its tables and texts with their places.

    Raise `UnreadableDocument`: malformed, encrypted, too_large.
    """
    archive = open_odf(content)
    yield odf_properties(archive)
    number = 0
    comments: list[Line] = []
    with archive.open("content.xml", MAX_SHEET_BYTES, partial=True) as stream:
        stored = (
            (element, sheet)
            for element in stream_xml(stream, [f"{TABLE}table-row"])
            for sheet in list(element.iterancestors(f"{TABLE}table"))[-1:]
        )
        for number, (sheet, rows) in enumerate(groupby(stored, key=itemgetter(1)), 1):
            name = sheet.get(f"{TABLE}name") or ""
            yield from sheet_parts(name, number, _rows((row for row, _ in rows), comments))
            yield from grouped(comments)
            comments.clear()
    yield Properties(metadata=metadata({"sheets": number}))


def _rows(elements: Iterable[etree._Element], comments: list[Line]) -> Iterator[Row]:
    """Yield the rows of a sheet that have something in them; put its comments into a list."""
    number = 0
    merger = Merger()
    for element in elements:
        copies = max(integer(element.get(f"{TABLE}number-rows-repeated")) or 1, 1)
        cells: dict[int, str] = {}
        for column, cell in _cells(element):
            if text := _shown(cell):
                cells[column] = text
                if (merge := _merge(cell, number + 1, column)) is not None:
                    merger.add(merge, text)
            annotations = cell.iterchildren(f"{OFFICE}annotation")
            comments.extend(_comment(found, number + 1, column) for found in annotations)
        for copy in range(1, min(copies, MAX_COPIES) + 1 if cells else 1):
            yield merger.applied(Row(number + copy, cells))
        number += copies


def _cells(row: etree._Element) -> Iterator[tuple[int, etree._Element]]:
    """Yield the cells of a row that have something in them, with their columns."""
    column = 1
    for cell in row:
        if cell.tag not in _CELLS:
            continue
        copies = max(integer(cell.get(f"{TABLE}number-columns-repeated")) or 1, 1)
        if len(cell) or cell.get(f"{OFFICE}value-type"):
            for copy in range(min(copies, MAX_COPIES, MAX_COLUMNS + 1 - column)):
                yield column + copy, cell
        column += copies
        if column > MAX_COLUMNS:
            return


def _shown(cell: etree._Element) -> str:
    """Return what a cell shows; a date in the form of ISO 8601."""
    if cell.tag == _COVERED:
        return ""
    if cell.get(f"{OFFICE}value-type") == "date" and (date := cell.get(f"{OFFICE}date-value")):
        return date.replace("T", " ")
    return "\n".join(_RUNS.read(p).text for p in cell.iterchildren(f"{TEXT}p")).strip()


def _merge(cell: etree._Element, row: int, column: int) -> Merge | None:
    """Return the range over which a cell reaches, if it is more than the cell."""
    columns = integer(cell.get(f"{TABLE}number-columns-spanned")) or 1
    rows = integer(cell.get(f"{TABLE}number-rows-spanned")) or 1
    if rows <= 1 and columns <= 1:
        return None
    return Merge(row, column, row + max(rows, 1) - 1, column + max(columns, 1) - 1)


def _comment(annotation: etree._Element, row: int, column: int) -> Line:
    line = comment_line(annotation)
    return line._replace(text=line.text.replace("Comment", f"Comment {cell_name(row, column)}", 1))
