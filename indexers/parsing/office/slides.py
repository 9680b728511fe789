"""What the slides of all presentations have in common.

Knows how a slide is headed, and in which order what stands on it is read; nothing of formats.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from indexers.parsing.content import Part
from indexers.parsing.office.grouping import Line
from rag.types import Place

SAME_ROW = 200_000
"""EMU (0.56 cm): shapes whose upper edges differ less stand beside each other."""
T = TypeVar("T")


def slide_heading(title: str, number: int, level: int = 2) -> Line:
    """Return the heading of a slide with its place; without a title, its number.

    Otherwise its text would seem to belong to the title of the slide before it.
    """
    text = title or _numbered(number)
    return Line("heading", text, level if title else 2, places=(Place(0, "slide", number),))


def first_title(part: Part, number: int) -> str | None:
    """Return the title of a presentation, if the part is the title of its first slide."""
    is_title = number == 1 and part.kind == "heading" and part.label != _numbered(number)
    return part.label if is_title else None


def _numbered(number: int) -> str:
    return f"Slide {number}"


def by_rows(items: Iterable[tuple[tuple[int, int], T]]) -> Iterator[T]:
    """Sort what stands on one height from left to right, and heights from top to bottom.

    Each item comes with how far from the top and from the left it stands, in EMU.
    """
    row: list[tuple[tuple[int, int], T]] = []
    for item in sorted(items, key=lambda item: item[0][0]):
        if row and item[0][0] - row[0][0][0] > SAME_ROW:
            yield from _left_to_right(row)
            row = []
        row.append(item)
    yield from _left_to_right(row)


def _left_to_right(row: list[tuple[tuple[int, int], T]]) -> Iterator[T]:
    return (shape for _, shape in sorted(row, key=lambda item: item[0][1]))
