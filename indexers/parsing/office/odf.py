"""OpenDocument texts and presentations (ODT, OTT, ODP, OTP): ODF 1.3 part 3.

Knows the order of what a document consists of; nothing of its paragraphs and tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lxml import etree

from indexers.parsing.content import Content, Properties, Yielded
from indexers.parsing.metadata import metadata
from indexers.parsing.office.grouping import BREAK, Line, grouped
from indexers.parsing.office.odfobjects import object_lines
from indexers.parsing.office.odfpackage import (
    DRAW,
    OFFICE,
    PRESENTATION,
    STYLE,
    SVG,
    TABLE,
    TEXT,
    odf_properties,
    open_odf,
)
from indexers.parsing.office.odfstyles import Styles
from indexers.parsing.office.odftext import OdfText
from indexers.parsing.office.slides import by_rows, first_title, slide_heading
from indexers.parsing.office.titles import titled
from indexers.parsing.unzipping import SafeZip, read_entry
from indexers.parsing.xmlsafe import local, parse_xml, stream_xml, without_entities
from rag.errors import UnreadableDocument

MAX_CONTENT_BYTES = 128 << 20
_AUTOMATIC = f"{OFFICE}automatic-styles"
_BLOCKS = (
    _AUTOMATIC,
    *(f"{TEXT}{name}" for name in ("p", "h", "list", "tracked-changes")),
    *(f"{DRAW}{name}" for name in ("frame", "custom-shape", "g")),
    f"{TABLE}table",
)
_MARGINS = ("header", "header-left", "header-first", "footer", "footer-left", "footer-first")
_SLIDE_MARGINS = frozenset({"footer", "date-time", "page-number", "header", "page"})
_TITLES = frozenset({"title"})
_UNITS = {"cm": 360_000, "mm": 36_000, "in": 914_400, "pt": 12_700, "pc": 152_400, "px": 9_525}
"""EMU in each."""


def parse_odt(content: Content) -> Iterator[Yielded]:
    """Yield the text of a document with notes and comments, then headers and footers.

    Raise `UnreadableDocument`: malformed, encrypted, too_large.
    """
    archive = open_odf(content)
    properties = odf_properties(archive)
    yield properties
    styles, margins = _styles(archive)
    words = OdfText(styles, lambda element: object_lines(archive, element))
    lines = _body_lines(archive, words, styles)
    yield from titled(grouped(lines), properties.title, lambda: words.title)
    seen: set[str] = set()
    margin_text = OdfText(styles, is_margin=True)
    for part in grouped(margin_text.lines(margins)):
        if part.text not in seen:
            seen.add(part.text)
            yield part


def _body_lines(archive: SafeZip, words: OdfText, styles: Styles) -> Iterator[Line]:
    with archive.open("content.xml", MAX_CONTENT_BYTES, partial=True) as stream:
        for element in stream_xml(stream, _BLOCKS):
            if element.tag == _AUTOMATIC:
                styles.add(element)
            else:
                yield from words.lines([element])


def parse_odp(content: Content) -> Iterator[Yielded]:
    """Yield each slide: its title as a heading, what stands on it, then notes and comments.

    Raise `UnreadableDocument`: malformed, encrypted, too_large.
    """
    archive = open_odf(content)
    properties = odf_properties(archive)
    title = properties.title
    yield properties
    styles, _ = _styles(archive)
    number = 0
    with archive.open("content.xml", MAX_CONTENT_BYTES, partial=True) as stream:
        for element in stream_xml(stream, (_AUTOMATIC, f"{DRAW}page")):
            if element.tag == _AUTOMATIC:
                styles.add(element)
                continue
            number += 1
            words = OdfText(styles, lambda element: object_lines(archive, element))
            for part in grouped(_slide_lines(element, number, words)):
                if title is None and (title := first_title(part, number)):
                    yield Properties(title)
                yield part
    yield replace(properties, title=None, metadata=metadata({"slides": number}))


def _slide_lines(page: etree._Element, number: int, words: OdfText) -> Iterator[Line]:
    """Yield the lines of a slide."""
    notes = page.find(f"{PRESENTATION}notes")
    shapes = [
        shape
        for shape in page
        if shape is not notes and shape.get(f"{PRESENTATION}class") not in _SLIDE_MARGINS
    ]
    titles = [shape for shape in shapes if shape.get(f"{PRESENTATION}class") in _TITLES]
    title = " ".join(_text(titles, words).split())
    rest: list[Line] = []
    for shape in by_rows((_top(shape), shape) for shape in shapes if shape not in titles):
        rest += [BREAK, *words.lines([shape])]
    remark = "" if notes is None else _text(_note_boxes(notes), words)
    if not (title or remark or any(line.text for line in rest)):
        return
    yield slide_heading(title, number)
    yield from rest
    yield Line("quote", f"Notes: {remark}" if remark else "")


def _text(elements: Sequence[etree._Element], words: OdfText) -> str:
    return "\n".join(line.text for line in words.lines(elements) if line.text)


def _note_boxes(notes: etree._Element) -> list[etree._Element]:
    return [e for e in notes if e.get(f"{PRESENTATION}class") == "notes"]


def _top(shape: etree._Element) -> tuple[int, int]:
    """Return how far from the top and from the left a shape stands, in EMU."""
    return _length(shape.get(f"{SVG}y")), _length(shape.get(f"{SVG}x"))


def _length(text: str | None) -> int:
    number, unit = (text or "")[:-2], (text or "")[-2:]
    try:
        return int(min(max(float(number), -1e6), 1e6) * _UNITS.get(unit, 0))
    except ValueError:
        return 0


def _styles(archive: SafeZip) -> tuple[Styles, list[etree._Element]]:
    """Return the styles that are shared, and what stands in the margins of all pages."""
    styles = Styles()
    try:
        root = without_entities(parse_xml(read_entry(archive, "styles.xml", partial=True)))
    except UnreadableDocument:
        return styles, []
    styles.add(root)
    pages = root.iter(f"{STYLE}master-page")
    margins = [e for page in pages for e in page if local(e) in _MARGINS]
    return styles, sorted(margins, key=lambda e: local(e).startswith("footer"))
