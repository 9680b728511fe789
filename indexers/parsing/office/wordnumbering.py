"""Numbering of Word documents (ECMA-376 part 1, 17.9): the label of each item of a list.

Knows definitions of lists and counts their items; nothing of the paragraphs that are items.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lxml import etree

from indexers.parsing.office.counting import written
from indexers.parsing.office.wordstyles import Styles, W, indent, integer, is_on, value

LEVELS = 9
_PLACEHOLDER = re.compile(r"%([1-9])")
_MAX_START = 1_000_000


class _Level(NamedTuple):
    style: str = "decimal"
    text: str = "%1."
    start: int = 1
    indent: int = 0
    is_legal: bool = False
    """Write the numbers of the levels above in decimal."""


class Item(NamedTuple):
    """Where a paragraph stands in a list."""

    label: str
    """As readers see it; empty for a bullet."""
    indent: int
    """From the left, in twentieths of a point."""


class Numbering:
    """The lists of a document, and how far each has been counted."""

    def __init__(self, root: etree._Element | None, styles: Styles) -> None:
        """Read the part of numbering; none is a document without lists."""
        self._levels: dict[str, dict[int, _Level]] = {}
        self._by_style: dict[tuple[str, str], int] = {}
        self._abstract: dict[str, str] = {}
        self._restarts: dict[str, dict[int, int]] = {}
        self._counts: dict[str, list[int]] = {}
        if root is None:
            return
        links: dict[str, str] = {}
        for element in root.iterchildren(f"{W}abstractNum"):
            name = element.get(f"{W}abstractNumId") or ""
            self._define(name, element)
            if (link := value(element.find(f"{W}numStyleLink"))) is not None:
                links[name] = link
        for element in root.iterchildren(f"{W}num"):
            name = element.get(f"{W}numId") or ""
            self._abstract[name] = value(element.find(f"{W}abstractNumId")) or ""
            self._override(name, element)
        for name, link in links.items():
            if (number := styles.number_of(link)) in self._abstract:
                self._levels[name] = self._levels.get(self._abstract[number or ""], {})

    def _define(self, name: str, element: etree._Element) -> None:
        levels = self._levels.setdefault(name, {})
        for level in element.iterchildren(f"{W}lvl"):
            number = integer(level.get(f"{W}ilvl")) or 0
            levels[number] = _level(level, number)
            if (style := value(level.find(f"{W}pStyle"))) is not None:
                self._by_style[name, style] = number

    def _override(self, name: str, element: etree._Element) -> None:
        """Take note of the levels that a list changes, and of the counts that it starts anew."""
        for override in element.iterchildren(f"{W}lvlOverride"):
            number = integer(override.get(f"{W}ilvl")) or 0
            if (start := integer(value(override.find(f"{W}startOverride")))) is not None:
                self._restarts.setdefault(name, {})[number] = start
            level = override.find(f"{W}lvl")
            if level is not None:
                own = f"{name}\0own"
                levels = self._levels.get(self._abstract[name], {})
                self._levels[own] = {**levels, number: _level(level, number)}
                self._abstract[name] = own

    def item(self, number: str, level: int | None, style: str) -> Item | None:
        """Count an item; None where the list shows neither bullet nor number, or is unknown.

        `level`: 0 is the outermost; None is the level that belongs to the style.
        """
        abstract = self._abstract.get(number, "")
        levels = self._levels.get(abstract)
        if not levels:
            return None
        if level is None:
            level = self._by_style.get((abstract, style), 0)
        level = min(max(level, 0), LEVELS - 1)
        form = levels.get(level, _Level(indent=360 * (level + 1)))
        counts = self._counts.setdefault(abstract, [levels[n].start - 1 if n in levels else 0
                                                    for n in range(LEVELS)])  # fmt: skip
        for restarted, start in self._restarts.pop(number, {}).items():
            if 0 <= restarted < LEVELS:
                counts[restarted] = start - 1
        counts[level] += 1
        for deeper in range(level + 1, LEVELS):
            counts[deeper] = levels[deeper].start - 1 if deeper in levels else 0
        if form.style == "bullet":
            return Item("", form.indent)
        label = self._label(form, level, levels, counts)
        return Item(label, form.indent) if label else None

    def _label(self, form: _Level, level: int, levels: dict[int, _Level], counts: list[int]) -> str:
        def part(match: re.Match[str]) -> str:
            other = int(match[1]) - 1
            style = levels[other].style if other in levels else "decimal"
            if form.is_legal and other < level:
                style = "decimal"
            count = counts[other] if other <= level else 0
            return written(max(count, levels[other].start if other in levels else 1), style)

        return " ".join(_PLACEHOLDER.sub(part, form.text).split())


def _level(element: etree._Element, number: int) -> _Level:
    properties = element.find(f"{W}pPr")
    left = None if properties is None else indent(properties)
    legal = element.find(f"{W}isLgl")
    start = integer(value(element.find(f"{W}start")))
    return _Level(
        value(element.find(f"{W}numFmt")) or "decimal",
        (value(element.find(f"{W}lvlText")) or "")[:100],
        min(max(start if start is not None else 1, 0), _MAX_START),
        360 * (number + 1) if left is None else left,
        legal is not None and is_on(legal.get(f"{W}val")),
    )
