"""HTML: what a reader sees of a page, as headings, paragraphs, lists, tables, quotes and code.

Knows which elements are shown and what each means for the text; the text itself is composed here,
with the Markdown marks of headings, lists, tables and quotes. Navigation and hidden parts are
left out.
"""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser

from indexers.parsing.composing import Part, compose
from indexers.parsing.decoding import HEAD, decode
from indexers.parsing.metadata import metadata
from indexers.parsing.visible import VisibleText, collapsed, tags
from rag.filters import Value
from rag.types import Document

MAX_DEPTH = 256

_CHARSET = re.compile(
    rb"""(?:<meta[^<>]*?charset|<\?xml[^<>]*?encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE
)
_ELEMENT = re.compile(r"<(/?)([A-Za-z][^\s/<>]*)[^<>]*>?")
_NEVER_DEEP = tags(
    "area base br col embed hr img input link meta source track wbr "  # have no content
    "p li dt dd tr td th thead tbody tfoot option rt rp html head body"  # end themselves
)


def parse_html(data: bytes) -> Document:
    """Read a page. Its encoding is that of the mark, of its own claim, or the detected one."""
    claim = _CHARSET.search(data[:HEAD])
    source = decode(data, declared=claim[1].decode("ascii", "ignore") if claim else None)
    tree = LexborHTMLParser(_flattened(source))
    text, blocks = compose(_parts(tree))
    title = _head_title(tree)
    if title is None:
        title = next((b.label for b in blocks if b.level == 1 and b.label), None)
    return Document(text=text, blocks=blocks, title=title, metadata=_properties(tree))


def _parts(tree: LexborHTMLParser) -> list[Part]:
    """Read the main part of the page where it names exactly one, the whole page otherwise."""
    named = tree.css("main, [role=main]")
    parts = VisibleText().read(named[0]) if len(named) == 1 else []
    return parts or (VisibleText().read(tree.body) if tree.body is not None else [])


def _head_title(tree: LexborHTMLParser) -> str | None:
    """Return the content of the head's title (drawings in the body have titles, too)."""
    node = tree.head.css_first("title") if tree.head is not None else None
    return (collapsed(node.text()) or None) if node is not None else None


def _properties(tree: LexborHTMLParser) -> dict[str, Value]:
    found: dict[object, object] = {}
    if tree.root is not None and (lang := tree.root.attributes.get("lang")):
        found["lang"] = lang.strip()
    described = tree.css_first('meta[name="description" i]')
    if described is not None and (content := described.attributes.get("content")):
        found["description"] = collapsed(content)
    return metadata(found)


def _flattened(source: str) -> str:
    """Drop the tags that would nest deeper than 256 levels.

    The parser walks up the open elements at every tag: 100,000 levels would take it half a minute.
    """
    depth = 0
    pieces: list[str] = []
    position = 0
    for tag in _ELEMENT.finditer(source):
        if tag[2].lower() in _NEVER_DEEP:
            continue
        if tag[1]:
            depth = max(0, depth - 1)
        elif depth < MAX_DEPTH:
            depth += 1
        else:
            pieces.append(source[position : tag.start()])
            position = tag.end()
    pieces.append(source[position:])
    return "".join(pieces)
