"""Words and lines joined to running text.

Knows where a blank stands between words and where a hyphen only breaks a line; nothing of pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_WIDE = (
    "\u2e80-\u303f\u3041-\u30ff\u3100-\u312f\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff01-\uffef"
)
_MARKS = ",.:;!?()“”‘’…·、。—"
_NO_BLANK = re.compile(rf"(?<=[{_WIDE}]) (?=[{_WIDE}{_MARKS}])|(?<=[{_MARKS}]) (?=[{_WIDE}])")
_BETWEEN_MARKS = re.compile(rf"(?<=[{_MARKS}]) (?=[{_MARKS}])")
_BROKEN = re.compile(r"[^\W\d_]{2,}[-\u00ad\u2010]$")


_WIDE_CHARACTER = re.compile(f"[{_WIDE}]")


def is_wide(character: str) -> bool:
    """Whether the character is Chinese or Japanese."""
    return _WIDE_CHARACTER.match(character) is not None


def joined_words(words: Iterable[str]) -> str:
    """Join the words of a line; between Chinese or Japanese characters stands no blank."""
    return _closed(" ".join(words))


def joined_lines(lines: Iterable[str]) -> str:
    """Join the lines of a paragraph; a word that a hyphen breaks at a line's end is whole again."""
    text = ""
    for line in lines:
        if _BROKEN.search(text[-40:]) and line[:1].islower():
            text = text[:-1] + line
        else:
            text = f"{text} {line}" if text else line
    return _closed(text)


def _closed(text: str) -> str:
    """Take the blanks away that Tesseract leaves between wide characters and their marks."""
    if _WIDE_CHARACTER.search(text) is None:
        return text
    return _BETWEEN_MARKS.sub("", _NO_BLANK.sub("", text))
