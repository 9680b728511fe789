"""What a file says of itself: title, author, dates, language.

Knows the information dictionary and which titles mean something; nothing of the text.
"""

from __future__ import annotations

import ctypes
import re
from datetime import UTC, datetime, timedelta, timezone

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from indexers.parsing.metadata import metadata
from rag.types import Metadata

MAX_TITLE = 300
_DATE = re.compile(
    r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?\s*(?:([Zz+-])(\d\d)?'?(\d\d)?'?)?"
)
_FILE = re.compile(
    r"\.(?:pdf|docx?|xlsx?|pptx?|indd|tex|dvi|ps|jpe?g|png|tiff?|html?|txt|odt)$", re.I
)
_EMPTY = re.compile(
    r"(?:untitled|unbenannt|document|dokument|title|titel|scan|slide|folie|presentation|powerpoint"
    r"|microsoft (?:word|powerpoint|excel)|print|no title|pdf)(?:[\W_]|\d|presentation)*",
    re.IGNORECASE,
)
_TOOL = re.compile(r"^microsoft (?:word|powerpoint|excel) - ", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{2,}")
_STRANGE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd]")
_MOJIBAKE = re.compile(r"[ÂÃãäåæçèéï][\x80-\xbf‚-›‹…†‡ˆ‰€Œœžšÿ™]")


def read_metadata(document: pdfium.PdfDocument) -> Metadata:
    """Return what is known of the file as `meta.*` fields."""
    return metadata(
        {
            "author": _clean(_value(document, "Author")) or None,
            "subject": _clean(_value(document, "Subject")) or None,
            "keywords": _clean(_value(document, "Keywords")) or None,
            "created": _moment(_value(document, "CreationDate")),
            "modified": _moment(_value(document, "ModDate")),
            "lang": _language(document) or None,
            "pages": len(document),
        }
    )


def read_title(document: pdfium.PdfDocument) -> str | None:
    """Return the title in the file's information, unless it is a file's name or says nothing."""
    found = _value(document, "Title")
    title = _TOOL.sub("", _clean(found)).strip()
    if not title or len(title) > MAX_TITLE or _STRANGE.search(found) or _MOJIBAKE.search(title):
        return None
    if _FILE.search(title) or _EMPTY.fullmatch(title) or _WORD.search(title) is None:
        return None
    return title


def _value(document: pdfium.PdfDocument, name: str) -> str:
    try:
        return str(document.get_metadata_value(name))
    except (pdfium.PdfiumError, UnicodeDecodeError):
        return ""


def _clean(text: str) -> str:
    return " ".join(_STRANGE.sub(" ", text).split())


def _moment(text: str) -> datetime | None:
    """Read a date as PDF writes it, `D:20220729060321-04'00'`; PDF 32000-1:2008, 7.9.4."""
    found = _DATE.match(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (
        int(part) if part else default
        for part, default in zip(found.groups()[:6], (0, 1, 1, 0, 0, 0), strict=True)
    )
    zone = UTC
    if found[7] in ("+", "-"):
        offset = timedelta(hours=int(found[8] or 0), minutes=int(found[9] or 0))
        if offset < timedelta(hours=24):
            zone = timezone(offset if found[7] == "+" else -offset)
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=zone)
    except ValueError:
        return None


def _language(document: pdfium.PdfDocument) -> str:
    buffer = (ctypes.c_ushort * 64)()
    written = raw.FPDFCatalog_GetLanguage(document, buffer, ctypes.sizeof(buffer))
    if not 2 < written <= ctypes.sizeof(buffer):
        return ""
    return bytes(buffer)[: written - 2].decode("utf-16-le", errors="ignore").strip()
