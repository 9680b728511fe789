"""Markdown (CommonMark and tables): its top-level blocks, front matter and title.

Knows which blocks are prose and which are code; inline syntax is read only in headings. Nested
content belongs to the list or quote around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from indexers.parsing.composing import compose
from indexers.parsing.content import Content, Part
from indexers.parsing.markup.frontmatter import load_front_matter, split_front_matter
from indexers.parsing.markup.links import normalised, without_comments, without_targets
from indexers.parsing.metadata import metadata
from indexers.parsing.text.decoding import decode
from rag.types import BlockKind, Document

MAX_LABEL_CHARS = 1000

_KINDS: Mapping[str, BlockKind] = {
    "heading_open": "heading",
    "fence": "code",
    "code_block": "code",
    "table_open": "table",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "blockquote_open": "quote",
}
_ATTRIBUTES = re.compile(r"\s*\{[#.][^{}]*\}\s*$")
_LONG_RULE = re.compile(r"-{4,}")
_TAG = re.compile(r"<[^<>]*>")


def parse_markdown(data: bytes) -> Document:
    """Read Markdown in any encoding. The text keeps the markup that carries meaning."""
    front, body = split_front_matter(decode(data))
    properties = load_front_matter(front) if front else {}
    parts = list(_parts(body))
    if properties is None:
        properties = {}
        parts.insert(0, Part("paragraph", front))
    title = _title(properties.get("title"))
    fields = metadata({name: value for name, value in properties.items() if name != "title"})
    page = compose(parts)
    if title is None:
        title = next((b.label for b in page.blocks if b.level == 1 and b.label), None)
    return replace(page, title=title, metadata=fields)


def _title(value: object) -> str | None:
    """Read the title of front matter, which YAML may have taken for a number or a date."""
    if value is None or isinstance(value, (bool, list, dict)):
        return None
    return " ".join(str(value).replace("\0", "").split())[:MAX_LABEL_CHARS] or None


def _parts(source: str) -> Iterator[Part]:
    """Yield the top-level blocks; what the parser leaves out but definitions is a paragraph."""
    found: dict[str, Any] = {}
    tokens = _block_parser().parse(source, found)
    lines = source.split("\n")
    for token in tokens:
        if token.type == "table_open" and token.map is not None:
            rule = token.map[0] + 1
            lines[rule] = _LONG_RULE.sub("---", lines[rule])
    definitions = found.get("references", {})
    labels = {normalised(label) for label in definitions if not label.startswith("^")}
    dropped = set(_definition_lines(definitions, found.get("duplicate_refs", ())))
    position = 0
    for block in _top_level(tokens):
        start, end = block[0].map or (position, position)
        yield Part("paragraph", "\n".join(_kept(lines, range(position, start), dropped)))
        yield _part(block, lines, labels=labels, dropped=dropped)
        position = end
    yield Part("paragraph", "\n".join(_kept(lines, range(position, len(lines)), dropped)))


def _top_level(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """Group tokens by the top-level block that they belong to."""
    first = 0
    for i, token in enumerate(tokens):
        if token.level == 0 and token.nesting <= 0:
            yield tokens[first : i + 1]
            first = i + 1


def _part(
    block: Sequence[Token], lines: Sequence[str], *, labels: Set[str], dropped: Set[int]
) -> Part:
    opening = block[0]
    match opening.type:
        case "hr":
            return Part("paragraph", "")
        case "heading_open":
            return _heading(int(opening.tag[1:]), block[1].content, labels)
    kind = _KINDS.get(opening.type, "paragraph")
    return Part(kind, "\n".join(_block_lines(block, lines, labels=labels, dropped=dropped)))


def _heading(level: int, content: str, labels: Set[str]) -> Part:
    """Compose a heading, underlined or not, in the one form `## words`."""
    content = " ".join(without_targets(content, labels).split())
    label = _words(_ATTRIBUTES.sub("", content[:MAX_LABEL_CHARS]))
    return Part("heading", f"{'#' * level} {content}" if content else "", level, label)


def _words(content: str) -> str:
    """Return inline Markdown without markup."""
    if not re.search(r"[][*_`<&\\~]", content):
        return content
    (inline,) = _inline_parser().parseInline(content)
    return "".join(t.content for t in inline.children or () if t.type != "html_inline").strip()


def _block_lines(
    block: Sequence[Token], lines: Sequence[str], *, labels: Set[str], dropped: Set[int]
) -> Iterator[str]:
    """Yield the block's lines, prose reduced, code as it is."""
    position, end = block[0].map or (0, 0)
    for token in block:
        if token.map is None or token.map[0] < position:
            continue  # closing tokens, and the other cells of a table's row
        if token.type in ("inline", "html_block", "fence", "code_block"):
            yield from _kept(lines, range(position, token.map[0]), dropped)
            yield _reduced(token, "\n".join(lines[slice(*token.map)]), labels)
            position = token.map[1]
    yield from _kept(lines, range(position, end), dropped)


def _reduced(token: Token, text: str, labels: Set[str]) -> str:
    match token.type:
        case "inline":
            return without_targets(text, labels)
        case "html_block":
            text = without_comments(text)
            return text if _TAG.sub("", text).strip() else ""
        case _:
            return text


def _kept(lines: Sequence[str], numbers: Iterable[int], dropped: Set[int]) -> Iterator[str]:
    return (lines[n] for n in numbers if n not in dropped)


def _definition_lines(
    definitions: Mapping[str, Any], duplicates: Iterable[Mapping[str, Any]]
) -> Iterator[int]:
    """Yield the lines of link reference definitions; those of footnotes are text."""
    for label, definition in definitions.items():
        if not label.startswith("^"):
            yield from range(*definition["map"])
    for duplicate in duplicates:
        if not duplicate["label"].startswith("^"):
            yield from range(*duplicate["map"])


@cache
def _block_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])
    parser.parse("its first use completes it, before other threads see it")
    return parser


@cache
def _inline_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark")
    parser.parseInline("its first use completes it, before other threads see it")
    return parser


def parse_source(content: Content) -> Iterator[Document]:
    """Yield the whole text as one document."""
    yield parse_markdown(content.read())
