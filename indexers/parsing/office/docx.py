"""Word documents (DOCX, DOCM, DOTX): WordprocessingML in a package, ECMA-376 part 1, 17.

Knows which parts of the package belong to the text, and in which order; nothing of their elements.
"""

from __future__ import annotations

import io
import posixpath
from collections.abc import Iterator, Sequence
from copy import deepcopy

from lxml import etree

from indexers.parsing.content import Content, Member, Yielded
from indexers.parsing.office.drawings import R, drawing_lines
from indexers.parsing.office.grouping import Line, grouped
from indexers.parsing.office.package import Package, open_package
from indexers.parsing.office.properties import package_counts, package_properties
from indexers.parsing.office.titles import titled
from indexers.parsing.office.wordnumbering import Numbering
from indexers.parsing.office.wordstyles import Styles, W, is_on
from indexers.parsing.office.wordtext import WordText
from indexers.parsing.unzipping import MAX_XML_BYTES
from indexers.parsing.xmlsafe import stream_xml
from rag.errors import UnreadableDocument

MAX_DOCUMENT_BYTES = 2 * MAX_XML_BYTES
MAX_MARGINS = 200
"""Headers and footers that are looked at."""
_COMPATIBILITY = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_BLOCKS = [
    *(f"{W}{name}" for name in ("p", "tbl", "sdt", "altChunk", "sectPr")),
    f"{_COMPATIBILITY}AlternateContent",
]
_PAGE_END = b"lastRenderedPageBreak/>"
_EMBEDDED = frozenset({"package", "aFChunk"})


def parse_docx(content: Content) -> Iterator[Yielded]:
    """Yield the text of a document: its body with notes and comments, then headers and footers.

    The pages are those that the program stored which saved it last, where their number agrees.
    Files that are embedded are members. Raise `UnreadableDocument`: malformed, encrypted,
    too_large.
    """
    package = open_package(content)
    main = package.main("word/document.xml")
    source = package.read(main, MAX_DOCUMENT_BYTES)
    styles = Styles(package.related_xml(main, "styles"))
    properties = package_properties(package)
    yield properties
    numbering = Numbering(package.related_xml(main, "numbering"), styles)
    body = WordText(
        styles,
        numbering,
        notes=_notes(package, main),
        comments=_children(package, main, "comments", "comment"),
        drawings=lambda drawing: drawing_lines(package, main, drawing),
        has_pages=_has_pages(package, source),
    )
    sections: list[etree._Element] = []
    lines = _body_lines(body, source, sections)
    yield from titled(grouped(lines), properties.title, lambda: body.title)
    yield from grouped(_margin_lines(package, main, sections, styles, numbering))
    yield from _embedded(package, main)


def _has_pages(package: Package, source: bytes) -> bool:
    """Whether the ends of pages that are stored agree with the number of pages that is stored."""
    counts = package_counts(package)
    return counts.get("Words", 0) > 0 and counts.get("Pages") == 1 + source.count(_PAGE_END)


def _body_lines(words: WordText, source: bytes, sections: list[etree._Element]) -> Iterator[Line]:
    """Yield the lines of the body; put copies of the properties of its sections into a list."""
    for element in stream_xml(io.BytesIO(source), _BLOCKS):
        if len(sections) < MAX_MARGINS:
            sections.extend(map(deepcopy, element.iter(f"{W}sectPr")))
        yield from words.lines([element])


def _notes(package: Package, main: str) -> dict[tuple[str, str], etree._Element]:
    """Return the notes by kind and id, without the lines that separate them from the text."""
    return {
        (kind, key): note
        for kind in ("footnote", "endnote")
        for key, note in _children(package, main, f"{kind}s", kind).items()
        if note.get(f"{W}type", "normal") == "normal"
    }


def _children(package: Package, main: str, kind: str, name: str) -> dict[str, etree._Element]:
    """Return the elements of a part that is related to the main one, by their ids."""
    root = package.related_xml(main, kind)
    return {} if root is None else {e.get(f"{W}id") or "": e for e in root.iter(f"{W}{name}")}


def _margin_lines(
    package: Package,
    main: str,
    sections: Sequence[etree._Element],
    styles: Styles,
    numbering: Numbering,
) -> Iterator[Line]:
    """Yield the lines of the headers and footers that are shown somewhere, each text once."""
    relations = package.relations(main)
    has_even = _is_set(package.related_xml(main, "settings"), "evenAndOddHeaders")
    parts: dict[str, None] = {}
    for kind in ("headerReference", "footerReference"):
        for section in sections:
            for reference in section.iterchildren(f"{W}{kind}"):
                form = reference.get(f"{W}type")
                relation = relations.get(reference.get(f"{R}id") or "")
                is_shown = form == "default" or (
                    _is_set(section, "titlePg") if form == "first" else has_even
                )
                if is_shown and relation is not None and not relation.is_external:
                    parts.setdefault(relation.target)
    seen: set[str] = set()
    for part in list(parts)[:MAX_MARGINS]:
        root = package.xml(part)
        words = WordText(styles, numbering, notes={}, comments={}, is_margin=True)
        for line in words.lines(() if root is None else root):
            text = " ".join(line.text.split())
            if text not in seen:
                seen.add(text)
                yield line


def _is_set(properties: etree._Element | None, name: str) -> bool:
    switch = None if properties is None else properties.find(f"{W}{name}")
    return switch is not None and is_on(switch.get(f"{W}val"))


def _embedded(package: Package, main: str) -> Iterator[Member]:
    """Yield the files inside that are documents themselves; those that are damaged are left out."""
    for kind in _EMBEDDED:
        for name in package.related(main, kind):
            try:
                yield Member(posixpath.basename(name), package.read(name))
            except UnreadableDocument as exc:
                if exc.code == "too_large":
                    raise
