"""XML read so that it cannot hurt: no DTD is loaded, no entity expanded, nothing fetched.

Knows how to get a tree, or its branches one after the other, from XML that may be damaged or
hostile; nothing of any vocabulary. Trees are at most 256 elements deep and a text has at most 10
million bytes (libxml2 without its `huge` option); what goes beyond is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, Any

from lxml import etree

from rag.errors import UnreadableDocument

MAX_DEPTH = 256
_SAFE: dict[str, Any] = {
    "resolve_entities": False,
    "load_dtd": False,
    "no_network": True,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}


def parse_xml(
    data: bytes, *, recover: bool = True, refuse_entities: bool = False
) -> etree._Element:
    """Return the root of a document. Entities other than `&amp;` and its like stay nodes.

    `recover`: of a damaged document, return what can be read. `refuse_entities`: the text would be
    wrong without the entities that the document declares. Raise `UnreadableDocument` when there is
    no root, when it is damaged and not to be recovered, or when it declares entities.
    """
    try:
        root = etree.fromstring(data, etree.XMLParser(recover=recover, **_SAFE))
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise UnreadableDocument(f"the XML is malformed: {_reason(exc)}") from exc
    if root is None:
        raise UnreadableDocument("the XML is malformed: it has no element")
    if refuse_entities:
        dtd: Any = root.getroottree().docinfo.internalDTD
        if dtd is not None and next(iter(dtd.iterentities()), None) is not None:
            raise UnreadableDocument("the XML declares entities; entities are not expanded")
    return root


def stream_xml(
    stream: IO[bytes], tags: Iterable[str], *, recover: bool = True
) -> Iterator[etree._Element]:
    """Yield the elements of these tags when they are complete, the outermost only.

    Each is emptied before the next one is read, so that memory does not grow with the document.
    Of a damaged document the elements before the damage are yielded, unless `recover` is false.
    Raise `UnreadableDocument` when there is no XML at all.
    """
    depth = 0
    events: Any = etree.iterparse(
        stream, events=("start", "end"), tag=list(tags), recover=recover, **_SAFE
    )
    try:
        for event, element in events:
            if event == "start":
                depth += 1
                continue
            depth -= 1
            if depth:
                continue
            yield without_entities(element)
            _forget(element)
    except etree.XMLSyntaxError as exc:
        raise UnreadableDocument(f"the XML is malformed: {_reason(exc)}") from exc


def local(element: etree._Element) -> str:
    """Return the name without its namespace; empty for what is no element."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def all_text(element: etree._Element) -> str:
    """Return the text inside an element and all elements in it."""
    return "".join(map(str, element.itertext("*")))


def without_entities(element: etree._Element) -> etree._Element:
    """Take references to entities out of a tree; what stands behind them stays."""
    if element.getroottree().docinfo.internalDTD is not None:
        etree.strip_elements(element, etree.Entity, with_tail=False)
    return element


def _forget(element: etree._Element) -> None:
    """Empty an element that is done, and drop those before it."""
    element.clear()
    parent = element.getparent()
    if parent is not None:
        while element.getprevious() is not None:
            del parent[0]


def _reason(exc: Exception) -> str:
    return (str(exc).splitlines() or ["unreadable"])[0][:200]
