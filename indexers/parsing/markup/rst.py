"""reStructuredText, as docutils reads it (https://docutils.sourceforge.io/rst.html).

Knows which node of docutils' tree means what, and says it in the words of HTML, which is read as
any page. Nothing is included from other files. What docutils gives up on is read as plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from docutils import nodes
from docutils.core import publish_doctree
from docutils.utils import SystemMessage

from indexers.parsing.content import Content, Properties, Yielded
from indexers.parsing.markup.html import read_page
from indexers.parsing.markup.rst_directives import allow_unknown
from indexers.parsing.metadata import metadata
from indexers.parsing.moments import moment
from indexers.parsing.text.decoding import decode
from indexers.parsing.text.text import parse_plain

MAX_CHARACTERS = 2 << 20
"""Beyond this the markup is not worth its time."""
MAX_LINE = 20_000
MAX_WORK = 10**8
"""Marks of inline markup times the length of their paragraph: docutils looks for the end of each
mark in the whole paragraph. That many take about two seconds."""
_MARK = re.compile(r"[*`|]\S|_(?!\w)")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_SETTINGS = {
    "_disable_config": True,
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "report_level": 5,
    "halt_level": 6,
    "warning_stream": False,
    "traceback": True,
    "syntax_highlight": "none",
    "line_length_limit": MAX_LINE,
}
_FAILURES = (
    SystemMessage,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
_TAGS = {
    tag: tuple(getattr(nodes, name) for name in names.split())
    for tag, names in {
        "p": "paragraph subtitle term attribution caption rubric line_block footnote citation",
        "ul": "bullet_list definition_list field_list option_list docinfo",
        "ol": "enumerated_list",
        "li": "list_item definition_list_item field option_list_item",
        "div": "section definition legend figure topic sidebar container compound Admonition",
        "pre": "literal_block doctest_block math_block",
        "blockquote": "block_quote",
        "table": "table",
        "thead": "thead",
        "tbody": "tbody",
        "tr": "row",
    }.items()
}
_HIDDEN = (
    nodes.comment,
    nodes.substitution_definition,
    nodes.pending,
    nodes.raw,
    nodes.decoration,
    nodes.colspec,
    nodes.meta,
)
_INLINE_BODIES = (nodes.field_body, nodes.description, nodes.footnote, nodes.citation)


def parse_rst(content: Content) -> Iterator[Yielded]:
    """Yield the parts; bibliographic fields are metadata, too."""
    text = decode(content.read())
    if _is_too_much(text):
        yield from parse_plain(content)
        return
    try:
        allow_unknown(text)
        tree = publish_doctree(text, settings_overrides=_SETTINGS)
        page = read_page("".join(_written(tree)).encode(), charset="utf-8", whole=True)
    except _FAILURES:
        page = None
    if page is None or not page.parts:
        yield from parse_plain(content)
        return
    yield Properties(page.title, metadata(_said(tree)))
    yield from page.parts


def _is_too_much(text: str) -> bool:
    """Whether reading the markup would take too long."""
    if len(text) > MAX_CHARACTERS or max(map(len, text.split("\n"))) > MAX_LINE:
        return True
    paragraphs = _BLANK_LINE.split(text)
    return sum(len(p) * len(_MARK.findall(p)) for p in paragraphs) > MAX_WORK


def _said(tree: nodes.document) -> dict[object, object]:
    """Return the bibliographic fields of a document."""
    found: dict[object, object] = {}
    docinfo = next((node for node in tree.children if isinstance(node, nodes.docinfo)), None)
    for node in docinfo.children if docinfo is not None else ():
        name, text = type(node).__name__, " ".join(node.astext().split())
        if name in ("author", "authors"):
            found["author"] = text
        elif name == "date" and (written := moment(text)) is not None:
            found["created"] = written
        elif name in ("version", "copyright", "organization"):
            found[name] = text
    return found


def _written(tree: nodes.document) -> Iterator[str]:
    """Yield the pieces of a page of HTML."""
    stack: list[tuple[Any, int]] = [(tree, 0)]
    while stack:
        node, level = stack.pop()
        if isinstance(node, str) and not isinstance(node, nodes.Text):
            yield node
            continue
        if isinstance(node, nodes.Text):
            yield escape(node.astext())
            continue
        if _is_hidden(node):
            continue
        level += isinstance(node, (nodes.section, nodes.document)) and _has_title(node)
        opening, closing = _tags(node, level)
        yield opening
        stack.append((closing, level))
        stack.extend((child, level) for child in reversed(_shown(node)))


def _is_hidden(node: Any) -> bool:
    return isinstance(node, _HIDDEN) or (
        isinstance(node, nodes.topic) and "contents" in node["classes"]
    )


def _has_title(node: Any) -> bool:
    return any(isinstance(child, nodes.title) for child in node.children)


def _shown(node: Any) -> Sequence[Any]:
    """Return the children that are shown; of what docutils cannot read, its source."""
    if isinstance(node, nodes.system_message):
        return [child for child in node.children if isinstance(child, nodes.literal_block)]
    return list(node.children)


def _tags(node: Any, level: int) -> tuple[str, str]:
    """Return what stands before and after the content of a node."""
    match node:
        case nodes.title() if isinstance(node.parent, (nodes.section, nodes.document)):
            name = f"h{min(max(level, 1), 6)}"
            return f"<{name}>", f"</{name}>"
        case nodes.title():
            name = "caption" if isinstance(node.parent, nodes.table) else "p"
            return f"<{name}>", f"</{name}>"
        case nodes.entry():
            name = "th" if isinstance(node.parent.parent, nodes.thead) else "td"
            columns, rows = node.get("morecols", 0) + 1, node.get("morerows", 0) + 1
            return f'<{name} colspan="{columns}" rowspan="{rows}">', f"</{name}>"
        case nodes.paragraph() if isinstance(node.parent, _INLINE_BODIES):
            return "", "<br>"
        case nodes.Admonition() if not isinstance(node, nodes.admonition):
            return f"<div><p>{type(node).__name__.capitalize()}:</p>", "</div>"
        case nodes.image():
            return escape(node.get("alt", "")), ""
        case nodes.label() | nodes.footnote_reference() | nodes.citation_reference():
            return "[", "] " if isinstance(node, nodes.label) else "]"
        case nodes.line():
            return "", "<br>"
        case nodes.field_name() | nodes.option_group():
            return "", ": "
        case nodes.Bibliographic() if not isinstance(node, nodes.field):
            return f"<li>{type(node).__name__.capitalize()}: ", "</li>"
    name = next((tag for tag, kinds in _TAGS.items() if isinstance(node, kinds)), "")
    return (f"<{name}>", f"</{name}>") if name else ("", "")
