"""Which encoding bytes are in that are no UTF-8 and say nothing of it themselves.

Knows encodings and how they are told apart; what makes a text plausible is the business of
`alphabets`. Encodings of the web are told apart by the detector that browsers use. It has never
heard of those of DOS and classic Mac OS, so these are tried where its answer reads oddly.
"""

from __future__ import annotations

import re

from chardetng_py import EncodingDetector  # type: ignore[import-untyped]

from indexers.parsing.text.alphabets import implausibility

SAMPLE = 1 << 18
"""Bytes that are looked at, from the first one beyond ASCII on."""
PLAUSIBLE = 0.01
FEW = 4
"""Fewer characters beyond ASCII are Western where that is plausible: it is by far most frequent."""
MANY = 32
NOISE = 0.5
"""Beyond this implausibility it is no text at all, where many characters say so."""
MIN_NOISE = 0.1
"""Share of bytes beyond ASCII from which on noise is not only some damage in a text."""

_HIGH = re.compile(rb"[\x80-\xff]")
_OTHER_SCRIPTS = re.compile("[\u0370-\u0dff]")
_ESCAPES = re.compile(rb"\x1b(?:\$[@B]|\([BJ]|\$\))")
# The names of https://encoding.spec.whatwg.org stand for supersets that Python calls otherwise.
_CODECS = {
    "windows-874": "cp874",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc-kr": "cp949",
    "ibm866": "cp866",
    "iso-8859-8-i": "iso-8859-8",
}
_KIN = {
    "iso-8859-7": "windows-1253",
    "iso-8859-8": "windows-1255",
    "iso-8859-8-i": "windows-1255",
    "iso-8859-5": "windows-1251",
    "iso-8859-2": "windows-1250",
    "iso-8859-4": "windows-1257",
    "iso-8859-13": "windows-1257",
}
"""Encodings for the languages of a Windows code page."""
_OTHERS = {
    "iso8859-4": "windows-1257",
    "cp1251": "windows-1251",
    "cp1252": "windows-1252",
    "cp1250": "windows-1250",
    "cp1257": "windows-1257",
    "cp1254": "windows-1254",
    "cp850": "windows-1252",
    "mac-roman": "windows-1252",
    "cp437": "windows-1252",
    "cp852": "windows-1250",
    "mac-latin2": "windows-1250",
    "cp737": "windows-1253",
    "mac-greek": "windows-1253",
    "cp862": "windows-1255",
    "cp855": "windows-1251",
    "mac-cyrillic": "windows-1251",
    "cp775": "windows-1257",
    "cp857": "windows-1254",
    "mac-turkish": "windows-1254",
    "mac-iceland": "windows-1252",
}
"""What else is tried, the most used first, with the Windows code page of the same languages."""
_LATIN = frozenset({"windows-1250", "windows-1252", "windows-1254", "windows-1257"})
MIN_KEPT = 0.8
"""Share of the characters beyond ASCII that the code page must have, to confirm anything."""
_UNCONFIRMED = 0.05
_UNCONFIRMED_SCRIPT = 0.25


def escaped_encoding(data: bytes) -> str | None:
    """Recognise the encodings of Japanese and Korean mail, which are ASCII with escapes."""
    if _ESCAPES.search(data) is None:
        return None
    for codec in ("iso2022_jp_ext", "iso2022_kr"):
        try:
            if not data.decode(codec).isascii():
                return codec
        except UnicodeDecodeError:
            continue
    return None


def guessed_encoding(data: bytes, *, is_whole: bool = True) -> str | None:
    """Return the encoding in which the bytes are the most plausible text; None: no text at all.

    Unless they are the `whole`, the last character may be cut off.
    """
    first = _HIGH.search(data)
    start = max(0, first.start() - 64) if first else 0
    sample = data[start : start + SAMPLE]
    is_whole = is_whole and start + SAMPLE >= len(data)
    high = len(_HIGH.findall(sample))
    western = high < FEW and implausibility(sample.decode("cp1252", "replace")) <= PLAUSIBLE
    name = "windows-1252" if western else _asked(sample, is_whole=is_whole)
    codec = _CODECS.get(name, name)
    worth = implausibility(sample.decode(codec, errors="replace"))
    if worth > PLAUSIBLE:
        other, better = min(
            ((o, _rated(sample, o, limit=worth * 0.6)) for o in _OTHERS), key=lambda rated: rated[1]
        )
        if better < worth * 0.7:
            codec, worth = other, better
    is_noise = worth > NOISE and high > max(MANY, len(sample) * MIN_NOISE)
    return None if is_noise else codec


def _rated(sample: bytes, codec: str, *, limit: float) -> float:
    """Return how implausible the bytes are in an encoding, 1 where that is out of question.

    Brought into the Windows code page of its languages, the text should be what the detector
    expects there; letters of other scripts are hardly believed without that.
    """
    try:
        text = sample.decode(codec)
    except UnicodeDecodeError:
        return 1.0
    worth = implausibility(text)
    if worth > limit:
        return 1.0
    page = _OTHERS[codec]
    high = len(_HIGH.findall(sample))
    same = text.encode(page, errors="ignore")
    name = _asked(same)
    if _KIN.get(name, name) == page and len(_HIGH.findall(same)) > high * MIN_KEPT:
        return worth
    is_latin = page in _LATIN and len(_OTHER_SCRIPTS.findall(text)) < high / 2
    if is_latin or codec == page.replace("windows-", "cp"):
        return worth + _UNCONFIRMED
    return worth + _UNCONFIRMED_SCRIPT


def _asked(sample: bytes, *, is_whole: bool = True) -> str:
    detector = EncodingDetector()
    detector.feed(sample, last=is_whole)
    name: str = detector.guess(tld=None, allow_utf8=False)
    return name.lower()
