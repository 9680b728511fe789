"""Which titles that a file carries are titles of its content.

Knows what programs write by themselves: names of files, of templates, and of the program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from indexers.parsing.content import Part, Properties, Yielded

MAX_CHARACTERS = 1000

_MADE_UP = re.compile(
    r"(?:document|dokument|presentation|präsentation|workbook|book|slide|folie|untitled|"
    r"unbenannt|sans titre|no title|無題|title|titel|titre)[ -]?\d{0,4}"
    r"|.{0,20}powerpoint.{0,20}|word[- ]dokument|document microsoft word"
    r"|microsoft (?:word|excel) - .*"
    r"|.*\.(?:do[ct][xm]?|p[po]t[xm]?|xl[st][xm]?|rtf|od[tsp]|tmp|wpd|indd|html?)",
    re.IGNORECASE,
)


def usable_title(text: str | None) -> str | None:
    """Return a title without needless white space; None where it says nothing of the content."""
    title = " ".join((text or "").replace("\0", "").split())[:MAX_CHARACTERS]
    return None if not title or _MADE_UP.fullmatch(title) else title


def titled(
    parts: Iterable[Part], given: str | None, styled: Callable[[], str | None]
) -> Iterator[Yielded]:
    """Yield the parts, and a title as soon as one is better than the title given.

    A heading that a document opens with is its title where none is given. What the document itself
    marks as its title, by a style, is better than both; `styled` says it once it has been read.
    """
    title = given
    for number, part in enumerate(parts):
        opening = part.label if number == 0 and part.level == 1 else None
        better = styled() or title or opening
        if better and better != title:
            title = better
            yield Properties(title)
        yield part
