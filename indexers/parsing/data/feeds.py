"""News feeds: RSS (0.9x to 2.0) and Atom (RFC 4287), entry by entry.

Knows where feeds keep titles, authors, times and content; content is read as a page of HTML.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from lxml import etree

from indexers.parsing.content import Part, Properties
from indexers.parsing.data.xml_records import text_of
from indexers.parsing.markup.html import read_page
from indexers.parsing.metadata import metadata
from indexers.parsing.xmlsafe import local

_ROOTS = frozenset({"rss", "feed", "RDF"})
_ENTRIES = frozenset({"item", "entry"})
_BODIES = ("encoded", "content", "description", "summary", "subtitle")
"""The fullest first."""
_NAMES = {
    "pubDate": "published",
    "date": "published",
    "published": "published",
    "updated": "updated",
    "author": "author",
    "creator": "author",
    "category": "category",
    "link": "link",
}
_DEEPER = 1
"""Levels by which headings in an entry lie below its title."""


def is_feed(root: etree._Element) -> bool:
    """Whether this is a feed with entries."""
    return local(root) in _ROOTS and next(_entries(root), None) is not None


def _entries(root: etree._Element) -> Iterator[etree._Element]:
    return (element for element in root.iter(etree.Element) if local(element) in _ENTRIES)


def feed(root: etree._Element) -> Iterator[Properties | Part]:
    """Yield what the feed says of itself, then each entry below its title."""
    channel = next((child for child in root if local(child) == "channel"), root)
    said = _said(channel)
    author = "; ".join(said.get("author", []))
    yield Properties(_title(channel) or None, metadata({"author": author} if author else {}))
    yield from _body(channel)
    for entry in _entries(root):
        title = _title(entry) or "Entry"
        yield Part("heading", f"# {title}", 1, title)
        yield Part("list", "\n".join(f"- {n}: {', '.join(v)}" for n, v in _said(entry).items()))
        yield from _body(entry)


def _title(element: etree._Element) -> str:
    found = next((child for child in element if local(child) == "title"), None)
    if found is None:
        return ""
    parts = read_page(_source(found).encode(), charset="utf-8", whole=True).parts
    return " ".join(" ".join(part.text for part in parts).split())


def _said(element: etree._Element) -> Mapping[str, list[str]]:
    """Return the short fields of a feed or an entry."""
    fields: dict[str, list[str]] = {}
    for child in element:
        name = _NAMES.get(local(child))
        if name is None or child.get("rel", "alternate") != "alternate":
            continue
        if value := child.get("href") or child.get("term") or text_of(child):
            fields.setdefault(name, []).append(" ".join(str(value).split()))
    return fields


def _body(element: etree._Element) -> Iterator[Part]:
    """Yield the content of an entry, or else its summary."""
    children = {local(child): child for child in reversed(element)}
    for name in _BODIES:
        if name not in children:
            continue
        parts = read_page(_source(children[name]).encode(), charset="utf-8", whole=True).parts
        if parts:
            yield from map(_lowered, parts)
            return


def _source(element: etree._Element) -> str:
    """Return content as HTML: written as elements, as escaped HTML, or as plain text."""
    if any(local(child) for child in element):
        return "".join(etree.tostring(child, encoding="unicode") for child in element)
    text = "".join(map(str, element.itertext()))
    return escape(text) if element.get("type") == "text" else text


def _lowered(part: Part) -> Part:
    if not part.level:
        return part
    level = min(part.level + _DEEPER, 6)
    return part._replace(text=f"{'#' * level} {part.label}", level=level)
