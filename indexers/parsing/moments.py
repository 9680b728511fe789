"""Dates and times as files write them: ISO 8601, RFC 5322, and a few customary forms.

Knows only forms that can be read in one way; `03/04/2021` is none of them.
"""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import parsedate_to_datetime

_COMPACT = re.compile(r"(?:D:)?(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?)?")
_UNIVERSAL = re.compile(r" ?(?:UTC|GMT)$")
_PARTIAL = re.compile(r"(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2}))?)?")


def moment(text: str | None) -> datetime | None:
    """Return the moment that a text names; None where it names none.

    A year or month stands for its first day. A moment without a zone has none.
    """
    text = (text or "").strip()[:100]
    if not text:
        return None
    if (partial := _PARTIAL.fullmatch(text)) or (partial := _COMPACT.fullmatch(text)):
        return _date([int(group or 0) for group in partial.groups()])
    try:
        return datetime.fromisoformat(_UNIVERSAL.sub("+00:00", text))
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _date(numbers: list[int]) -> datetime | None:
    year, month, day, hour, minute, second = [*numbers, 0, 0, 0][:6]
    try:
        return datetime(year, max(1, month), max(1, day), hour, minute, second)
    except ValueError:
        return None
