"""What an RTF file says of itself: fonts and their encodings, styles, title, author, dates.

Knows the groups that stand before the text; each is read for itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from indexers.parsing.metadata import metadata
from indexers.parsing.rtf.tokens import (
    Tokens,
    charset_encoding,
    code_page_encoding,
    mended,
)
from rag.types import Metadata

MAX_FONTS = 10_000
MAX_STYLES = 10_000
_HEADING = re.compile(r"heading\s*(\d)", re.IGNORECASE)
_TITLE = re.compile(r"title", re.IGNORECASE)
_TEXTS = ("title", "author", "subject", "keywords", "doccomm", "company", "operator")
_TIMES = ("creatim", "revtim")
_UNITS = ("yr", "mo", "dy", "hr", "min")


@dataclass(slots=True)
class Info:
    """What is known before the text begins."""

    encoding: str = "cp1252"
    fonts: dict[int, str | None] = field(default_factory=dict)
    """Encodings by the numbers of fonts."""
    default_font: int = 0
    styles: dict[int, int] = field(default_factory=dict)
    """Outline levels by the numbers of styles; only those of headings."""
    texts: dict[str, str] = field(default_factory=dict)
    times: dict[str, datetime] = field(default_factory=dict)

    @property
    def title(self) -> str | None:
        """The title that the author gave."""
        return self.texts.get("title") or None

    def metadata(self) -> Metadata:
        """Return what the file says of itself but for its title."""
        return metadata(
            {
                "author": self.texts.get("author"),
                "created": self.times.get("creatim"),
                "modified": self.times.get("revtim"),
                "subject": self.texts.get("subject"),
                "keywords": self.texts.get("keywords"),
            }
        )


def read_fonts(group: bytes) -> dict[int, str | None]:
    """Read the table of fonts: which encoding each has, where it says so."""
    fonts: dict[int, str | None] = {}
    font = 0
    for token in Tokens(group):
        number = token.number or 0
        if token.word == "f" and len(fonts) < MAX_FONTS:
            font = number
            fonts.setdefault(font, None)
        elif token.word == "fcharset":
            fonts[font] = charset_encoding(number)
        elif token.word == "cpg":
            fonts[font] = code_page_encoding(number)
    return fonts


def read_styles(group: bytes, encoding: str) -> dict[int, int]:
    """Read the style sheet: which paragraph styles are headings, and of which level."""
    styles: dict[int, int] = {}
    for entry in _groups(group):
        numbers, name = _content(entry, encoding)
        level = _outline(numbers, name.partition(";")[0].strip())
        if level is not None and not numbers.keys() & {"cs", "ds", "ts"}:
            styles.setdefault(numbers.get("s", 0), level)
        if len(styles) == MAX_STYLES:
            break
    return styles


def read_info(group: bytes, info: Info) -> None:
    """Read title, author, dates and their like."""
    for entry in _groups(group):
        numbers, text = _content(entry, info.encoding)
        name = next(iter(numbers), "")
        if name in _TEXTS:
            info.texts[name] = " ".join(text.split())
        elif name in _TIMES and (when := _time(numbers)) is not None:
            info.times[name] = when


def _outline(numbers: dict[str, int], name: str) -> int | None:
    if (level := numbers.get("outlinelevel", 9)) < 9:
        return level
    if (heading := _HEADING.fullmatch(name)) is not None:
        return max(0, int(heading[1]) - 1)
    return 0 if _TITLE.fullmatch(name) else None


def _time(numbers: dict[str, int]) -> datetime | None:
    try:
        return datetime(*(numbers.get(unit, 0) for unit in _UNITS))  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return None


def _groups(data: bytes) -> Iterator[bytes]:
    """Yield the groups that stand side by side."""
    tokens = Tokens(data)
    for token in tokens:
        if token.brace == b"{":
            yield tokens.rest_of_group()


def _content(group: bytes, encoding: str) -> tuple[dict[str, int], str]:
    """Return the control words of a group, with their numbers, and its text."""
    numbers: dict[str, int] = {}
    text: list[str] = []
    raw = bytearray()
    to_skip, skipped = 0, 1
    tokens = Tokens(group)
    for token in tokens:
        if token.word == "*":
            tokens.rest_of_group()
            continue
        piece = bytes((token.byte,)) if token.byte is not None else token.text
        raw += piece[to_skip:]
        to_skip = max(0, to_skip - len(piece))
        if token.word == "u":
            text += (raw.decode(encoding, errors="replace"), chr((token.number or 0) & 0xFFFF))
            raw.clear()
            to_skip = skipped
        elif token.word == "uc":
            skipped = min(100, max(0, token.number or 0))
        elif token.word:
            numbers.setdefault(token.word, token.number or 0)
    text.append(raw.decode(encoding, errors="replace"))
    return numbers, mended("".join(text))
