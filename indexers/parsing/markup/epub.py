"""EPUB: the chapters of a book in the order in which they are read.

Knows the package and its tables of contents (EPUB 3.3, OPF 2.0); the chapters themselves are
pages, which are read by `html`. Nothing is fetched, and nothing outside the archive is looked at.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from lxml import etree

from indexers.parsing.content import Content, Part, Properties, Yielded
from indexers.parsing.markup.html import read_page
from indexers.parsing.metadata import metadata
from indexers.parsing.moments import moment
from indexers.parsing.unzipping import SafeZip, open_zip, read_entry
from indexers.parsing.xmlsafe import local, parse_xml
from rag.errors import UnreadableDocument
from rag.types import Metadata

MAX_CHAPTERS = 5000
MAX_CHAPTER_BYTES = 32 << 20
MAX_LABEL = 300

_PAGES = frozenset({"application/xhtml+xml", "text/html", "application/x-dtbook+xml"})
_PAGE_ENDINGS = (".xhtml", ".html", ".htm", ".xht")
_NCX = "application/x-dtbncx+xml"
_FONT_ALGORITHMS = frozenset(
    {"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"}
)
"""They hide fonts only, so that nobody installs them."""


@dataclass(slots=True)
class _Item:
    """A file of the book, as the package lists it."""

    path: str
    media_type: str
    is_navigation: bool


@dataclass(slots=True)
class _Book:
    """What the package says."""

    items: dict[str, _Item] = field(default_factory=dict)
    chapters: list[_Item] = field(default_factory=list)
    contents: str | None = None
    """Path of the older form of the table of contents."""
    title: str | None = None
    metadata: Metadata = field(default_factory=dict)


def parse_epub(content: Content) -> Iterator[Yielded]:
    """Read a book; what stands in no chapter (the table of contents) is left out.

    Raise `UnreadableDocument`: malformed, too_large, encrypted (its chapters are).
    """
    archive = open_zip(content)
    try:
        book = _read_package(archive)
        _check_encryption(archive, {chapter.path for chapter in book.chapters})
        yield Properties(book.title, book.metadata)
        labels = _labels(archive, book)
        problems: list[UnreadableDocument] = []
        for chapter in book.chapters[:MAX_CHAPTERS]:
            try:
                yield from _chapter(archive, chapter, labels.get(chapter.path, ""))
            except UnreadableDocument as error:  # one chapter does not cost the book
                problems.append(error)
        if problems and len(problems) == len(book.chapters[:MAX_CHAPTERS]):
            raise problems[0]
    finally:
        archive.close()


def _chapter(archive: SafeZip, chapter: _Item, label: str) -> Iterator[Part]:
    """Yield a chapter, under its name in the table of contents where it has no heading."""
    data = read_entry(archive, chapter.path, MAX_CHAPTER_BYTES, partial=True)
    parts = read_page(data, whole=True).parts
    if parts and label and not any(part.kind == "heading" for part in parts):
        yield Part("heading", f"# {label}", 1, label)
    yield from parts


def _read_package(archive: SafeZip) -> _Book:
    path = _package_path(archive)
    root = _xml(archive, path) if path else None
    if path is None or root is None:
        return _without_package(archive)
    book = _Book()
    folder = posixpath.dirname(path)
    spine: list[str] = []
    for element in root.iter():
        match local(element):
            case "item":
                book.items[element.get("id", "")] = _item(element, folder)
            case "itemref":
                spine.append(element.get("idref", ""))
            case "metadata":
                book.title, book.metadata = _said(element)
    found = (book.items[name] for name in dict.fromkeys(spine) if name in book.items)
    book.chapters = [item for item in found if _is_chapter(item)]
    book.contents = next((i.path for i in book.items.values() if i.media_type == _NCX), None)
    return book if book.chapters else _without_package(archive, book)


def _package_path(archive: SafeZip) -> str | None:
    container = _xml(archive, "META-INF/container.xml")
    if container is not None:
        for element in container.iter():
            if local(element) == "rootfile" and (path := element.get("full-path")):
                return path
    return next((name for name in archive.names() if name.lower().endswith(".opf")), None)


def _without_package(archive: SafeZip, book: _Book | None = None) -> _Book:
    """Return the pages in the order of their names, where nothing says how to read them."""
    book = book or _Book()
    names = sorted(n for n in archive.names() if n.lower().endswith(_PAGE_ENDINGS))
    book.chapters = [_Item(name, "application/xhtml+xml", False) for name in names]
    if not names:
        raise UnreadableDocument("there are no pages in the book")
    return book


def _item(element: etree._Element, folder: str) -> _Item:
    return _Item(
        _path(folder, element.get("href", "")),
        element.get("media-type", "").strip().lower(),
        "nav" in element.get("properties", "").split(),
    )


def _is_chapter(item: _Item) -> bool:
    is_page = item.media_type in _PAGES or item.path.lower().endswith(_PAGE_ENDINGS)
    return is_page and not item.is_navigation


def _said(element: etree._Element) -> tuple[str | None, Metadata]:
    """Return the title and what else the book says of itself, in the terms of Dublin Core."""
    found: dict[str, list[str]] = {}
    for child in element.iter():
        text = _text(child) if local(child) else ""
        name = child.get("property", "") if local(child) == "meta" else local(child)
        if text and child is not element:
            found.setdefault(name, []).append(text)
    fields = metadata(
        {
            "author": _one_or_all(found.get("creator")),
            "lang": next(iter(found.get("language", ())), None),
            "date": moment(next(iter(found.get("date", ())), None)),
            "modified": moment(next(iter(found.get("dcterms:modified", ())), None)),
            "publisher": next(iter(found.get("publisher", ())), None),
            "subject": _one_or_all(found.get("subject")),
            "description": next(iter(found.get("description", ())), None),
        }
    )
    return next(iter(found.get("title", ())), None), fields


def _one_or_all(values: list[str] | None) -> str | list[str] | None:
    return values[0] if values and len(values) == 1 else values


def _labels(archive: SafeZip, book: _Book) -> Mapping[str, str]:
    """Return the names of chapters in the table of contents, by their paths; the first counts."""
    labels: dict[str, str] = {}
    navigation = [item.path for item in book.items.values() if item.is_navigation]
    for path in (*navigation[:1], *filter(None, [book.contents])):
        root = _xml(archive, path)
        folder = posixpath.dirname(path)
        for target, label in _entries(root) if root is not None else ():
            labels.setdefault(_path(folder, target), label[:MAX_LABEL])
    return labels


def _entries(root: etree._Element) -> Iterator[tuple[str, str]]:
    """Yield targets and names, from either form of a table of contents."""
    for element in root.iter():
        name = local(element)
        if name == "a" and (target := element.get("href")):
            yield target, _text(element)
        elif name == "navPoint":
            label = next((c for c in element if local(c) == "navLabel"), None)
            place = next((c for c in element if local(c) == "content"), None)
            if label is not None and place is not None:
                yield place.get("src", ""), _text(label)


def _check_encryption(archive: SafeZip, chapters: set[str]) -> None:
    """Raise `encrypted` when chapters are (OCF 3.3, 4.2.6.2)."""
    root = _xml(archive, "META-INF/encryption.xml")
    for data in root.iter() if root is not None else ():
        if local(data) != "EncryptedData":
            continue
        method = next((e for e in data.iter() if local(e) == "EncryptionMethod"), None)
        if method is not None and method.get("Algorithm") in _FONT_ALGORITHMS:
            continue
        places = {_path("", e.get("URI", "")) for e in data.iter() if e.get("URI")}
        if places & chapters:
            raise UnreadableDocument(
                "the book is protected against copying, so it cannot be read", code="encrypted"
            )


def _xml(archive: SafeZip, path: str) -> etree._Element | None:
    """Return a file's root; None where it is missing or damaged."""
    try:
        return parse_xml(read_entry(archive, path))
    except UnreadableDocument as error:
        if error.code == "too_large":
            raise
        return None


def _text(element: etree._Element) -> str:
    return " ".join("".join(map(str, element.itertext())).split())


def _path(folder: str, target: str) -> str:
    """Return the path in the archive to which a target without its fragment leads."""
    return posixpath.normpath(posixpath.join(folder, unquote(target.partition("#")[0])))
