"""Where sentences end.

Knows the full stops of many scripts, abbreviations, and the lines of Markdown that stand for
themselves; nothing of meaning. Linear in the length of the text, also on hostile input.
"""

from __future__ import annotations

import re

_CANDIDATE = re.compile(
    r"""(?P<line>^[ \t]*+(?:\#{1,6}[ ]|\||```|~~~)[^\n]*+(?:\n|\Z))     # a line of its own
    | (?P<newline>\n(?=[ \t]*+(?:\n|[-*+•][ ]|\d{1,9}[.)][ ]|\#{1,6}[ ]|\||```|~~~)))
    | (?P<full>[。！？｡।॥۔؟።։។။]++)[」』”’）】〕》"')\]]*+                 # needs no blank after it
    | (?P<mark>[.!?…]++)["'”’»)\]*_]*+
    """,
    re.VERBOSE | re.MULTILINE,
)
_SPACE = re.compile(r"\s*+")
_NEXT_WORD = re.compile(r"[\"'“‘«(\[*_]*+([^\W\d_]{1,12}|\d|)")
_OPENING = "\"'“‘«([*_"
_WORD_CHARS = 24
"""Characters before a full stop that an abbreviation can have."""

# After these a sentence goes on. Those that often end one (etc., Inc., a.m.) are left to the rule
# that a small letter never begins a sentence.
_ABBREVIATIONS = frozenset(
    """e.g i.e cf viz vs dr mr mrs ms prof st mt rev hon gov sen lt sgt capt cmdr messrs mme al
    dept univ assn resp incl excl approx z.b d.h bzw vgl p.ex""".split()
)
_BEFORE_NUMBERS = frozenset(
    """no nos nr fig figs eq eqs sec sect ch vol vols p pp para art ref refs ca jan feb mar apr jun
    jul aug sep sept oct nov dec""".split()
)
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
# After initials (U.S., J.) only a word that is seldom part of a name begins a sentence.
_STARTERS = frozenset(
    """a an and as at but by for from he her his how however if in it its my no on our she so some
    that the their then there these they this those to we what when where which while who why with
    you your""".split()
)


def sentences(text: str) -> list[tuple[int, int]]:
    """Cut a text into sentences; return their offsets, which join to the whole text.

    White space belongs to the sentence before it, at the beginning to the first one.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    position = _after_space(text, 0)
    for found in _CANDIDATE.finditer(text):
        if found.end() <= position or (found["mark"] is not None and not _ends(text, found)):
            continue
        position = _after_space(text, found.end())
        spans.append((start, position))
        start = position
    if start < len(text):
        spans.append((start, len(text)))
    return spans


def _ends(text: str, found: re.Match[str]) -> bool:
    """Whether a mark such as `.`, `?!` or `…` ends a sentence here."""
    end = found.end()
    if end == len(text):
        return True
    if not text[end].isspace():
        return found["mark"][-1] in "!?" and _is_cjk(text[end])
    following = _NEXT_WORD.match(text, _after_space(text, end))
    word = following[1] if following else ""
    if word[:1].islower():
        return False
    return found["mark"] != "." or _is_full_stop(text, found.start(), word)


def _is_full_stop(text: str, stop: int, following: str) -> bool:
    """Whether the full stop is more than the end of an abbreviation or of a list's number."""
    before = text[max(0, stop - _WORD_CHARS) : stop]
    words = before.rsplit(None, 1)
    word = words[-1].lstrip(_OPENING) if words else ""
    lower = word.lower()
    if lower in _ABBREVIATIONS:
        return False
    if lower in _BEFORE_NUMBERS and following.isdigit():
        return False
    if _INITIALS.fullmatch(word):
        return following.lower() in _STARTERS
    if word.isdecimal() and len(word) < _WORD_CHARS:
        line = before[: -len(word)].rpartition("\n")
        begins_line = not line[2].strip() and (bool(line[1]) or stop <= _WORD_CHARS)
        return not begins_line
    return True


def _is_cjk(char: str) -> bool:
    return "\u2e80" <= char <= "\u9fff" or char >= "\U00020000"


def _after_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position
