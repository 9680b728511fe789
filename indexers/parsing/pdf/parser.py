"""PDF: text in reading order with headings, lists and tables, page by page.

Knows in which order the steps come, and how many pages ahead each of them looks; nothing of the
steps themselves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace

import pypdfium2 as pdfium

from indexers.parsing.content import Content, Part, Properties, Pulse, Yielded
from indexers.parsing.metadata import metadata
from indexers.parsing.pdf.assembly import Assembly
from indexers.parsing.pdf.attachments import read_attachments
from indexers.parsing.pdf.elements import Element
from indexers.parsing.pdf.furniture import REACH, Furniture
from indexers.parsing.pdf.headings import Scale, largest
from indexers.parsing.pdf.joining import Vocabulary
from indexers.parsing.pdf.layout import page_elements
from indexers.parsing.pdf.opening import open_document
from indexers.parsing.pdf.outline import Outline
from indexers.parsing.pdf.pages import ReadPage, read_pages
from indexers.parsing.pdf.properties import read_metadata, read_title
from rag.errors import UnreadableDocument

AHEAD = 8
"""Pages whose headings are known before the level of any is decided."""


def parse_pdf(content: Content) -> Iterator[Yielded]:
    """Yield what the file says of itself, its text page by page, and its attachments.

    A page that cannot be read is left out. Raise `UnreadableDocument` when none can be read
    (`malformed`) or the file needs another password (`encrypted`).
    """
    with closing(open_document(content)) as document:
        reading = _Reading(document)
        yield Properties(read_title(document), read_metadata(document))
        yield from reading.parts(content)
        yield from read_attachments(document)


@dataclass(slots=True)
class _Laid:
    """A page whose elements are known."""

    number: int
    elements: list[Element] = field(default_factory=list)
    notes: list[Element] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)


class _Reading:
    """A document on its way through the steps."""

    def __init__(self, document: pdfium.PdfDocument) -> None:
        self._document = document
        self._furniture, self._scale = Furniture(), Scale()
        self._vocabulary = Vocabulary()
        self._assembly = Assembly(self._scale, Outline(document), self._vocabulary)
        self._pages = self._scans = 0
        self._has_title = read_title(document) is not None

    def parts(self, content: Content) -> Iterator[Yielded]:
        """Yield the parts of all pages."""
        waiting: deque[_Laid] = deque()
        is_first = True
        for laid in self._laid(content):
            if laid is None:
                content.report(self._pages / max(1, len(self._document)))
                yield Pulse()
                continue
            waiting.append(laid)
            if len(waiting) > AHEAD:
                yield from self._begun(waiting) if is_first else ()
                is_first = False
                yield from self._assembled(waiting.popleft())
        yield from self._begun(waiting) if is_first else ()
        for laid in waiting:
            yield from self._assembled(laid)
        yield from self._assembly.flush()
        if not self._pages:
            raise UnreadableDocument("no page of the PDF can be read")
        if self._scans == self._pages:
            yield Properties(metadata=metadata({"ocr": "missing"}))

    def _laid(self, content: Content) -> Iterator[_Laid | None]:
        """Yield the pages without their furniture, which is known some pages later.

        None says that one more page was read.
        """
        waiting: deque[ReadPage] = deque()
        for page in read_pages(self._document, content):
            self._note(page)
            yield None
            waiting.append(page)
            if len(waiting) > REACH:
                yield self._laid_out(waiting.popleft())
        while waiting:
            yield self._laid_out(waiting.popleft())

    def _note(self, page: ReadPage) -> None:
        self._pages += 1
        self._scans += page.is_unread_scan
        for i, text in enumerate(page.texts):
            if i == 0:
                self._furniture.note(text.rows, page.number)
            for row in text.rows:
                self._scale.note(row.stretches)
                self._vocabulary.learn(stretch.text for stretch in row.stretches)

    def _laid_out(self, page: ReadPage) -> _Laid:
        self._scale.settle()
        laid = _Laid(page.number, parts=page.parts)
        for i, text in enumerate(page.texts):
            if i == 0:
                text.rows = self._furniture.cleared(text.rows, page.number)
            elements, notes = page_elements(text, self._scale.body, self._vocabulary)
            if i > 0:  # text in another direction is no heading of the page
                elements = [replace(e, look=self._scale.body, is_bold=False) for e in elements]
            laid.elements.extend(elements)
            laid.notes.extend(notes)
        self._scale.learn(laid.elements, page.number)
        return laid

    def _begun(self, waiting: deque[_Laid]) -> Iterator[Properties]:
        """Yield a title from the first page, if the file says none."""
        if self._has_title or not waiting:
            return
        heads = [e for e in waiting[0].elements if self._scale.is_heading(e)]
        title = largest(heads)
        if title is not None:
            yield Properties(" ".join(title.text.split()))

    def _assembled(self, laid: _Laid) -> Iterator[Part]:
        if laid.parts:
            yield from self._assembly.picture(laid.parts, laid.number)
        else:
            yield from self._assembly.page(laid.elements, laid.notes, laid.number)
