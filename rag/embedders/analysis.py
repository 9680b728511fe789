"""The terms of a text: one analyzer for every language, the same for passages and questions.

Knows Unicode and the shapes of words and identifiers; knows no language but the English stemmer
and stop list, and nothing of weights, columns or indexes. Time grows linearly with the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import chain, pairwise

import Stemmer

VERSION = 1
"""Part of every fingerprint; grows when any text would give other terms than before."""

MAX_TERM = 64
"""Characters of a term; longer ones (base64, digests) are cut."""

MAX_KNOWN = 65536
"""Words whose terms are remembered, 10 to 20 MB."""

MAX_HUMPS = 8
"""A word with more capitals inside is random text, not camelCase."""

MAX_STACK = 8
"""Combining marks kept in a row: no script has more, and sorting them takes quadratic time."""

_STOP_LINE = """
a an and are as at be but by for if in into is it no not of on or such that the their then there
these they this to was will with
"""
STOP_WORDS = frozenset(_STOP_LINE.split())
"""Lucene's English stop list."""

# Scripts that do not part words with spaces, and Hangul, whose words carry their particles.
_BIGRAMMED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17df"  # Burmese, Khmer
    "\u3005-\u3007\u3041-\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # kana
    "\u3100-\u312f\u31a0-\u31bf"  # Bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Han
    "\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff"  # Hangul
)
# Soft hyphen, joiners, byte order mark and variation selectors stand inside words unseen.
_INVISIBLE = "\u00ad\u200c\u200d\u2060\ufeff\ufe00-\ufe0f\U000e0100-\U000e01ef"
# Accents of Latin, Greek and Cyrillic; points and vowel signs of Hebrew and Arabic, and tatweel.
_ACCENTS = "\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
# Letters that Unicode does not decompose but keyboards without them replace (as Lucene does).
_LETTERS = str.maketrans(
    {"æ": "ae", "ð": "d", "đ": "d", "ħ": "h", "ı": "i", "ł": "l", "œ": "oe", "ø": "o", "þ": "th"}
)

_WORD = r"{w}+(?:[.@&-]{w}+)*(?:(?:\+\+?|\#)(?!{w}|[+\#]))?|['’][sS](?!{w})"
_ASCII_WORDS = re.compile(_WORD.format(w="[A-Za-z0-9_]"))
_CONNECTORS = re.compile(r"[.@&_-]")
_HUMPS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z]{2})")
_ACCENT = re.compile(f"[{_ACCENTS}]")
_RUN = re.compile(f"[{_BIGRAMMED}]")


def analyse(text: str) -> list[str]:
    """Split a text into terms, in order, repetitions kept.

    Words are folded (compatibility forms, case, accents) and, when English letters remain,
    stemmed; runs of scripts without spaces become overlapping pairs of characters. Identifiers
    (`Get-ChildItem`, `v1.2.3`, `snake_case`, `C++`) give the whole, unstemmed, and their parts.
    """
    if text.isascii():
        words = _ASCII_WORDS.findall(text)
    else:
        stacked, pattern = _unicode_patterns()
        plain = unicodedata.normalize("NFKC", stacked.sub(r"\1", text)).replace("\u2010", "-")
        words = pattern.findall(plain)
    return list(chain.from_iterable(map(_KNOWN.__getitem__, words)))


class _Known(dict[str, list[str]]):
    """The terms of words met before: a bounded cache that threads may share."""

    def __missing__(self, word: str) -> list[str]:
        terms = _split(word)
        if len(word) <= MAX_TERM:
            if len(self) >= MAX_KNOWN:
                self.clear()
            self[word] = terms
        return terms


_KNOWN = _Known()


def _split(word: str) -> list[str]:
    """Split a match of the word pattern: a run of bigrams, a possessive, a word or a compound."""
    if _RUN.match(word):
        return [a + b for a, b in pairwise(word)] or [word]
    if word[0] in "'’":
        return []
    word = word.strip("_")
    parts = [part for part in _CONNECTORS.split(word.rstrip("+#")) if part]
    if parts == [word]:
        return _simple(word)
    whole = _fold(word)[:MAX_TERM]
    return [whole, *(t for part in parts for t in _simple(part))] if whole.strip("._@&-+#") else []


def _simple(word: str) -> list[str]:
    """Return the term of a word without connectors, and those of its camelCase parts."""
    humps = _HUMPS.split(word) if len(word) <= MAX_TERM else []
    if not 1 < len(humps) <= MAX_HUMPS:
        return _stem(_fold(word))
    # Parts of one letter (mRNA, iPhone) say nothing.
    return _stem(_fold(word)) + [t for h in humps if len(h) > 1 for t in _stem(_fold(h))]


def _stem(word: str) -> list[str]:
    if not word or word in STOP_WORDS:  # empty: it was accents alone
        return []
    if word.isascii() and word.isalpha() and len(word) <= MAX_TERM:
        # Made anew because a stemmer is not thread-safe; that takes half a microsecond.
        word = Stemmer.Stemmer("english", 0).stemWord(word)
    return [word[:MAX_TERM]]


def _fold(word: str) -> str:
    """Fold case and accents; voice marks of kana and vowel signs of Indic scripts stay."""
    if word.isascii():
        return word.lower()
    bare = _ACCENT.sub("", unicodedata.normalize("NFKD", word))
    return unicodedata.normalize("NFC", bare).casefold().translate(_LETTERS)


@cache
def _unicode_patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Compile what ASCII texts do not need: surplus marks and invisibles; words of any script.

    Python's `\\w` leaves out combining marks, so it would break words of Indic scripts.
    """
    categories = ((code, unicodedata.category(chr(code))) for code in range(0x10000))
    kinds = {code: category[0] for code, category in categories if category[0] in "LMN"}
    marks = _ranges(code for code, kind in kinds.items() if kind == "M")
    letters = _ranges(code for code in kinds if not _RUN.match(chr(code)))
    letters += "\U00010000-\U0001efff"  # rare scripts as a whole: exact ranges cost every match
    # Halfwidth voice marks turn into combining marks.
    stacked = f"([{marks}\uff9e\uff9f]{{{MAX_STACK}}})[{marks}\uff9e\uff9f]+|[{_INVISIBLE}]"
    words = _WORD.format(w=f"[_{letters}]") + f"|[{_BIGRAMMED}]+"
    return re.compile(stacked), re.compile(words)


def _ranges(codes: Iterable[int]) -> str:
    """Write ascending code points as the inside of a character class."""
    spans: list[list[int]] = []
    for code in codes:
        if spans and spans[-1][1] == code - 1:
            spans[-1][1] = code
        else:
            spans.append([code, code])
    return "".join(f"{chr(a)}-{chr(b)}" for a, b in spans)
