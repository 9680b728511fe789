"""Files that end too early: the table of their pages, which stands last, is written anew.

Knows how objects of PDF begin; nothing of what pdfium can mend itself.
"""

from __future__ import annotations

import re

MAX_PAGES = 20_000
_PAGE = re.compile(rb"/Type\s{0,8}/Page(?![A-Za-z])")
_OBJECT = re.compile(rb"(\d{1,8})\s{1,4}(\d{1,5})\s{1,4}obj\b")
_REACH = 4_096
"""Bytes before its type in which an object begins."""


def repaired(data: bytes) -> bytes | None:
    """Return the file with a new catalog of the pages that are in it; None: there are none.

    Pages that are packed into object streams are not found.
    """
    pages: dict[int, int] = {}
    for found in _PAGE.finditer(data):
        start = max(0, found.start() - _REACH)
        objects = list(_OBJECT.finditer(data, start, found.start()))
        if objects:
            pages[int(objects[-1][1])] = int(objects[-1][2])
        if len(pages) == MAX_PAGES:
            break
    if not pages:
        return None
    first = max(int(found[1]) for found in _OBJECT.finditer(data)) + 1
    kids = b" ".join(b"%d %d R" % page for page in pages.items())
    return data + (
        b"\nendstream\nendobj\n"
        b"%d 0 obj\n<</Type/Pages/Count %d/Kids[%s]>>\nendobj\n"
        % (first, len(pages), kids)
        + b"%d 0 obj\n<</Type/Catalog/Pages %d 0 R>>\nendobj\n" % (first + 1, first)
        + b"trailer\n<</Root %d 0 R/Size %d>>\nstartxref\n0\n%%%%EOF\n" % (first + 1, first + 2)
    )
