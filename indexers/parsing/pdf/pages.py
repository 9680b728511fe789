"""Reading pages one after the other: rows of text, what is drawn, or the text of a picture.

Knows what must be open while a page is read, and what is left when it is closed; nothing of the
order in which text is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field

import pypdfium2 as pdfium

from indexers.parsing.content import Content, ParseOptions, Part
from indexers.parsing.pdf.fonts import Fonts
from indexers.parsing.pdf.forms import read_typed
from indexers.parsing.pdf.glyphs import read_glyphs
from indexers.parsing.pdf.layout import Page
from indexers.parsing.pdf.leaders import without_leaders
from indexers.parsing.pdf.marks import Marks, read_marks
from indexers.parsing.pdf.opening import open_document
from indexers.parsing.pdf.rows import Row, rows
from indexers.parsing.pdf.scans import FEW_LETTERS, can_read, is_scan, read_scan
from indexers.parsing.pdf.words import stretches

MAX_PAGES = 100_000
_LEAST_ROWS = 2
KEPT = 64 << 20
"""Bytes of a file that pdfium may keep, about."""
MAX_AT_ONCE = 500
"""Pages that are read before a file is opened anew."""
_LEAST_AT_ONCE = 8
MAX_FAILURES = 1_000
"""Pages in a sequence that cannot be read, after which the rest is given up."""


@dataclass(slots=True)
class ReadPage:
    """What is left of a page that was read."""

    number: int
    texts: list[Page] = field(default_factory=list)
    """Its text, that of each direction of writing for itself, upright text first."""
    parts: list[Part] = field(default_factory=list)
    """Of a page that is a picture."""
    is_unread_scan: bool = False


def read_pages(document: pdfium.PdfDocument, content: Content) -> Iterator[ReadPage]:
    """Yield the pages that can be read; only one is open at a time.

    pdfium keeps what it has read of a file, so a long one is opened anew after some pages.
    """
    count = min(len(document), MAX_PAGES)
    at_once = max(_LEAST_AT_ONCE, min(MAX_AT_ONCE, KEPT * count // max(content.size, 1)))
    failures = 0
    for start in range(0, count, at_once):
        with nullcontext(document) if not start else closing(open_document(content)) as opened:
            for number in range(start + 1, min(start + at_once, count) + 1):
                page = _page(opened, number, content.options)
                failures = failures + 1 if page is None else 0
                if failures == MAX_FAILURES:
                    return
                if page is not None:
                    yield page


def _page(document: pdfium.PdfDocument, number: int, options: ParseOptions) -> ReadPage | None:
    try:
        with closing(document[number - 1]) as page:
            return _read(page, number, options)
    except pdfium.PdfiumError:
        return None


def _read(page: pdfium.PdfPage, number: int, options: ParseOptions) -> ReadPage:
    read = ReadPage(number)
    letters = _read_text(page, read)
    if letters < FEW_LETTERS:
        images = read_marks(page).images
        if is_scan(page, images, letters):
            if can_read(options):
                read.parts = read_scan(page, options)
            read.is_unread_scan = not read.parts
            if read.parts:
                read.texts = []
    return read


def _read_text(page: pdfium.PdfPage, read: ReadPage) -> int:
    """Read the text layer; return how many letters it has."""
    try:
        text_page = page.get_textpage()
    except pdfium.PdfiumError:
        return 0
    letters = 0
    with closing(text_page):
        fonts = Fonts(text_page)
        typed = read_typed(page)
        for glyphs in read_glyphs(page, text_page):
            found = stretches(glyphs, fonts)
            if glyphs.turn == 0:
                found, typed = [*found, *typed], []
            letters += sum(len(stretch.text) for stretch in found)
            gathered = rows([part for stretch in found for part in without_leaders(stretch)])
            marks = read_marks(page, glyphs.turn) if _has_cells(gathered) else Marks()
            if gathered:
                read.texts.append(Page(read.number, gathered, marks))
        if typed:
            read.texts.append(Page(read.number, rows(typed), Marks()))
    return letters


def _has_cells(gathered: Sequence[Row]) -> bool:
    """Whether there may be a table or columns: what is drawn is worth the time to look."""
    return sum(len(row.stretches) > 1 for row in gathered) >= _LEAST_ROWS
