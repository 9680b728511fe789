"""How a file of delimited values is written: what parts its cells, and whether a header names them.

Decides on the first records; knows nothing of where they come from and of what is made of them.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

DELIMITERS = "\t;|,"
"""Where several part all lines alike, the first: commas are also in numbers and prose."""
ENOUGH = 0.1
"""Difference of consistency that counts."""
MAX_PREAMBLE = 10
"""Lines above the header, each with one filled cell."""
MAX_NAME = 100
"""Characters of a column's name."""

_HINT = re.compile(r"sep=(.)\s*", re.IGNORECASE)
_FIGURES = "0123456789.,:/%()$€£¥+-–−TZ \t"
_YEAR = re.compile(r"(?:1[89]|20)\d\d")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the first records tell of all of them."""

    delimiter: str
    hinted: bool = False
    """The first line only names the delimiter (`sep=;`, as spreadsheets write it)."""
    preamble: int = 0
    """Records above the table: titles and remarks. Empty records count."""
    header: bool = False
    """Whether the first record of the table names its columns."""


def sniff(lines: Sequence[str], default: str = ",") -> Dialect:
    """Tell the dialect by the first lines; the default is for those that nothing parts."""
    hint = _HINT.fullmatch(lines[0]) if lines else None
    lines = lines[1:] if hint else lines
    delimiter = hint[1] if hint else _delimiter(lines, default)
    records = list(records_of(lines, delimiter))
    preamble = _preamble(records)
    filled = [record for record in records[preamble:] if any(record)]
    header = len(filled) > 1 and is_header(filled[0], filled[1:])
    return Dialect(delimiter, bool(hint), preamble, header)


def records_of(lines: Sequence[str], delimiter: str) -> Iterator[list[str]]:
    """Yield the records of some lines, cells without the white space around."""
    try:
        for record in csv.reader(lines, delimiter=delimiter):
            yield [cell.strip() for cell in record]
    except csv.Error:  # a field that is too long: what came before it is enough
        return


def _delimiter(lines: Sequence[str], default: str) -> str:
    """Choose the delimiter that gives the most records of the same length.

    A record with half a pair of quotes in a cell is parted in the wrong places.
    """
    best, consistency = default, 0.0
    for delimiter in (default, *DELIMITERS):
        records = (r for r in records_of(lines, delimiter) if any(r))
        lengths = Counter(0 if any(c.count('"') % 2 for c in r) else len(r) for r in records)
        alike = max((n for length, n in lengths.items() if length > 1), default=0)
        share = alike / lengths.total() if lengths else 0.0
        if share > consistency + ENOUGH or (best == "," and share == 1.0):
            best, consistency = delimiter, share
    return best


def _preamble(records: Sequence[Sequence[str]]) -> int:
    """Count the records above the table: those with one filled cell where others have several."""
    lengths = Counter(len(record) for record in records if any(record))
    if not lengths or lengths.most_common(1)[0][0] < 2:
        return 0
    for i, record in enumerate(records[:MAX_PREAMBLE]):
        if sum(map(bool, record)) > 1:
            return i
    return 0


def is_header(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Tell whether a record names the columns of those below.

    Names are short words, no two alike, and not what stands below them. Years may be names beside
    words. Of a single column the name is only told from what is below when that is figures.
    """
    names = [cell for cell in first if cell]
    if not names or len(names) < len(first) - 1 or len({n.casefold() for n in names}) < len(names):
        return False
    if any(len(name) > MAX_NAME or "\n" in name for name in names):
        return False
    words = [name for name in names if not is_figure(name)]
    if len(words) < len(names) and not (words and all(map(_is_name, names))):
        return False
    columns = [[r[i] for r in below if i < len(r) and r[i]] for i in range(len(first))]
    unlike = any(
        name and not is_figure(name) and cells and _figures(cells) > len(cells) // 2
        for name, cells in zip(first, columns, strict=True)
    )
    if unlike or len(first) == 1:
        return unlike
    return all(name not in cells for name, cells in zip(first, columns, strict=True) if name)


def is_figure(cell: str) -> bool:
    """Whether a cell is a number, an amount, a date or a time."""
    return not cell.strip(_FIGURES) and any(map(str.isdigit, cell))


def _figures(cells: Sequence[str]) -> int:
    return sum(map(is_figure, cells))


def _is_name(cell: str) -> bool:
    return not is_figure(cell) or _YEAR.fullmatch(cell) is not None
