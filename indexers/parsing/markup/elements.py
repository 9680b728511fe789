"""What single HTML elements mean: which are blocks, which nobody sees, what text stands in one.

Knows names and attributes of elements; nothing of the order of a page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from selectolax.lexbor import LexborNode

Attributes: TypeAlias = Mapping[str, str | None]


def tags(names: str) -> frozenset[str]:
    """Return the set of the tag names in a line."""
    return frozenset(names.split())


BLOCKS = tags(
    "address article aside blockquote body caption center dd details dialog div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu ol "
    "p pre section summary table tbody td tfoot th thead tr ul"
)
REPLACED = frozenset({"img", "math"})
"""Elements that are shown as something else than the text inside."""
BREAK = "\v"
"""Stands for a line break until white space is collapsed."""

_HIDDEN = tags(
    "head script style template noscript nav svg iframe object embed canvas audio "
    "video button select textarea input datalist map -comment -doctype"
)
_HIDDEN_ROLES = ("navigation", "doc-pagebreak")
_HIDING_STYLE = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_EDITING = re.compile(r"(?:^|\s)(?:mw-)?editsection(?:\s|$)")
_SPACE = re.compile(r"[ \t\n\r\f\v]+")


def collapsed(text: str) -> str:
    """Return the text as a browser shows it: one blank for any run of white space."""
    if text.isascii():  # the quick way, which would take no-break spaces for white space, too
        return " ".join(text.split())
    return _SPACE.sub(" ", text).strip(" ")


def is_hidden(tag: str, attributes: Attributes) -> bool:
    """Whether a reader of the page does not see the element, or only finds his way by it."""
    if tag in _HIDDEN:
        return True
    if not attributes:
        return tag == "dialog"
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or attributes.get("role") in _HIDDEN_ROLES
        or attributes.get("epub:type") == "pagebreak"
        or ("style" in attributes and _hides(attributes["style"]))
        or (tag == "span" and "class" in attributes and _edits(attributes["class"]))
        or (tag == "dialog" and "open" not in attributes)
    )


def children(node: LexborNode) -> list[LexborNode]:
    """Return the children, last first, as a stack wants them."""
    found = list(node.iter(include_text=True))
    found.reverse()
    return found


def replacement(node: LexborNode, tag: str) -> str:
    """Return the words that stand for what is no text: of an image, of a formula."""
    if is_hidden(tag, node.attributes):
        return ""
    said = node.attributes.get("alt" if tag == "img" else "alttext") or ""
    if said or tag == "img":
        return said
    source = node.css_first('annotation[encoding*="tex" i]')
    return collapsed((source or node).text())


def shown_text(root: LexborNode) -> str:
    """Return the text inside an element, white space as it is, lines parted by `BREAK`."""
    pieces: list[str] = []
    stack = children(root)
    while stack:
        node = stack.pop()
        tag = node.tag or ""
        if tag == "-text":
            pieces.append(node.text_content or "")
        elif tag in REPLACED:
            pieces.append(replacement(node, tag))
        elif tag != "footer" and not is_hidden(tag, node.attributes):
            pieces.append(BREAK if tag == "br" or tag in BLOCKS else "")
            stack.extend(children(node))
    return "".join(pieces)


def _hides(style: str | None) -> bool:
    return _HIDING_STYLE.search(style or "") is not None


def _edits(names: str | None) -> bool:
    """Whether it is the `[edit]` beside the headings of a wiki."""
    return _EDITING.search(names or "") is not None
