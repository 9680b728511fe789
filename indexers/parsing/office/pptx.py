"""Presentations (PPTX, PPTM, POTX): PresentationML in a package, ECMA-376 part 1, 19.

Knows the order of the slides, and what belongs to each: title, shapes, notes, comments. Nothing of
shapes. Hidden slides are read like others: who opens the file sees them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import replace

from lxml import etree

from indexers.parsing.content import Content, Member, Properties, Yielded
from indexers.parsing.metadata import metadata
from indexers.parsing.office.drawings import A, R
from indexers.parsing.office.grouping import BREAK, Line, grouped
from indexers.parsing.office.package import Package, open_package
from indexers.parsing.office.properties import package_properties
from indexers.parsing.office.slides import first_title, slide_heading
from indexers.parsing.office.slideshapes import Layout, P, slide_lines
from indexers.parsing.office.slidetext import body_text
from indexers.parsing.xmlsafe import local
from rag.errors import UnreadableDocument

_SLIDE = re.compile(r"ppt/slides/slide(\d{1,9})\.xml", re.IGNORECASE)
_SECTIONS = frozenset({"title", "secHead"})
"""Layouts of slides that stand above those that follow."""


def parse_pptx(content: Content) -> Iterator[Yielded]:
    """Yield each slide: its title as a heading, text, tables and charts, then notes and comments.

    Each slide begins with its place. Files that are embedded are members. Raise
    `UnreadableDocument`: malformed, encrypted, too_large.
    """
    package = open_package(content)
    main = package.main("ppt/presentation.xml")
    slides = _slides(package, main)
    if not slides:
        raise UnreadableDocument("the presentation has no slides that can be found")
    properties = package_properties(package)
    yield replace(properties, metadata={**properties.metadata, **metadata({"slides": len(slides)})})
    authors = _authors(package, main)
    layouts: dict[str | None, Layout] = {}
    title = properties.title
    for number, slide in enumerate(slides, 1):
        name = next(iter(package.related(slide, "slideLayout")), None)
        if name not in layouts:
            layouts[name] = Layout(package, name)
        for part in grouped(_lines(package, slide, number, layouts[name], authors)):
            if title is None and (title := first_title(part, number)):
                yield Properties(title)
            yield part
        yield from _embedded(package, slide)


def _slides(package: Package, main: str) -> list[str]:
    """Return the parts of the slides in their order; by their names where that is damaged."""
    root = package.xml(main)
    relations = package.relations(main)
    found = dict.fromkeys(
        relations[key].target
        for element in ([] if root is None else root.iterfind(f"{P}sldIdLst/{P}sldId"))
        if (key := element.get(f"{R}id") or "") in relations and not relations[key].is_external
    )
    existing = [name for name in found if package.has(name)]
    if existing:
        return existing
    numbered = ((_SLIDE.fullmatch(name), name) for name in package.names())
    return [name for _, name in sorted((int(match[1]), name) for match, name in numbered if match)]


def _lines(
    package: Package, slide: str, number: int, layout: Layout, authors: dict[str, str]
) -> Iterator[Line]:
    """Yield the lines of a slide."""
    title, *lines = list(slide_lines(package, slide, layout)) or [Line("heading", "")]
    notes = _notes(package, slide)
    comments = list(_comments(package, slide, authors))
    if not (title.text or notes or comments or any(line.text.strip() for line in lines)):
        return
    yield slide_heading(title.text, number, 1 if layout.kind in _SECTIONS else 2)
    yield from lines
    yield BREAK
    if notes:
        yield Line("quote", f"Notes: {notes}")
    yield from comments


def _notes(package: Package, slide: str) -> str:
    """Return what the speaker has noted (13.3.5)."""
    root = package.related_xml(slide, "notesSlide")
    if root is None:
        return ""
    texts = []
    for shape in root.iter(f"{P}sp"):
        placeholder = shape.find(f"./*/{P}nvPr/{P}ph")
        body = shape.find(f"{P}txBody")
        if body is not None and placeholder is not None and placeholder.get("type") == "body":
            texts.append(body_text(body))
    return "\n".join(filter(None, texts))


def _authors(package: Package, main: str) -> dict[str, str]:
    """Return the names of those who commented, by the ids that comments use."""
    roots = [package.related_xml(main, kind) for kind in ("commentAuthors", "authors")]
    return {
        element.get("id") or "": " ".join((element.get("name") or "").split())
        for root in roots
        if root is not None
        for element in root
    }


def _comments(package: Package, slide: str, authors: dict[str, str]) -> Iterator[Line]:
    """Yield comments and answers, of the older form (19.4) and of the threads of [MS-PPTX]."""
    for name in package.related(slide, "comments"):
        root = package.xml(name)
        for element in [] if root is None else root.iter():
            if local(element) not in ("cm", "reply"):
                continue
            text = "\n".join(filter(None, map(_comment_text, element)))
            author = authors.get(element.get("authorId") or "", "")
            if text:
                yield Line("quote", f"Comment ({author}): {text}" if author else f"Comment: {text}")


def _comment_text(child: etree._Element) -> str:
    match local(child):
        case "text":
            return (child.text or "").strip()
        case "txBody":
            return "".join(run.text or "" for run in child.iter(f"{A}t")).strip()
    return ""


def _embedded(package: Package, slide: str) -> Iterator[Member]:
    """Yield the files that are embedded in a slide; those that are damaged are left out."""
    for name in package.related(slide, "package"):
        try:
            yield Member(posixpath.basename(name), package.read(name))
        except UnreadableDocument as exc:
            if exc.code == "too_large":
                raise
