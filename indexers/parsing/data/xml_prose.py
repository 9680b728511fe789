"""XML that is prose: DocBook, DITA, JATS, TEI, FictionBook and their like.

Knows which elements of these vocabularies mean what, and says it in the words of HTML, which is
read as any page. Elements that it does not know are blocks, or part of the text around them.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import islice
from typing import Any, NamedTuple

from lxml import etree

from indexers.parsing.xmlsafe import local

LOOKED_AT = 5000
"""Elements that tell prose from records."""

_MEANINGS = {
    name: tag
    for tag, names in {
        "p": "p para simpara formalpara paragraph v stanza subtitle",
        "ul": "itemizedlist simplelist variablelist ul list sl",
        "ol": "orderedlist ol procedure substeps steps",
        "li": "listitem li item member step sli varlistentry",
        "pre": "programlisting screen codeblock literallayout pre listing",
        "blockquote": "blockquote disp-quote epigraph lq cite",
        "table": "table informaltable simpletable",
        "tr": "row tr sthead strow",
        "td": "entry td stentry cell",
        "th": "th",
        "br": "br lb linebreak empty-line",
    }.items()
    for name in names.split()
}
_HEADINGS = frozenset({"title", "head", "heading"})
_PARAGRAPHS = frozenset({"p", "para", "simpara"})
_TRANSPARENT = frozenset({"tgroup", "thead", "tbody", "tfoot", "table-wrap"})
_HIDDEN = frozenset({"colspec", "spanspec", "binary", "indexterm", "object-id"})


class _Open(NamedTuple):
    """An element whose end has not come yet."""

    tag: str
    """Of HTML; empty where none is written."""
    is_mixed: bool
    is_section: bool


def is_prose(root: etree._Element) -> bool:
    """Whether text and elements are mixed, or there are paragraphs."""
    return any(
        local(element) in _PARAGRAPHS or _is_mixed(element)
        for element in islice(root.iter(etree.Element), LOOKED_AT)
    )


def _is_mixed(element: etree._Element) -> bool:
    if not any(local(child) for child in element):
        return False
    return bool((element.text or "").strip()) or any((c.tail or "").strip() for c in element)


def page_of(root: etree._Element) -> str:
    """Write the tree as a page of HTML."""
    return "".join(_written(root))


def _written(root: etree._Element) -> Iterator[str]:
    """Yield the pieces of the page; the levels of headings are those of the sections around."""
    open_elements: list[_Open] = [_Open("", is_mixed=False, is_section=False)]
    hidden = 0
    level = 0
    walk: Any = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        name = local(element)
        if event == "start":
            hidden += name in _HIDDEN
            found = _Open(
                _tag(name, open_elements[-1], level), _is_mixed(element), _has_heading(element)
            )
            open_elements.append(found)
            level += found.is_section
            if not hidden:
                yield f"<{found.tag}>" if found.tag else ""
                yield escape(element.text or "")
            continue
        done = open_elements.pop()
        if not hidden and done.tag not in ("", "br"):
            yield f"</{done.tag}>"
        level -= done.is_section
        hidden -= name in _HIDDEN
        if not hidden:
            yield escape(element.tail or "")


def _has_heading(element: etree._Element) -> bool:
    """Whether an element is a section: has a heading of its own."""
    is_block = _MEANINGS.get(local(element)) is None
    return is_block and any(local(child) in _HEADINGS for child in element)


def _tag(name: str, parent: _Open, level: int) -> str:
    """Return the element of HTML that means the same, empty where none is needed."""
    if not name or name in _TRANSPARENT:
        return ""
    if name in _HEADINGS:
        return f"h{min(level, 6)}" if parent.is_section else "p"
    if (tag := _MEANINGS.get(name)) is not None:
        return tag
    return "span" if parent.is_mixed else "div"
