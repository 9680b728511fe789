"""Elements of pages to the parts of a document.

Knows headings' marks, where pages begin, and what goes on from one page to the next; nothing of
how a page was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from indexers.parsing.content import Part
from indexers.parsing.pdf.elements import Element, goes_on
from indexers.parsing.pdf.headings import MAX_LEVEL, Scale
from indexers.parsing.pdf.joining import Vocabulary, joined_lines
from indexers.parsing.pdf.outline import Outline
from indexers.parsing.pdf.table import Table
from rag.types import BlockKind, Place

MAX_PART = 100_000
"""Characters; longer text is cut between lines or words."""
_MAX_LABEL = 1_000
_MAX_JOINED = 20_000
"""Characters after which a paragraph is not continued."""
_OUTLINE_LINES = 4


class Assembly:
    """Takes the elements page by page; holds back what may go on on the next page."""

    def __init__(self, scale: Scale, outline: Outline, vocabulary: Vocabulary) -> None:
        self._scale, self._outline, self._vocabulary = scale, outline, vocabulary
        self._held: list[tuple[Element, int]] = []
        """A paragraph that breaks off at the end of its page, and the notes below it."""
        self._page = 0
        self._outer = 0
        """Level of the last heading that is in the outline."""
        self._table: Table | None = None

    def page(
        self, elements: Sequence[Element], notes: Sequence[Element], number: int
    ) -> Iterator[Part]:
        """Yield what is complete when a page is added."""
        rest = list(elements)
        if rest and self._held:
            self._join(rest, number)
        yield from self.flush()
        if rest and rest[0].table is not None:
            self._repeat_header(rest[0].table)
        if rest and rest[-1].is_open and not self._is_heading(rest[-1], number):
            last = rest.pop()
            self._held = [(last, number), *((note, number) for note in notes)]
            notes = ()
        self._table = (rest[-1].table or self._table) if rest else self._table
        for element in [*rest, *notes]:
            yield from self._parts(element, number)

    def picture(self, parts: Sequence[Part], number: int) -> Iterator[Part]:
        """Yield the text of a page that is a picture."""
        yield from self.flush()
        self._table = None
        for part in parts:
            yield self._placed(part, number)

    def flush(self) -> Iterator[Part]:
        """Yield what was held back."""
        held, self._held = self._held, []
        for element, number in held:
            yield from self._parts(element, number)

    def _join(self, rest: list[Element], number: int) -> None:
        """Put the beginning of a page to the paragraph that broke off before it."""
        last, page = self._held[0]
        first = rest[0]
        if page != number - 1 or not goes_on(last, first) or len(last.text) > _MAX_JOINED:
            return
        text = joined_lines([last.text, first.text], self._vocabulary)
        # A word that a hyphen cut belongs to the page on which it ends.
        start = len(text) - len(first.text)
        start = text.rfind(" ", 0, start) + 1 if not text[start - 1].isspace() else start
        joined = replace(
            last,
            text=text,
            lines=last.lines + first.lines,
            page=last.page or page,
            pages=[*last.pages, (start, number)],
        )
        del rest[0]
        if rest or not first.is_open:
            self._held[0] = (joined, page)
        else:
            rest.append(joined)
            del self._held[0]

    def _repeat_header(self, table: Table) -> None:
        """Give a table that goes on from the page before the header that it had there."""
        if self._table is not None and self._table.goes_on(table):
            table.header = list(self._table.header)

    def _is_heading(self, element: Element, number: int) -> bool:
        return self._scale.is_heading(element) or bool(self._outlined(element, number))

    def _outlined(self, element: Element, number: int) -> int:
        if element.kind not in ("prose", "item") or element.lines > _OUTLINE_LINES:
            return 0
        return self._outline.level(number, element.text)

    def _parts(self, element: Element, number: int) -> Iterator[Part]:
        number = element.page or number
        if element.table is not None:
            for text in element.table.texts():
                yield self._placed(Part("table", text), number)
            return
        level = self._outlined(element, number)
        if level or self._scale.is_heading(element):
            yield self._placed(self._heading(element, level), number)
            return
        kind: BlockKind = "paragraph"
        if element.kind == "list":
            kind = "list"
        elif element.kind == "code":
            kind = "code"
        if len(element.text) > MAX_PART:
            for text in _pieces(element.text):
                yield self._placed(Part(kind, text), number)
            return
        part = self._placed(Part(kind, element.text), number)
        if element.pages:
            inner = tuple(Place(start, "page", page) for start, page in element.pages)
            part = part._replace(places=part.places + inner)
            self._page = element.pages[-1][1]
        yield part

    def _heading(self, element: Element, level: int) -> Part:
        label = " ".join(element.text.split())[:_MAX_LABEL]
        if level:
            self._outer = level
        else:
            level = self._scale.level(element)
            if self._outer:
                level = max(level, self._outer + 1)
        level = min(level, MAX_LEVEL)
        return Part("heading", f"{'#' * level} {label}", level, label)

    def _placed(self, part: Part, number: int) -> Part:
        """Say on which page a part stands, where the part before it stood on another one."""
        if number == self._page:
            return part
        self._page = number
        return part._replace(places=(Place(0, "page", number),))


def _pieces(text: str) -> Iterator[str]:
    while len(text) > MAX_PART:
        cut = max(text.rfind("\n", 0, MAX_PART), text.rfind(" ", 0, MAX_PART // 2)) + 1
        yield text[: cut or MAX_PART]
        text = text[cut or MAX_PART :]
    yield text
