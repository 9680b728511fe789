"""What pictures say of themselves: notes in EXIF and PNG.

Knows their tags (EXIF 2.32, PNG 11.3.4); nothing of pixels.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Mapping
from datetime import datetime

from PIL import ExifTags, Image

from indexers.parsing.content import Properties
from indexers.parsing.metadata import metadata
from indexers.parsing.moments import moment

DAMAGED = (
    *(OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, AttributeError),
    *(ArithmeticError, EOFError, struct.error),
)
"""What Pillow raises on damaged files."""

_LONGEST = 1000
"""Characters of a note."""
_ORIGINAL = 36867
"""DateTimeOriginal: when the photograph was taken."""
_TITLE, _COMMENT, _AUTHOR, _KEYWORDS, _SUBJECT = range(40091, 40096)
"""Tags of Windows, in UTF-16."""


def properties(image: Image.Image, pages: int) -> Properties:
    """Return title, description, author, keywords and the time at which the picture was made."""
    exif, taken = _exif(image)
    base = ExifTags.Base
    notes = {name.lower(): value for name, value in image.info.items() if isinstance(name, str)}
    found = {
        "author": _first(exif.get(_AUTHOR), exif.get(base.Artist), notes.get("author")),
        "created": _moment(taken) or _moment(notes.get("creation time")),
        "subject": _first(exif.get(_SUBJECT)),
        "keywords": _first(exif.get(_KEYWORDS)),
        "description": _first(
            exif.get(base.ImageDescription), notes.get("description"), exif.get(_COMMENT)
        ),
        "pages": pages if pages > 1 else None,
    }
    title = _first(exif.get(_TITLE), notes.get("title"))
    return Properties(title, metadata({name: value for name, value in found.items() if value}))


def _exif(image: Image.Image) -> tuple[Mapping[int, object], object]:
    """Return the tags of a picture and when it was taken; damaged ones are as good as none."""
    try:
        with warnings.catch_warnings(action="ignore"):
            exif = image.getexif()
            taken = exif.get_ifd(ExifTags.IFD.Exif).get(_ORIGINAL)
            return dict(exif), taken or exif.get(ExifTags.Base.DateTime)
    except DAMAGED:
        return {}, None


def _first(*values: object) -> str | None:
    """Return the first note that says something."""
    return next((text for value in values if (text := _text(value))), None)


def _text(value: object) -> str:
    if isinstance(value, tuple) and value and all(isinstance(item, int) for item in value):
        value = bytes(item & 0xFF for item in value)
    if isinstance(value, bytes):
        value = value.decode("utf-16-le", errors="replace")
    if not isinstance(value, str):
        return ""
    return " ".join(value.partition("\0")[0].split())[:_LONGEST]


def _moment(value: object) -> datetime | None:
    """Read a time as EXIF writes it, with colons in the date."""
    text = _text(value)
    return moment(text[:10].replace(":", "-") + text[10:])
