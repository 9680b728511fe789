"""HTML: what a reader sees of a page, as headings, paragraphs, lists, tables, quotes and code.

Knows which elements are shown and what each means for the text; the text itself is composed here,
with the Markdown marks of headings, lists, tables and quotes. Navigation, hidden parts and what
frames the content are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import unquote

from selectolax.lexbor import LexborHTMLParser, LexborNode

from indexers.parsing.composing import compose
from indexers.parsing.content import Content, Part, Properties, Yielded
from indexers.parsing.markup.boilerplate import Frame
from indexers.parsing.markup.elements import tags
from indexers.parsing.markup.html_head import read_head
from indexers.parsing.markup.visible import VisibleText
from indexers.parsing.text.decoding import HEAD, decode
from rag.types import Document, Metadata

MAX_DEPTH = 256

_CHARSET = re.compile(
    rb"""(?:<meta[^<>]*?charset|<\?xml[^<>]*?encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE
)
_ELEMENT = re.compile(r"<(/?)([A-Za-z][^\s/<>]*)[^<>]*>?")
_VOID = tags("area base br col embed hr img input link meta param source track wbr")
_CLOSED = re.compile(r"<([A-Za-z][\w:.-]*)((?:\s[^<>]*)?)/>")
"""In XML, an element without content; HTML would take what follows for its content."""
_NEVER_DEEP = _VOID | tags(
    "p li dt dd tr td th thead tbody tfoot option rt rp html head body"  # end themselves
)


@dataclass(frozen=True, slots=True)
class Page:
    """What there is on a page."""

    parts: list[Part]
    title: str | None
    metadata: Metadata


def parse_html(data: bytes) -> Document:
    """Read a page. Its encoding is that of the mark, of its own claim, or the detected one."""
    page = read_page(data)
    return replace(compose(page.parts), title=page.title, metadata=page.metadata)


def parse_page(content: Content) -> Iterator[Yielded]:
    """Read a file that is a page."""
    page = read_page(content.read())
    yield Properties(page.title, page.metadata)
    yield from page.parts


def read_page(data: bytes, *, charset: str | None = None, whole: bool = False) -> Page:
    """Read a page or a piece of one.

    `charset`: what those say who deliver the page; it stands above the page's own claim. `whole`:
    all that is shown is content, as in a mail or a book. Raise `UnreadableDocument` when the bytes
    are no text.
    """
    claim = _CHARSET.search(data[:HEAD])
    declared = charset or (claim[1].decode("ascii", "ignore") if claim else None)
    source = decode(data, declared=declared)
    if source.lstrip().startswith("<?xml"):
        source = _CLOSED.sub(_opened, source)
    tree = LexborHTMLParser(_flattened(source))
    parts = _parts(tree, whole=whole)
    title, fields = read_head(tree)
    return Page(parts, title or _first_heading(parts), fields)


def _parts(tree: LexborHTMLParser, *, whole: bool) -> list[Part]:
    """Read the main part of the page where it names exactly one, the whole page otherwise."""
    if tree.body is None:
        return []
    named = [] if whole else tree.css("main, [role=main]")
    return (len(named) == 1 and _read(tree, named[0], whole)) or _read(tree, tree.body, whole)


def _read(tree: LexborHTMLParser, root: LexborNode, whole: bool) -> list[Part]:
    text = VisibleText()
    parts = text.read(root)
    return parts if whole else Frame(parts, text.boxes, _places(tree)).content()


def _places(tree: LexborHTMLParser) -> Callable[[str], bool]:
    """Tell whether the page has an element of a name; they are gathered when first asked for."""
    found: set[str | None] = set()

    def has_place(name: str) -> bool:
        if not found:
            found.add("")
            found.update(node.attributes.get("id") for node in tree.css("[id]"))
            found.update(node.attributes.get("name") for node in tree.css("a[name]"))
        return name in found or unquote(name) in found

    return has_place


def _first_heading(parts: list[Part]) -> str | None:
    return next((part.label for part in parts if part.level == 1 and part.label), None)


def _opened(tag: re.Match[str]) -> str:
    return tag[0] if tag[1].lower() in _VOID else f"<{tag[1]}{tag[2]}></{tag[1]}>"


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
