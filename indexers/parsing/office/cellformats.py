"""Values of spreadsheet cells as text, by the number formats of ECMA-376 part 1, 18.8.31.

Knows percentages, decimals, currencies, dates and times. Writes what readers see, but dates in the
form of ISO 8601 and digits without separators of thousands, so that they read alike everywhere.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

GENERAL = "General"
MAX_DECIMALS = 15
MAX_CODE = 255
"""Characters of a format that are looked at."""
BUILT_IN = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00",
    14: "yyyy-mm-dd", 15: "yyyy-mm-dd", 16: "yyyy-mm-dd", 17: "yyyy-mm", 18: "h:mm", 19: "h:mm:ss",
    20: "h:mm", 21: "h:mm:ss", 22: "yyyy-mm-dd h:mm", 37: "#,##0", 38: "#,##0", 39: "#,##0.00",
    40: "#,##0.00", 41: "#,##0", 42: "#,##0", 43: "#,##0.00", 44: "#,##0.00", 45: "mm:ss",
    46: "[h]:mm:ss", 47: "mm:ss", 48: "##0.0E+0",
    **dict.fromkeys([*range(27, 32), 36, *range(50, 55), 57, 58], "yyyy-mm-dd"),
    **dict.fromkeys([32, 33, 34, 35, 55, 56], "h:mm"),
}  # fmt: skip
"""18.8.30; those that depend on the language of the program are dates."""

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|[_*].|\[\$(?P<currency>[^\]-]*)[^\]]*\]'
    r"|\[(?P<elapsed>h+|m+|s+)\]|\[[^\]]*\]|(?P<general>general)|(?P<exponent>e[+-])"
    r"|(?P<half>am/pm|a/p)|(?P<date>[ymdhsgb]+)|(?P<digits>[0#?.,]+)|(?P<percent>%)|(?P<plain>.)",
    re.IGNORECASE | re.DOTALL,
)
_EPOCH = datetime(1899, 12, 30)
_EPOCH_1904 = datetime(1904, 1, 1)
_LAST_SERIAL = 2_958_466
_LEAP_SERIAL = 61
"""From here on the calendar is right: the 1900 of spreadsheets has a 29 February."""


class _Form(NamedTuple):
    """What one section of a format makes of a number."""

    before: str = ""
    after: str = ""
    decimals: int | None = None
    """None is as many as are needed."""
    zeros: int = 1
    """How many digits there are at least before the point."""
    is_percent: bool = False
    is_scientific: bool = False
    date: str = ""
    """The letters of a date or time, in order; empty where the number is none."""
    is_elapsed: bool = False
    is_text: bool = False
    """A text stands for the number."""


def value_text(number: float, code: str = GENERAL, *, is_1904: bool = False) -> str:
    """Write a number in a format; one that is not understood is written in full."""
    if not math.isfinite(number):
        return str(number)
    form, is_signed = _form(code, number < 0)
    if form.is_elapsed:
        return _elapsed(number)
    if form.date:
        return _date(number, form.date, is_1904=is_1904)
    if form.is_text:
        return form.before
    digits = _digits(abs(number) * (100 if form.is_percent else 1), form)
    sign = "-" if number < 0 and (is_signed or digits.strip("0.")) else ""
    return f"{sign}{form.before}{digits}{form.after}".strip()


def plain_number(number: float) -> str:
    """Write a number with as many digits as it has, none for what arithmetic left over."""
    if abs(number) < 1e15 and number == int(number):
        return str(int(number))
    return f"{number:.15g}"


def _digits(number: float, form: _Form) -> str:
    if form.decimals is None or number >= 1e15:
        return plain_number(number)
    if form.is_scientific:
        return f"{number:.{form.decimals}E}"
    width = form.zeros + (form.decimals + 1 if form.decimals else 0)
    return f"{number:.{form.decimals}f}".zfill(width)


@lru_cache(maxsize=1024)
def _form(code: str, is_negative: bool) -> tuple[_Form, bool]:
    """Return the section of a format that is for a number, and whether it is written signed."""
    sections = _sections(code[:MAX_CODE])
    own = is_negative and len(sections) > 1 and bool(sections[1])
    return _section(sections[1] if own else sections[0]), not own


def _sections(code: str) -> list[list[re.Match[str]]]:
    sections: list[list[re.Match[str]]] = [[]]
    for match in _TOKEN.finditer(code):
        if match["plain"] == ";":
            sections.append([])
        else:
            sections[-1].append(match)
    return sections


def _section(tokens: list[re.Match[str]]) -> _Form:
    texts = ["", ""]
    digits, date = "", ""
    is_percent = is_scientific = is_elapsed = False
    for match in tokens:
        kind, text = match.lastgroup, match[match.lastgroup or 0]
        match kind:
            case "digits":
                digits += text
            case "date":
                date += text.lower()
            case "percent":
                is_percent = True
                texts[bool(digits)] += "%"
            case "exponent":
                is_scientific = True
                digits += "E"
            case "elapsed":
                is_elapsed = True
            case "general":
                return _Form()
            case "half" | None:
                pass
            case _ if text not in "()":
                texts[bool(digits)] += text
    if date or is_elapsed:
        return _Form(date=date, is_elapsed=is_elapsed)
    if "?" in digits and "/" in texts[1]:
        return _Form()  # a fraction
    before, after = map(_literal, texts)
    if not digits:
        is_text = all(token.lastgroup in (None, "quoted", "escaped") for token in tokens)
        return _Form(before + after, is_text=True) if is_text and before + after else _Form()
    whole, _, decimals = digits.partition("E")[0].partition(".")
    if whole.endswith(",") or decimals.endswith(","):
        return _Form(before, after)  # thousands or millions: the full number says more
    return _Form(
        before,
        after,
        min(sum(c in "0#?" for c in decimals), MAX_DECIMALS),
        min(whole.count("0"), MAX_DECIMALS),
        is_percent,
        is_scientific,
    )


def _literal(text: str) -> str:
    """Return what stands around a number: units and currencies, not signs."""
    return text.replace("-", "").replace("+", "") if not any(map(str.isalnum, text)) else text


def _date(serial: float, letters: str, *, is_1904: bool) -> str:
    if not 0 <= serial < _LAST_SERIAL:
        return plain_number(serial)
    if is_1904:
        moment = _EPOCH_1904 + timedelta(days=serial)
    else:
        moment = _EPOCH + timedelta(days=serial + (1 if 1 <= serial < _LEAP_SERIAL - 1 else 0))
    moment = (moment + timedelta(milliseconds=500)).replace(microsecond=0)
    has_time = "h" in letters or "s" in letters
    has_date = "y" in letters or "d" in letters or not has_time
    time = f"{moment:%H:%M:%S}" if "s" in letters else f"{moment:%H:%M}"
    if not has_date:
        return time
    if "d" not in letters and not has_time:
        return f"{moment.year:04}-{moment:%m}" if "m" in letters else f"{moment.year:04}"
    date = f"{moment.year:04}-{moment:%m-%d}"
    return f"{date} {time}" if has_time else date


def _elapsed(days: float) -> str:
    seconds = round(abs(days) * 86400)
    sign = "-" if days < 0 else ""
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
