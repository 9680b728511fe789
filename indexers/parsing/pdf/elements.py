"""What stands on a page, in reading order, before it is known what is a heading of which level.

Knows only the shape of the pieces that layout hands on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from indexers.parsing.pdf.fonts import Look
from indexers.parsing.pdf.table import Table

Kind: TypeAlias = Literal["prose", "item", "list", "code", "table"]

_SENTENCE_END = re.compile(r"[.!?:;。！？：；…][)\]\"'”’»\d]{0,4}$")


@dataclass(slots=True)
class Element:
    """A paragraph or heading, an item of a list or all of it, lines of code, or a table."""

    kind: Kind
    text: str
    look: Look
    lines: int = 1
    is_bold: bool = False
    """Whether all of it is bold."""
    x0: float = 0.0
    table: Table | None = None
    page: int = 0
    """Where it begins, if that is not the page where it is written; 0: it is."""
    pages: list[tuple[int, int]] = field(default_factory=list)
    """Where in the text further pages begin: character, page."""

    @property
    def is_open(self) -> bool:
        """Whether the text breaks off before a sentence ends."""
        return self.kind in ("prose", "item") and not _SENTENCE_END.search(self.text[-8:])


def goes_on(element: Element, following: Element) -> bool:
    """Whether a sentence that breaks off goes on in another element of the same look."""
    return (
        element.is_open
        and following.kind == "prose"
        and following.text[:1].islower()
        and abs(following.look.size - element.look.size) <= 1
        and following.is_bold == element.is_bold
    )
