"""Lists: the marks of their items, and how deep each stands.

Knows bullets, numbers and letters before text; nothing of pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from indexers.parsing.pdf.elements import Element

_BULLET = re.compile(r"[•◦▪▫●○■□‣⁃∙·➢►✓❖]|[-–—*](?=\s)")
_NUMBER = re.compile(r"\d{1,3}[.)](?=\s)")
_LETTER = re.compile(r"\((?:\d{1,3}|[a-zA-Z]|[ivx]{1,5})\)(?=\s)|(?:[a-zA-Z]|[ivx]{1,5})[.)](?=\s)")
_STEP = 4.0
"""Points that an item of the next level is indented more, at least."""
_MAX_DEPTH = 8


def is_item(text: str) -> bool:
    """Whether a line begins with the mark of an item."""
    return any(
        found is not None and len(text) > found.end()
        for found in (pattern.match(text) for pattern in (_BULLET, _NUMBER, _LETTER))
    )


def is_bullet(text: str) -> bool:
    """Whether a line begins with a bullet, which stands nowhere else."""
    found = _BULLET.match(text)
    return found is not None and found[0] not in "-–—*·∙"


def with_lists(elements: Iterable[Element]) -> list[Element]:
    """Make lists of items that follow each other; a number alone does not make one."""
    found: list[Element] = []
    items: list[Element] = []
    for element in [*elements, None]:
        if element is not None and element.kind == "item":
            if items and items[-1].is_bold != element.is_bold:  # a heading with a number
                found.append(_list(items))
                items = []
            items.append(element)
            continue
        if items:
            found.append(_list(items))
            items = []
        if element is not None:
            found.append(element)
    return found


def _list(items: list[Element]) -> Element:
    first = items[0]
    if len(items) == 1 and not _BULLET.match(first.text):
        return replace(first, kind="prose")
    lines = []
    levels: list[float] = []
    for item in items:
        while levels and item.x0 < levels[-1] - _STEP:
            levels.pop()
        if not levels or (item.x0 > levels[-1] + _STEP and len(levels) < _MAX_DEPTH):
            levels.append(item.x0)
        lines.append("  " * (len(levels) - 1) + _line(item.text))
    count = sum(item.lines for item in items)
    return replace(first, kind="list", text="\n".join(lines), lines=count)


def _line(text: str) -> str:
    """Write a bullet of any shape as `-`, and put one before letters."""
    text = " ".join(text.split())
    bullet = _BULLET.match(text)
    if bullet is not None:
        return f"- {text[bullet.end() :].lstrip()}"
    return text if _NUMBER.match(text) else f"- {text}"
