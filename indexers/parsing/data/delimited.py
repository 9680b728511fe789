"""Delimited values (CSV, TSV and their like, RFC 4180): the records as tables.

A record stays the line that the file has, so that it is found and quoted as it is written. The
line of the column names stands above a rule in every part, and with it above every chunk. Where
it is too long for that, each cell is written with its column's name instead. Knows nothing of how
dialects are recognised.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from indexers.parsing.content import Content, Part, Properties, Yielded
from indexers.parsing.data.delimited_records import Lines, Record, records
from indexers.parsing.data.dialects import sniff
from indexers.parsing.text.decoding import open_text
from rag.types import Place

MAX_ROWS = 200
"""Of one part."""
MAX_CHARACTERS = 50_000
"""Of one part, about."""
MAX_HEADER = 180
"""UTF-8 bytes of the line of column names that is repeated, about 45 tokens."""
ITEM_WIDTH = 120
"""Characters of a line of cells with names, about: chunks are cut between lines."""
RULE = "---"
_SNIFFED = 100
_SNIFFED_CHARACTERS = 1 << 16


def parse_delimited(content: Content) -> Iterator[Yielded]:
    """Yield the records in parts of up to 200, in memory for one part only.

    What stands above the table is a paragraph; of it, a single cell in the first line is the title.
    """
    with open_text(content) as text:
        lines = Lines(text)
        first = lines.peek(_SNIFFED, _SNIFFED_CHARACTERS)
        dialect = sniff(first, "\t" if content.name.lower().endswith((".tsv", ".tab")) else ",")
        if dialect.hinted:
            next(lines)
        found = records(lines, dialect.delimiter)
        yield from _preamble([r for r in islice(found, dialect.preamble) if r.line.strip()])
        filled = (record for record in found if record.line.strip(f"{dialect.delimiter} \t"))
        header = next(filled, None) if dialect.header else None
        part = _begun(header)
        for record in filled:
            if part.lines.is_full:
                yield part.finished()
                part = _begun(header)
            part.add(record)
        yield part.finished()


def _preamble(records: Sequence[Record]) -> Iterator[Yielded]:
    if not records:
        return
    title = " ".join("".join(records[0].cells).split())
    if title and not title.startswith("#") and len(title) <= MAX_HEADER:
        yield Properties(title=title)
    places = []
    start = 0
    for record in records:
        places.append(_place(start, record))
        start += len(record.line) + 1
    yield Part("paragraph", "\n".join(r.line for r in records), places=tuple(places))


def _begun(header: Record | None) -> _Table | _Items:
    if header is not None and len(header.line.encode()) > MAX_HEADER:
        return _Items(header)
    return _Table(header)


@dataclass(slots=True)
class _Lines:
    """The lines of one part under way, and where in the file they stand."""

    lines: list[str] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    length: int = 0
    rows: int = 0

    @property
    def is_full(self) -> bool:
        """Whether the part should get no further record."""
        return self.rows >= MAX_ROWS or self.length >= MAX_CHARACTERS

    def write(self, line: str) -> None:
        """Put a line below the others."""
        self.lines.append(line)
        self.length += len(line) + 1

    def __str__(self) -> str:
        return "\n".join(self.lines)


class _Table:
    """Records as they are written, below the line of column names."""

    def __init__(self, header: Record | None) -> None:
        self.lines = _Lines()
        self._columns = 1
        self._next_row = 0
        if header is not None:
            self.lines.places.append(_place(0, header))
            self._columns = len(header.cells)
            self.lines.write(header.line)
            self.lines.write(RULE)

    def add(self, record: Record) -> None:
        """Write a record."""
        if record.row != self._next_row:
            self.lines.places.append(_place(self.lines.length, record))
        self._next_row = record.row + 1
        self.lines.rows += 1
        self._columns = max(self._columns, len(record.cells))
        self.lines.write(record.line)

    def finished(self) -> Part:
        """Return what has been written."""
        widest = tuple(replace(place, columns=self._columns) for place in self.lines.places)
        return Part("table", str(self.lines), places=widest)


class _Items:
    """Records as items of a list, each cell behind the name of its column."""

    def __init__(self, header: Record) -> None:
        self.lines = _Lines()
        self._names = [" ".join(cell.split()) for cell in header.cells]

    def add(self, record: Record) -> None:
        """Write a record."""
        self.lines.rows += 1
        mark = "- "
        cells: list[str] = []
        first = 0
        for i, cell in enumerate(record.cells):
            text = " ".join(cell.split())
            if not text:
                continue
            name = self._names[i] if i < len(self._names) else ""
            named = f"{name}: {text}" if name else text
            if cells and sum(map(len, cells)) + len(named) > ITEM_WIDTH:
                self._write_cells(record.row, first, i, mark + "; ".join(cells))
                cells, mark = [], "  "
            first = first if cells else i
            cells.append(named)
        self._write_cells(record.row, first, len(record.cells), mark + "; ".join(cells))

    def _write_cells(self, row: int, first: int, end: int, line: str) -> None:
        """Write the cells of some columns on a line."""
        place = Place(self.lines.length, "sheet", 1, row=row, column=first + 1, columns=end - first)
        self.lines.places.append(place)
        self.lines.write(line)

    def finished(self) -> Part:
        """Return what has been written."""
        return Part("list", str(self.lines), places=tuple(self.lines.places))


def _place(start: int, record: Record) -> Place:
    return Place(start, "sheet", 1, row=record.row, column=1, columns=max(1, len(record.cells)))
