"""The walk over a page's elements that turns what is shown into parts of a document.

Knows what each HTML element means for the text; nothing of encodings, titles and metadata. It
keeps its own stack, so the depth of a page is no matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from selectolax.lexbor import LexborNode

from indexers.parsing.content import Part
from indexers.parsing.markup.boilerplate import CONTAINERS, MIN_PROSE, Box, Words
from indexers.parsing.markup.elements import (
    BLOCKS,
    BREAK,
    REPLACED,
    Attributes,
    children,
    collapsed,
    is_hidden,
    replacement,
    shown_text,
)
from indexers.parsing.markup.html_tables import table_parts

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = frozenset({"ul", "ol", "menu"})
_WORD = re.compile(r"\w")


class VisibleText:
    """Reads one tree: words gather until a block begins or ends, which makes them a part."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        """What is shown, in reading order."""
        self.boxes: list[Box] = []
        """The blocks that hold the parts, each before those inside it."""
        self._open_boxes: list[Box] = []
        self._words: list[str] = []
        self._count = Words()
        """Of the words that gather."""
        self._is_link = False
        self._quotes = 0
        self._lists: list[int | None] = []
        """The open lists, outermost first: the number of the last item, None where unnumbered."""
        self._marker = ""
        self._lines: list[str] = []
        """What the outermost open list has so far."""

    def read(self, root: LexborNode) -> list[Part]:
        """Return the parts of what is shown inside the element."""
        self._open_box(root.tag or "", root.attributes)
        stack = [(root, False)]
        while stack:
            node, is_done = stack.pop()
            tag = node.tag or ""
            if is_done:
                self._leave(tag)
            elif self._enter(node, tag):
                if tag in BLOCKS or tag == "a":
                    stack.append((node, True))
                stack.extend((child, False) for child in children(node))
        self._flush()
        self._close_box()
        return self.parts

    def _enter(self, node: LexborNode, tag: str) -> bool:
        """Take note of an element or text that begins; return whether to go inside."""
        if tag == "-text":
            self._say(node.text_content or "")
            return False
        attributes = node.attributes
        if is_hidden(tag, attributes):
            return False
        if tag == "br":
            self._words.append(BREAK)
        elif tag in REPLACED:
            self._say(replacement(node, tag))
            return False
        elif tag == "a" and (href := attributes.get("href")) is not None:
            return self._open_link(node, href)
        if tag not in BLOCKS:
            return True
        self._flush()
        if tag == "pre":
            self._add(Part("code", shown_text(node).replace(BREAK, "\n")))
            return False
        if tag == "table" and (found := table_parts(node)) is not None:
            self._add_table(node, attributes, found)
            return False
        self._open_box(tag, attributes)
        self._open(tag)
        return True

    def _say(self, text: str) -> None:
        self._words.append(text)
        if self._is_link:
            self._count.linked += len(text.strip())

    def _open_link(self, node: LexborNode, href: str) -> bool:
        """Count a link; a mere sign that leads to its own heading is not read."""
        if href.startswith("#"):
            if self._open_boxes[-1].tag in _HEADINGS and not _WORD.search(node.text()):
                return False
            self._count.jumps += 1
            self._count.jump = href
        self._count.links += 1
        self._is_link = True
        return True

    def _open_box(self, tag: str, attributes: Attributes) -> None:
        first = len(self.parts)
        if self._open_boxes:
            box = self._open_boxes[-1].holds(tag, attributes, first)
        else:
            box = Box(tag, attributes, 0, False, first, first)
        self.boxes.append(box)
        self._open_boxes.append(box)

    def _close_box(self) -> None:
        box = self._open_boxes.pop()
        box.last, box.end = len(self.parts), len(self.boxes)
        if self._open_boxes:
            self._open_boxes[-1].words.add(box.words)

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
        if tag == "a":
            self._is_link = False
            return
        self._flush(level=_HEADINGS.get(tag, 0))
        if tag in _LISTS:
            self._lists.pop()
            if not self._lists:
                lines, self._lines = self._lines, []
                self._add(Part("list", "\n".join(lines)))
        elif tag == "blockquote":
            self._quotes -= 1
        self._close_box()

    def _flush(self, *, level: int = 0) -> None:
        """Make a part of the words that have gathered."""
        if not self._words:
            return
        lines = [collapsed(line) for line in "".join(self._words).split(BREAK)]
        count, self._count = self._count, Words()
        self._words.clear()
        count.text = sum(map(len, lines))
        if not count.text:
            return
        is_alone = self._open_boxes[-1].tag in CONTAINERS
        if is_alone:  # words beside blocks are a block of their own
            self._open_box("", {})
        if level and not self._lists and not self._quotes:
            label = " ".join(filter(None, lines))
            self._add(Part("heading", f"{'#' * level} {label}", level, label))
            count.level = level
        else:
            for paragraph in _paragraphs(lines):
                self._add(Part("paragraph", paragraph))
            count.prose = count.text - count.linked
        self._open_boxes[-1].words.add(_settled(count))
        if is_alone:
            self._close_box()

    def _add_table(self, node: LexborNode, attributes: Attributes, found: list[Part]) -> None:
        links = node.css("a[href]")
        self._open_box("table", attributes)
        for part in found:
            self._add(part)
        length = sum(len(part.text) for part in found)
        linked = sum(len(link.text()) for link in links)
        count = Words(length, linked, len(links), prose=length - linked)
        self._open_boxes[-1].words.add(_settled(count))
        self._close_box()

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
            self.parts.append(Part("quote", quoted))
        else:
            self.parts.append(part)


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Join lines; two breaks in a row part paragraphs."""
    paragraph: list[str] = []
    for line in lines:
        if line:
            paragraph.append(line)
        elif paragraph:
            yield "\n".join(paragraph)
            paragraph = []
    if paragraph:
        yield "\n".join(paragraph)


def _settled(count: Words) -> Words:
    """Correct what was counted before white space collapsed; a few words are no prose."""
    count.linked = min(count.linked, count.text)
    count.prose = count.prose if count.prose >= MIN_PROSE else 0
    return count
