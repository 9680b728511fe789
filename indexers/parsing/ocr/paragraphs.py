"""Paragraphs, lists and headings of a page's words.

Knows lines and their heights; nothing of tables and pictures.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from statistics import median
from typing import NamedTuple

from indexers.parsing.content import Part
from indexers.parsing.ocr.joining import is_wide, joined_lines, joined_words
from indexers.parsing.ocr.words import Word, run_sideways

_LARGE, _LARGEST = 1.6, 2.2
"""Height of a heading's words against that of all words."""
_LONGEST_HEADING = 120
_FEW = 10
"""Words of a page on which no size is the usual one."""

_APART = 1.5
"""Between two paragraphs, in heights of a word."""

_BULLET = re.compile(r"(?:[•●▪■◦‣*·¢©®°«»-] +(?=\S)|[eo] +(?=[^\W\d_a-z]))")
"""Tesseract reads round bullets as letters and signs that look alike."""
_NUMBER = re.compile(r"(\d{1,3})[.)] +(?=\S)")


class _Paragraph(NamedTuple):
    """Lines that belong together, and where they stand."""

    first: int
    """Number of the first word."""
    lines: list[str]
    height: float
    """Of the words, the median; 0 of lines that run up the margin."""
    left: int
    top: int
    right: int
    bottom: int
    end: int
    """Right side of the last line."""


def usual_height(words: Sequence[Word], *, few: int = _FEW) -> float:
    """Return the median height of words; 0 where they are too few to tell."""
    return float(median(word.height for word in words)) if len(words) >= few else 0.0


def text_parts(words: Sequence[tuple[int, Word]], usual: float) -> list[tuple[int, Part]]:
    """Return the parts that numbered words make, each with the number of its first word.

    `usual`: the height of the page's words, against which headings are large.
    """
    parts: list[tuple[int, Part]] = []
    items: list[str] = []
    start = 0
    for paragraph in _continued(_paragraphs(words)):
        found = _items(paragraph.lines)
        if found and _follow(items, found):
            start = start if items else paragraph.first
            items += found
            continue
        parts += _list(start, items)
        items = found
        start = paragraph.first
        if not found:
            parts.append((paragraph.first, _part(paragraph, usual)))
    return [*parts, *_list(start, items)]


def _paragraphs(words: Sequence[tuple[int, Word]]) -> Iterator[_Paragraph]:
    """Yield the paragraphs as Tesseract has them."""
    for _, group in groupby(words, key=lambda item: (item[1].block, item[1].paragraph)):
        members = list(group)
        found = [word for _, word in members]
        lines = [
            joined_words(word.text for _, word in line)
            for _, line in groupby(members, key=lambda item: item[1].line)
        ]
        height = 0.0 if run_sideways(found) else usual_height(found, few=1)
        left, top = min(w.left for w in found), min(w.top for w in found)
        right, bottom = max(w.right for w in found), max(w.bottom for w in found)
        box = (left, top, right, bottom, found[-1].right)
        yield _Paragraph(members[0][0], lines, height, *box)


def _continued(paragraphs: Iterable[_Paragraph]) -> list[_Paragraph]:
    """Join what a change of column or block cut in the middle of a sentence."""
    found: list[_Paragraph] = []
    for paragraph in paragraphs:
        if found and _goes_on(found[-1], paragraph):
            above = found[-1]
            found[-1] = paragraph._replace(first=above.first, lines=above.lines + paragraph.lines)
        else:
            found.append(paragraph)
    return found


def _goes_on(above: _Paragraph, below: _Paragraph) -> bool:
    """Whether a sentence seems to go on: in small letters, or after a full line of Chinese."""
    last, first = above.lines[-1][-1], below.lines[0][0]
    alike = above.height < _LARGE * below.height and below.height < _LARGE * above.height
    beneath = above.left < below.right and below.left < above.right
    apart = beneath and below.top - above.bottom > _APART * max(above.height, below.height)
    if not alike or apart or not (last.isalpha() or last in ",;-"):
        return False
    full = (
        above.end > below.right - 2 * above.height and abs(above.left - below.left) < above.height
    )
    return first.islower() or (full and is_wide(last) and is_wide(first))


def _part(paragraph: _Paragraph, usual: float) -> Part:
    """Make a paragraph, or a heading of few words in much larger letters."""
    text = joined_lines(paragraph.lines)
    large = paragraph.height / usual if usual else 0.0
    if large >= _LARGE and len(text) <= _LONGEST_HEADING and any(map(str.isalpha, text)):
        level = 1 if large >= _LARGEST else 2
        return Part("heading", f"{'#' * level} {text}", level, text)
    return Part("paragraph", text)


def _items(lines: Sequence[str]) -> list[str]:
    """Return the items of a list with their marks; empty when it does not begin with a mark."""
    items: list[list[str]] = []
    for line in lines:
        if (bullet := _BULLET.match(line)) is not None:
            items.append([f"- {line[bullet.end() :]}"])
        elif (number := _NUMBER.match(line)) is not None:
            items.append([f"{int(number[1])}. {line[number.end() :]}"])
        elif items:
            items[-1].append(line)
        else:
            return []
    return [joined_lines(item) for item in items]


def _follow(above: Sequence[str], items: Sequence[str]) -> bool:
    """Whether items go on with a list: all with bullets, or numbered upwards."""
    numbers = [item.partition(". ")[0] for item in [*above[-1:], *items]]
    if numbers[0] == numbers[0].lstrip("0123456789"):
        return all(item.startswith("- ") for item in items)
    return (
        all(
            here.isdigit() and below.isdigit() and int(below) > int(here)
            for here, below in pairwise(numbers)
        )
        and numbers[-1].isdigit()
    )


def _list(start: int, items: Sequence[str]) -> list[tuple[int, Part]]:
    """Make a list of several items; a single one is a paragraph that begins with a mark."""
    if not items:
        return []
    if len(items) == 1:
        return [(start, Part("paragraph", items[0]))]
    return [(start, Part("list", "\n".join(items)))]
