"""Workbooks in SpreadsheetML (ECMA-376 part 1, 18): cells as readers see them, row by row.

Knows shared strings, styles, merged ranges, comments and text boxes; nothing of tables in sheets.
What a sheet declares as its size is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import IO, NamedTuple

from lxml import etree

from indexers.parsing.office.cellformats import BUILT_IN, GENERAL, value_text
from indexers.parsing.office.cells import MAX_COLUMNS, Merge, Row, address, merged
from indexers.parsing.office.drawings import A, R
from indexers.parsing.office.grouping import Line
from indexers.parsing.office.package import Package
from indexers.parsing.office.wordstyles import is_on
from indexers.parsing.xmlsafe import local, stream_xml
from rag.errors import UnreadableDocument

MAX_MERGES = 100_000
MAX_COMMENTS = 10_000
_SHEETS = frozenset({"worksheet", "macrosheet", "dialogsheet", "chartsheet"})
_MERGE = re.compile(rb'<(?:\w+:)?mergeCell\s+ref="([A-Z]{1,3}\d{1,7}):([A-Z]{1,3}\d{1,7})"')
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_BLOCK = 1 << 16


class Workbook(NamedTuple):
    """What the sheets of a workbook have in common."""

    package: Package
    strings: Sequence[str]
    formats: Sequence[str]
    """By the number that a cell gives as its style."""
    is_1904: bool


def sheets(package: Package) -> Iterator[tuple[str, Callable[[], Iterator[Row]], str]]:
    """Yield name, rows and part of each sheet, in their order, hidden ones too."""
    main = package.main("xl/workbook.xml")
    root = package.xml(main)
    if root is None:
        raise UnreadableDocument("the workbook's list of sheets is missing or damaged")
    relations = package.relations(main)
    properties = root.find("{*}workbookPr")
    book = Workbook(
        package,
        _strings(package, main),
        _formats(package.related_xml(main, "styles")),
        properties is not None and is_on(properties.get("date1904", "0")),
    )
    for element in root.iterfind("{*}sheets/{*}sheet"):
        relation = relations.get(element.get(f"{R}id") or "")
        if relation is not None and relation.kind in _SHEETS and package.has(relation.target):
            part = relation.target
            yield element.get("name") or "", lambda part=part: rows(book, part), part  # type: ignore[misc]


def rows(book: Workbook, part: str) -> Iterator[Row]:
    """Yield the rows of a sheet that have something in them."""
    with book.package.archive.open(part, partial=True) as stream:
        merges = list(islice(_merges(stream), MAX_MERGES))
    with book.package.archive.open(part, partial=True) as stream:
        yield from merged(_rows(book, stream), merges)


def remarks(package: Package, part: str) -> Iterator[Line]:
    """Yield the texts of boxes that lie on a sheet, then the comments on its cells."""
    for name in package.related(part, "drawing"):
        root = package.xml(name)
        for body in [] if root is None else root.iterfind(".//{*}sp/{*}txBody"):
            lines = ("".join(t.text or "" for t in p.iter(f"{A}t")) for p in body.iter(f"{A}p"))
            yield Line("paragraph", "\n".join(filter(None, lines)))
    for name in package.related(part, "comments"):
        root = package.xml(name)
        if root is not None:
            authors = [(a.text or "").strip() for a in root.iterfind("{*}authors/{*}author")]
            comments = root.iterfind("{*}commentList/{*}comment")
            for comment in islice(comments, MAX_COMMENTS):
                yield _comment(comment, authors)


def _comment(element: etree._Element, authors: Sequence[str]) -> Line:
    text = _text(element.find("{*}text")).strip()
    number = element.get("authorId") or ""
    author = authors[int(number)] if number.isdecimal() and int(number) < len(authors) else ""
    author = "" if author.startswith("tc=") else author  # the id of a thread
    text = text.removeprefix(f"{author}:").strip() if author else text
    if text.startswith("[Threaded comment]"):  # an explanation for older programs stands before
        text = text.partition("Comment:")[2].strip()
    where = element.get("ref") or ""
    return Line("quote", f"Comment {where} ({author}): {text}" if author else
                f"Comment {where}: {text}" if text else "")  # fmt: skip


def _merges(stream: IO[bytes]) -> Iterator[Merge]:
    """Find the merged ranges, which a sheet lists only behind its rows (18.3.1.55)."""
    tail = b""
    while block := stream.read(_BLOCK):
        data = tail + block
        end = 0
        for match in _MERGE.finditer(data):
            end = match.end()
            start, stop = address(match[1].decode()), address(match[2].decode())
            if start and stop:
                yield Merge(*start, *stop)
        tail = data[max(end, len(data) - 100) :]


def _strings(package: Package, main: str) -> list[str]:
    """Return the texts that cells refer to by number (18.4)."""
    found: list[str] = []
    for name in package.related(main, "sharedStrings")[:1]:
        if package.has(name):
            with package.archive.open(name, partial=True) as stream:
                found.extend(map(_text, stream_xml(stream, ["{*}si"])))
    return found


def _text(element: etree._Element | None) -> str:
    """Return a text without the phonetic hints that stand beside it (18.4.6)."""
    if element is None:
        return ""
    pieces = []
    for child in element:
        name = local(child)
        if name == "t":
            pieces.append(child.text or "")
        elif name == "r":
            pieces.extend(run.text or "" for run in child.iterfind("{*}t"))
    text = "".join(pieces)
    return _ESCAPE.sub(_unescaped, text) if "_x" in text else text


def _unescaped(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if code >= 0x20 and not 0xD800 <= code < 0xE000 else " "


def _formats(root: etree._Element | None) -> list[str]:
    """Return the number formats of the styles that cells refer to (18.8.10)."""
    if root is None:
        return []
    own = {e.get("numFmtId"): e.get("formatCode") for e in root.iterfind("{*}numFmts/{*}numFmt")}
    ids = (e.get("numFmtId", "0") for e in root.iterfind("{*}cellXfs/{*}xf"))
    return [
        own.get(key) or BUILT_IN.get(int(key) if key.isdecimal() else 0, GENERAL) for key in ids
    ]


def _rows(book: Workbook, stream: IO[bytes]) -> Iterator[Row]:
    """Yield the rows as they are stored; cells without an address follow the one before."""
    number = 0
    for element in stream_xml(stream, ["{*}row"]):
        declared = element.get("r") or ""
        number = max(number + 1, int(declared[:7]) if declared.isdecimal() else 0)
        cells: dict[int, str] = {}
        column = 0
        for cell in element:
            place = address(cell.get("r") or "")
            column = place[1] if place else column + 1
            if column > MAX_COLUMNS:
                break
            if (text := _cell(cell, book)) and (text := text.strip()):
                cells[column] = text
        if cells:
            yield Row(number, cells)


def _cell(cell: etree._Element, book: Workbook) -> str:
    """Return what a cell shows; a formula without a result shows itself (18.3.1.4)."""
    value, formula = "", ""
    for child in cell:
        match local(child):
            case "v":
                value = child.text or ""
            case "is":
                return _text(child)
            case "f":
                formula = child.text or ""
    if not value:
        return f"={formula}" if formula else ""
    match cell.get("t", "n"):
        case "s":
            number = int(value) if value.isdecimal() else -1
            return book.strings[number] if 0 <= number < len(book.strings) else ""
        case "n":
            return _number(value, cell.get("s") or "", book)
        case "b":
            return "TRUE" if value == "1" else "FALSE"
        case "str":
            return _ESCAPE.sub(_unescaped, value) if "_x" in value else value
    return value


def _number(value: str, style: str, book: Workbook) -> str:
    try:
        number = float(value)
    except ValueError:
        return value
    index = int(style) if style.isdecimal() else -1
    code = book.formats[index] if 0 <= index < len(book.formats) else GENERAL
    return value_text(number, code, is_1904=book.is_1904)
