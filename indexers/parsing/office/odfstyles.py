"""Styles of OpenDocument texts (ODF 1.3 part 3, 16): what paragraphs, spans and lists are by them.

Knows which styles are titles, quotes or code, which hide text, and how lists number their items;
nothing of the text itself.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lxml import etree

from indexers.parsing.office.counting import written
from indexers.parsing.office.odfpackage import STYLE, TEXT
from indexers.parsing.office.wordstyles import MAX_INHERITANCE, Role, integer, role
from indexers.parsing.xmlsafe import local

LEVELS = 10
_ENCODED = re.compile(r"_([0-9a-f]{2})_")
_FORMATS = {"1": "decimal", "a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman",
            "I": "upperRoman"}  # fmt: skip


class Level(NamedTuple):
    """How a level of a list shows its items."""

    style: str = "bullet"
    prefix: str = ""
    suffix: str = ""
    shown: int = 1
    """How many levels the label consists of."""
    start: int = 1


class Styles:
    """The styles of a document, gathered from its parts."""

    def __init__(self) -> None:
        """Begin without any."""
        self._parents: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._hidden: set[str] = set()
        self._lists: dict[str, dict[int, Level]] = {}
        self.outline: dict[int, Level] = {}
        """How headings are numbered."""

    def add(self, root: etree._Element) -> None:
        """Take the styles inside an element."""
        for element in root.iter(f"{STYLE}style"):
            name = element.get(f"{STYLE}name") or ""
            self._parents[name] = element.get(f"{STYLE}parent-style-name") or ""
            self._names[name] = element.get(f"{STYLE}display-name") or _decoded(name)
            properties = element.find(f"{STYLE}text-properties")
            if properties is not None and properties.get(f"{TEXT}display") == "none":
                self._hidden.add(name)
        for element in root.iter(f"{TEXT}list-style"):
            self._lists[element.get(f"{STYLE}name") or ""] = _levels(element)
        for element in root.iter(f"{TEXT}outline-style"):
            self.outline = _levels(element)

    def role(self, name: str) -> Role:
        """Return what a paragraph is by its style or those that it is derived from."""
        return next((found for own in self._line(name) if (found := role(self._shown(own)))), "")

    def is_hidden(self, name: str) -> bool:
        """Whether a style hides text."""
        return bool(self._hidden) and any(own in self._hidden for own in self._line(name))

    def levels(self, name: str) -> dict[int, Level]:
        """Return the levels of a style of lists, none where it is unknown."""
        return self._lists.get(name, {})

    def _shown(self, name: str) -> str:
        return self._names.get(name) or _decoded(name)

    def _line(self, name: str) -> list[str]:
        line: list[str] = []
        while name and name not in line and len(line) < MAX_INHERITANCE:
            line.append(name)
            name = self._parents.get(name, "")
        return line


def label(levels: dict[int, Level], level: int, counts: list[int]) -> str:
    """Write the number of an item as readers see it; empty for a bullet."""
    own = levels.get(level, Level())
    if own.style == "bullet":
        return ""
    first = max(1, level - own.shown + 1)
    numbers = (
        written(counts[n], levels.get(n, own).style)
        for n in range(first, level + 1)
        if levels.get(n, own).style != "bullet"
    )
    return f"{own.prefix}{'.'.join(filter(None, numbers))}{own.suffix}".strip()


def _levels(element: etree._Element) -> dict[int, Level]:
    found: dict[int, Level] = {}
    for child in element:
        number = integer(child.get(f"{TEXT}level")) or 0
        if not 1 <= number < LEVELS + 1:
            continue
        form = _FORMATS.get(child.get(f"{STYLE}num-format") or "", "")
        if "bullet" in local(child) or "image" in local(child) or not form:
            found[number] = Level()
        else:
            found[number] = Level(
                form,
                (child.get(f"{STYLE}num-prefix") or "")[:20],
                (child.get(f"{STYLE}num-suffix") or "")[:20],
                integer(child.get(f"{TEXT}display-levels")) or 1,
                integer(child.get(f"{TEXT}start-value")) or 1,
            )
    return found


def _decoded(name: str) -> str:
    """Undo the encoding of names: `Text_20_body`."""
    return _ENCODED.sub(lambda match: chr(int(match[1], 16)), name)
