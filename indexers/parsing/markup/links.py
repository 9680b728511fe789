"""Markdown prose without the targets of its links: they cost tokens and say nothing.

Knows the inline syntax of links, images, code spans and comments; nothing of blocks. One pass,
linear also on hostile input: no syntax error ever makes it go back.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Set

MAX_LABEL = 1000
"""Characters of a link label, after https://spec.commonmark.org/0.31.2/#link-label"""

_SYNTAX = re.compile(r"\\.|`+|<!--|<[A-Za-z/][^<>]*>|!?\[|\]", re.DOTALL)
_TARGET = re.compile(
    r"""\(\s*+
    (?: <(?:[^<>\n\\]|\\.)*+>                                                   # <a b>
      | (?!<)(?:[^\s()\\]|\\\S|\\(?=\s)|\((?:[^\s()\\]|\\\S)*+\))*+             # a(b)c
    )
    (?:\s++(?:"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|\((?:[^()\\]|\\.)*+\)))?+   # "title"
    \s*+\)""",
    re.VERBOSE | re.DOTALL,
)
_LABEL = re.compile(r"\[([^\[\]]{0,999})\]")
_RUNS = re.compile(r"`+")


def without_targets(text: str, labels: Set[str]) -> str:
    """Reduce links and images to their text and drop comments.

    `labels` are the normalised labels of the document's link reference definitions.
    """
    if "<!--" not in text and "](" not in text and (not labels or "[" not in text):
        return text
    cuts = sorted(_cuts(text, labels))
    pieces = []
    position = 0
    for start, end in cuts:
        pieces.append(text[position:start])
        position = end
    pieces.append(text[position:])
    return "".join(pieces)


def without_comments(text: str) -> str:
    """Drop the comments of a block of HTML; an unclosed one is kept."""
    pieces = []
    position = 0
    while (start := text.find("<!--", position)) >= 0:
        end = text.find("-->", start + 4)
        if end < 0:
            break
        pieces.append(text[position:start])
        position = end + 3
    pieces.append(text[position:])
    return "".join(pieces)


def normalised(label: str) -> str:
    """Bring a link label into the form in which labels are compared."""
    return " ".join(label.split()).lower().upper()


def _cuts(text: str, labels: Set[str]) -> list[tuple[int, int]]:
    """Return the stretches to leave out; they do not overlap."""
    cuts: list[tuple[int, int]] = []
    open_brackets: list[tuple[int, int]] = []
    closers: dict[int, list[int]] | None = None
    comments = True
    position = 0
    while (found := _SYNTAX.search(text, position)) is not None:
        start, position = found.span()
        match text[start]:
            case "`":
                closers = _code_closers(text) if closers is None else closers
                position = _after_code(closers, start, position)
            case "[" | "!":
                open_brackets.append((start, position))
            case "]" if open_brackets:
                outer, inner = open_brackets.pop()
                words = text[inner:start] if labels and start - inner < MAX_LABEL else ""
                end = _link_end(text, words, start + 1, labels)
                if end is not None:
                    cuts += [(outer, inner), (start, end)]
                    position = end
            case "<" if comments and found[0] == "<!--":
                end = text.find("-->", position)
                comments = end >= 0
                if comments:
                    position = end + 3
                    cuts.append((start, position))
    return cuts


def _link_end(text: str, words: str, position: int, labels: Set[str]) -> int | None:
    """Return where the link that was closed before `position` ends; None when it is none."""
    if (target := _TARGET.match(text, position)) is not None:
        return target.end()
    if not labels:
        return None
    if (label := _LABEL.match(text, position)) is not None:
        return label.end() if normalised(label[1] or words) in labels else None
    return position if normalised(words) in labels else None


def _code_closers(text: str) -> dict[int, list[int]]:
    """Map each length of a run of backticks to where such runs begin."""
    runs: dict[int, list[int]] = {}
    for run in _RUNS.finditer(text):
        runs.setdefault(run.end() - run.start(), []).append(run.start())
    return runs


def _after_code(closers: dict[int, list[int]], start: int, end: int) -> int:
    """Return the end of the code span that opens at `start`, or of its backticks if none does."""
    length = end - start
    starts = closers.get(length, [])
    following = bisect_right(starts, start)
    return starts[following] + length if following < len(starts) else end
