"""XML without a parser of its own: records, prose, feeds, drawings and pages.

Knows how these are told apart, and how a tree is read from bytes that may be damaged or hostile:
entities are never expanded and nothing is fetched, see `xmlsafe`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.entities import html5
from typing import Any

from lxml import etree

from indexers.parsing.content import Content, Part, Properties, Yielded
from indexers.parsing.data.feeds import feed, is_feed
from indexers.parsing.data.xml_prose import is_prose, page_of
from indexers.parsing.data.xml_records import record_parts, text_of, title_of
from indexers.parsing.markup.html import read_page
from indexers.parsing.metadata import metadata
from indexers.parsing.text.decoding import HEAD, decode
from indexers.parsing.xmlsafe import local
from indexers.parsing.xmlsafe import parse_xml as parse_tree
from rag.errors import UnreadableDocument

MAX_BYTES = 64 << 20
LANG = "{http://www.w3.org/XML/1998/namespace}lang"

_CLAIM = re.compile(rb"""<\?xml[^<>]*?encoding\s*=\s*["']([\w.:-]+)["']""")
_DECLARATION = re.compile(r"\s*<\?xml[^<>]*\?>")
_DECLARED = re.compile(r"<!ENTITY\s+([\w.:-]+)")
_REFERENCE = re.compile(r"&([A-Za-z]\w*;)")
_OWN = frozenset({"amp;", "lt;", "gt;", "quot;", "apos;"})
_DRAWN = frozenset({"title", "desc", "text"})


def parse_xml(content: Content) -> Iterator[Yielded]:
    """Yield the parts of a file; its title is that of the outermost element.

    Raise `UnreadableDocument`: malformed (no XML, or its text needs entities that it declares),
    too_large (beyond 64 MiB), too_deep.
    """
    if content.size > MAX_BYTES:
        raise UnreadableDocument(
            f"an XML file of {content.size:,} bytes is read as a whole, allowed are {MAX_BYTES:,}",
            code="too_large",
        )
    root = _tree(content.read())
    lang = metadata({"lang": root.get(LANG)})
    if local(root).lower() == "html":
        for element in root.iter(etree.Element):
            element.tag = local(element)  # only without a namespace it is written as HTML
        yield from _page(etree.tostring(root, encoding="unicode", method="html"))
    elif local(root) == "svg":
        yield Properties(title_of(root), lang)
        yield from _drawn(root)
    elif is_feed(root):
        yield Properties(metadata=lang)
        yield from feed(root)
    elif is_prose(root):
        yield Properties(metadata=lang)
        yield from _page(page_of(root))
    else:
        yield Properties(title_of(root), lang)
        yield from record_parts(root)


def _tree(data: bytes) -> etree._Element:
    """Read the whole tree; of a damaged one what can be read, unless it declares entities."""
    claim = _CLAIM.search(data[:HEAD])
    text = decode(data, declared=claim[1].decode("ascii") if claim else None)
    declared = set(_DECLARED.findall(text))
    utf8 = _without_entities(_DECLARATION.sub("", text, count=1), declared).encode()
    try:
        root = parse_tree(utf8, recover=False)
    except UnreadableDocument as exc:
        if "Excessive depth" in exc.message:
            raise UnreadableDocument("the XML is nested too deeply", code="too_deep") from exc
        return parse_tree(utf8, recover=True, refuse_entities=True)
    entities: Any = root.iter(etree.Entity)
    if declared and any(entity.name in declared for entity in entities):
        raise UnreadableDocument("the XML uses entities that it declares; they are not expanded")
    return root


def _without_entities(text: str, declared: set[str]) -> str:
    """Put in the characters that HTML has names for, where the document declares none itself."""
    if "&" not in text:
        return text

    def character(reference: re.Match[str]) -> str:
        name = reference[1]
        known = name in html5 and name not in _OWN and name[:-1] not in declared
        return html5[name] if known else reference[0]

    return _REFERENCE.sub(character, text)


def _page(source: str) -> Iterator[Yielded]:
    page = read_page(source.encode(), charset="utf-8", whole=True)
    yield Properties(page.title, page.metadata)
    yield from page.parts


def _drawn(root: etree._Element) -> Iterator[Part]:
    """Yield what is written in a drawing, each text for itself."""
    for element in root.iter(etree.Element):
        if local(element) in _DRAWN:
            yield Part("paragraph", text_of(element))
