"""The outline of a file: bookmarks that name headings.

Knows pdfium's bookmarks; nothing of how headings look.
"""

from __future__ import annotations

import re
from collections import defaultdict

import pypdfium2 as pdfium

MAX_ENTRIES = 20_000
MAX_DEPTH = 12
_NUMBER = re.compile(r"^(?:\d+(?:\.\d+)*\.?|[ivxlc]+\.|[a-z]\.)\s+", re.IGNORECASE)
_OTHER = re.compile(r"[\W_]+")
_LEAST = 2


class Outline:
    """The bookmarks of a file by the page that they lead to."""

    def __init__(self, document: pdfium.PdfDocument) -> None:
        self._levels: dict[int, dict[str, int]] = defaultdict(dict)
        for count, bookmark in enumerate(document.get_toc(max_depth=MAX_DEPTH)):
            if count == MAX_ENTRIES:
                break
            try:
                target = bookmark.get_dest()
                page = target.get_index() if target is not None else None
                title = _plain(bookmark.get_title())
            except (pdfium.PdfiumError, UnicodeDecodeError):
                continue
            if page is not None and len(title) >= _LEAST:
                self._levels[page + 1].setdefault(title, bookmark.level + 1)

    def level(self, page: int, text: str) -> int:
        """Return the level that the outline gives a heading on a page; 0: it is not in it."""
        return self._levels.get(page, {}).get(_plain(text), 0)


def _plain(text: str) -> str:
    """Return letters and digits only, without the number before a heading."""
    return _OTHER.sub("", _NUMBER.sub("", text.strip())).casefold()
