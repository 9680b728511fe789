"""The labels of numbered items: `3.`, `(c)`, `IV`, `2.1.3`.

Knows the ways to write a number that office documents use for lists; nothing of their files.
"""

from __future__ import annotations

import re

_ROMAN = (
    (1000, "m"),
    (900, "cm"),
    (500, "d"),
    (400, "cd"),
    (100, "c"),
    (90, "xc"),
    (50, "l"),
    (40, "xl"),
    (10, "x"),
    (9, "ix"),
    (5, "v"),
    (4, "iv"),
    (1, "i"),
)
_MARKDOWN_NUMBER = re.compile(r"\d{1,9}[.)]")


def written(number: int, style: str) -> str:
    """Write a number in a style by its name in WordprocessingML; unknown ones are decimal."""
    match style:
        case "lowerLetter" | "upperLetter":
            letters = _letters(number)
            return letters if style == "lowerLetter" else letters.upper()
        case "lowerRoman" | "upperRoman":
            numeral = roman(number)
            return numeral if style == "lowerRoman" else numeral.upper()
        case "decimalZero":
            return f"{number:02}"
        case "none" | "bullet":
            return ""
    return str(number)


def roman(number: int) -> str:
    """Write a number from 1 to 3999 in lower-case Roman numerals, others in decimal."""
    if not 0 < number < 4000:
        return str(number)
    numeral = ""
    for size, letters in _ROMAN:
        count, number = divmod(number, size)
        numeral += letters * count
    return numeral


def marker(label: str) -> str:
    """Return what begins the line of a list item in Markdown, given the label that readers see."""
    if not label:
        return "- "
    return f"{label} " if _MARKDOWN_NUMBER.fullmatch(label) else f"- {label} "


def _letters(number: int) -> str:
    """a to z, then aa, bb, … as word processors do."""
    if not 0 < number <= 26 * 20:
        return str(number)
    return chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
