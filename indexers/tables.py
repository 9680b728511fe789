"""Tables that stay whole although the embedder reads less than they hold.

A table says what it is about in its header and in the labels of its rows: that is embedded. All
of it is found by its words, shown and cited. Knows Markdown tables, and lines of delimited values
with a rule below the header; nothing of documents.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

MAX_HEADER = 0.5
"""Share of the room that the header may take."""

_BAR = re.compile(r"(?<!\\)\|")
_DELIMITERS = "\t;,"
_FIGURE = re.compile(r"[\s\d.,:%()$€£¥+\-–—/]*")


def is_table(text: str) -> bool:
    """Tell a table with a header, and a rule below, from other lines that a parser calls one."""
    _, _, rest = text.partition("\n")
    rule = rest.partition("\n")[0]
    return "-" in rule and not rule.strip("|:- \t")


def abridged(text: str, room: int, count_tokens: Callable[[Sequence[str]], list[int]]) -> str:
    """Return the header and the labels of the rows of a table, as many as fit the room."""
    header, _, *rows = text.split("\n")
    cut = _cutter(header)
    head = _fitting(cut(header), int(room * MAX_HEADER), " | ", count_tokens)
    rest = room - (count_tokens([head])[0] if head else 0)
    labels = dict.fromkeys(filter(None, (_label(cut(row)) for row in rows)))
    body = _fitting(list(labels), rest - 1, "; ", count_tokens)
    return "\n".join(filter(None, (head, body)))


def _cutter(header: str) -> Callable[[str], list[str]]:
    """Return what cuts rows into cells: at bars, or at the delimiter that the header has most."""
    if header.startswith("|"):
        return lambda row: _filled(_BAR.split(row.strip().strip("|")))
    delimiter = max(_DELIMITERS, key=header.count)
    return lambda row: _filled(row.split(delimiter))


def _filled(cells: Sequence[str]) -> list[str]:
    return [cell.strip(' "') for cell in cells if cell.strip(' "')]


def _label(cells: Sequence[str]) -> str:
    """Return the first cell that says something in words."""
    return next((cell for cell in cells if not _FIGURE.fullmatch(cell)), "")


def _fitting(
    words: Sequence[str],
    room: int,
    separator: str,
    count_tokens: Callable[[Sequence[str]], list[int]],
) -> str:
    """Join the first words, as many as have at most `room` tokens."""
    while words:
        joined = separator.join(words)
        tokens = count_tokens([joined])[0]
        if tokens <= room:
            return joined
        words = words[: min(len(words) - 1, len(words) * room // tokens)]
    return ""
