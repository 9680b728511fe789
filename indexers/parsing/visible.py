"""The walk over a page's elements that turns what is shown into parts of a document.

Knows what each HTML element means for the text; nothing of encodings, titles and metadata. It
keeps its own stack, so the depth of a page is no matter.
"""

from __future__ import annotations

import re

from selectolax.lexbor import LexborNode

from indexers.parsing.composing import Part


def tags(names: str) -> frozenset[str]:
    """Return the set of the tag names in a line."""
    return frozenset(names.split())


_HIDDEN = tags(
    "head script style template noscript nav footer svg math iframe object embed canvas audio "
    "video button select textarea input datalist map -comment -doctype"
)
_HIDING_STYLE = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = tags(
    "address article aside blockquote body caption center dd details dialog div dl dt fieldset "
    "figcaption figure form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu ol p pre "
    "section summary table tbody td tfoot th thead tr ul"
)
_LISTS = frozenset({"ul", "ol", "menu"})
_LAYOUT = "table, h1, h2, h3, h4, pre"
_BREAK = "\v"
_SPACE = re.compile(r"[ \t\n\r\f\v]+")


def collapsed(text: str) -> str:
    """Return the text as a browser shows it: one blank for any run of white space."""
    return _SPACE.sub(" ", text).strip(" ")


class VisibleText:
    """Reads one tree: words gather until a block begins or ends, which makes them a part."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._words: list[str] = []
        self._quotes = 0
        self._lists: list[int | None] = []
        """The open lists, outermost first: the number of the last item, None where unnumbered."""
        self._marker = ""
        self._lines: list[str] = []
        """What the outermost open list has so far."""

    def read(self, root: LexborNode) -> list[Part]:
        """Return the parts of what is shown inside the element."""
        stack = [(root, False)]
        while stack:
            node, is_done = stack.pop()
            tag = node.tag or ""
            if is_done:
                self._leave(tag)
            elif self._enter(node, tag):
                stack.append((node, True))
                stack.extend((child, False) for child in _children(node))
        self._flush()
        return self._parts

    def _enter(self, node: LexborNode, tag: str) -> bool:
        """Take note of an element or text that begins; return whether to go inside."""
        if tag == "-text":
            self._words.append(node.text_content or "")
            return False
        if is_hidden(node, tag):
            return False
        if tag == "br":
            self._words.append(_BREAK)
        elif tag == "img":
            self._words.append(node.attributes.get("alt") or "")
        if tag not in _BLOCKS:
            return True
        self._flush()
        if tag == "pre":
            self._add(Part("code", _shown(node).replace(_BREAK, "\n")))
            return False
        if tag == "table" and len(node.css(_LAYOUT)) == 1:
            self._add(Part("table", _table(node)))
            return False
        self._open(tag)
        return True

    def _open(self, tag: str) -> None:
        if tag in _LISTS:
            self._lists.append(0 if tag == "ol" else None)
        elif tag == "li" and self._lists:
            number = self._lists[-1]
            self._lists[-1] = None if number is None else number + 1
            self._marker = "- " if number is None else f"{number + 1}. "
        elif tag == "blockquote":
            self._quotes += 1

    def _leave(self, tag: str) -> None:
        if tag not in _BLOCKS:
            return
        self._flush(level=_HEADINGS.get(tag, 0))
        if tag in _LISTS:
            self._lists.pop()
            if not self._lists:
                lines, self._lines = self._lines, []
                self._add(Part("list", "\n".join(lines)))
        elif tag == "blockquote":
            self._quotes -= 1

    def _flush(self, *, level: int = 0) -> None:
        """Make a part of the words that have gathered."""
        text = "\n".join(filter(None, map(collapsed, "".join(self._words).split(_BREAK))))
        self._words.clear()
        if not text:
            return
        if level and not self._lists and not self._quotes:
            label = collapsed(text)
            self._add(Part("heading", f"{'#' * level} {label}", level, label))
        else:
            self._add(Part("paragraph", text))

    def _add(self, part: Part) -> None:
        """Put a part where it belongs: into the open list, the open quote, or the document."""
        if self._lists:
            indent = "  " * (len(self._lists) - 1)
            marker, self._marker = self._marker or "  ", ""
            first, *rest = part.text.split("\n")
            self._lines.append(f"{indent}{marker}{first}")
            self._lines.extend(f"{indent}  {line}" for line in rest)
        elif self._quotes:
            quoted = "\n".join(f"> {line}" for line in part.text.split("\n"))
            self._parts.append(Part("quote", quoted))
        else:
            self._parts.append(part)


def is_hidden(node: LexborNode, tag: str) -> bool:
    """Whether a reader of the page does not see the element, or only finds his way by it."""
    if tag in _HIDDEN:
        return True
    attributes = node.attributes
    return bool(attributes) and (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or attributes.get("role") == "navigation"
        or _HIDING_STYLE.search(attributes.get("style") or "") is not None
    )


def _children(node: LexborNode) -> list[LexborNode]:
    """Return the children, last first, as a stack wants them."""
    children = list(node.iter(include_text=True))
    children.reverse()
    return children


def _shown(root: LexborNode) -> str:
    """Return the text inside an element, white space as it is, lines parted by `_BREAK`."""
    pieces: list[str] = []
    stack = _children(root)
    while stack:
        node = stack.pop()
        tag = node.tag or ""
        if tag == "-text":
            pieces.append(node.text_content or "")
        elif not is_hidden(node, tag):
            pieces.append(_BREAK if tag == "br" or tag in _BLOCKS else "")
            stack.extend(_children(node))
    return "".join(pieces)


def _table(table: LexborNode) -> str:
    """Write a table of data in Markdown; its first row stands as the header."""
    lines: list[str] = []
    for row in table.css("tr"):
        cells = [c for c in row.iter() if c.tag in ("td", "th") and not is_hidden(c, c.tag)]
        texts = [collapsed(_shown(cell)).replace("|", "\\|") for cell in cells]
        if any(texts):
            lines.append(f"| {' | '.join(texts)} |")
        if len(lines) == 1:
            lines.append("|" + "---|" * len(cells))
    return "\n".join(lines)
