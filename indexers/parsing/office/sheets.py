"""Spreadsheets: XLSX, XLSM, XLTX, XLSB, XLS and ODS.

Knows which reader is for which file, and what stands with the sheets; nothing of cells.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

from indexers.parsing.content import Content, Part, Properties, Yielded
from indexers.parsing.metadata import metadata
from indexers.parsing.office.cellformats import plain_number
from indexers.parsing.office.cells import Merge, Row, merged
from indexers.parsing.office.grouping import grouped
from indexers.parsing.office.ods import parse_ods
from indexers.parsing.office.ole import (
    is_ole,
    ole_properties,
    open_ole,
    read_stream,
    refuse_encrypted_package,
)
from indexers.parsing.office.package import Package
from indexers.parsing.office.properties import package_properties
from indexers.parsing.office.sheetparts import sheet_parts
from indexers.parsing.office.xlsx import remarks, sheets
from indexers.parsing.unzipping import open_zip
from rag.errors import UnreadableDocument

_FILE_PASS = 0x2F
_FIRST_RECORDS = 10


def parse_sheets(content: Content) -> Iterator[Yielded]:
    """Yield each sheet: its name as a heading, then its tables and texts with their places.

    Raise `UnreadableDocument`: malformed, encrypted, too_large.
    """
    if is_ole(content):
        refuse_encrypted_package(content)
        with open_ole(content) as container:
            properties = ole_properties(container)
            _refuse_encrypted(read_stream(container, "Workbook", "Book"))
        yield properties
        yield from _foreign(content)
        return
    package = Package(open_zip(content))
    if package.has("content.xml"):
        yield from parse_ods(content)
    elif package.has("xl/workbook.bin"):
        open_zip(content, whole=True).close()
        yield package_properties(package)
        yield from _foreign(content)
    else:
        yield from _workbook(package)


def _workbook(package: Package) -> Iterator[Yielded]:
    found = list(sheets(package))
    if not found:
        raise UnreadableDocument("the workbook has no sheets that can be found")
    yield with_count(package_properties(package), len(found))
    for number, (name, rows, part) in enumerate(found, 1):
        yield from sheet_parts(name, number, rows())
        yield from grouped(remarks(package, part))


def with_count(properties: Properties, sheets: int) -> Properties:
    """Add the number of sheets."""
    return replace(properties, metadata={**properties.metadata, **metadata({"sheets": sheets})})


def _foreign(content: Content) -> Iterator[Part | Properties]:
    """Read the binary formats with calamine."""
    from python_calamine import CalamineError, PasswordError, load_workbook

    try:
        book = load_workbook(content.open())
        names = book.sheet_names
        yield Properties(metadata=metadata({"sheets": len(names)}))
        for number, name in enumerate(names, 1):
            sheet = book.get_sheet_by_name(name)
            merges = [
                Merge(top + 1, left + 1, bottom + 1, right + 1)
                for (top, left), (bottom, right) in sheet.merged_cell_ranges or ()
            ]
            yield from sheet_parts(name, number, merged(_rows(sheet), merges))
    except PasswordError as exc:
        raise UnreadableDocument("the workbook is encrypted", code="encrypted") from exc
    except CalamineError as exc:
        raise UnreadableDocument("the workbook is damaged") from exc
    except BaseException as exc:
        if type(exc).__name__ == "PanicException":  # of Rust, and no `Exception`
            raise UnreadableDocument("the workbook is damaged") from exc
        raise


def _refuse_encrypted(stream: bytes) -> None:
    """Raise `encrypted` where a record says so, soon after the beginning ([MS-XLS] 2.4.117)."""
    position = 0
    for _ in range(_FIRST_RECORDS):
        if position + 4 > len(stream):
            return
        kind, length = struct.unpack_from("<HH", stream, position)
        if kind == _FILE_PASS:
            raise UnreadableDocument("the workbook is encrypted", code="encrypted")
        position += 4 + length


def _rows(sheet: Any) -> Iterator[Row]:
    top, left = sheet.start or (0, 0)
    for number, values in enumerate(sheet.iter_rows(), top + 1):
        cells = {
            column: text
            for column, value in enumerate(values, left + 1)
            if value != "" and (text := _shown(value).strip())
        }
        if cells:
            yield Row(number, cells)


def _shown(value: object) -> str:
    """Write a value of a cell; the format that readers see is not known."""
    match value:
        case bool():
            return str(value).upper()
        case float():
            return plain_number(value)
        case datetime():
            is_day = value.time() == time()
            return f"{value:%Y-%m-%d}" if is_day else value.isoformat(" ", "seconds")
        case timedelta():
            minutes, seconds = divmod(round(value.total_seconds()), 60)
            return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
        case date() | time():
            return value.isoformat()
    return str(value)
