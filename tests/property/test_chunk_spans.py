"""Laws of parsing and chunking, on random Markdown and on random text."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from itertools import takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexers.chunking import ChunkSpec, chunk
from indexers.parsing.markup.html import parse_html
from indexers.parsing.markup.markdown import parse_markdown
from indexers.parsing.text.text import parse_text
from rag.types import Block, Document, Span

EXAMPLES = int(os.environ.get("CUMULO_TEST_EXAMPLES", "40"))

Count = Callable[[Sequence[str]], list[int]]


def words(texts: Sequence[str]) -> list[int]:
    return [len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]


def quarters(texts: Sequence[str]) -> list[int]:
    return [math.ceil(len(text) / 4) for text in texts]


def doubled(texts: Sequence[str]) -> list[int]:
    """Count more for a text than for its pieces, as some tokenizers do."""
    return [len(text) // 6 + len(text) ** 2 // 3000 for text in texts]


SHORT = st.sampled_from(["a", "word", "e.g.", "v1.2.3", "end.", "Why?", "文件。", "é", "_", "|"])
MARKED = st.sampled_from(["[link](https://example.com)", "`code`", "**bold**", "<!-- c -->"])
LONG = st.sampled_from(["是一個很長的句子", "x" * 90])
WORDS = SHORT | MARKED | LONG
LINES = st.lists(WORDS, min_size=1, max_size=25).map(" ".join)
HEADINGS = st.builds(lambda level, text: f"{'#' * level} {text}", st.integers(1, 4), LINES)
CODE = st.lists(LINES, max_size=12).map(lambda lines: "\n".join(["```", *lines, "```"]))
LISTS = st.lists(LINES, min_size=1, max_size=8).map(lambda items: "- " + "\n- ".join(items))
QUOTES = st.lists(LINES, min_size=1, max_size=4).map(lambda lines: "> " + "\n> ".join(lines))
ROWS = st.lists(LINES, min_size=2, max_size=3).map(lambda cells: f"| {' | '.join(cells)} |")
TABLES = st.lists(ROWS, min_size=1, max_size=8).map(lambda rows: "\n".join(["|a|b|\n|-|-|", *rows]))
BLOCKS = st.one_of(HEADINGS, LINES, CODE, LISTS, QUOTES, TABLES)
MARKDOWN = st.lists(BLOCKS, max_size=12).map("\n\n".join)
NOISE = st.text(st.sampled_from("ab.。!?# -*_`~[]()<>|\n\t\\&;:=+1é\u2028\x1c\ufeff"), max_size=300)
SPECS = st.sampled_from([ChunkSpec(24, 18, 5), ChunkSpec(60, 40, 12), ChunkSpec()])


@pytest.mark.parametrize("count", [words, quarters, doubled])
@settings(max_examples=EXAMPLES)
@given(text=MARKDOWN | NOISE, spec=SPECS, title=st.none() | LINES)
def test_spans_rejoin_and_fit(count: Count, text: str, spec: ChunkSpec, title: str | None) -> None:
    parsed = parse_markdown(text.encode())
    document = Document(parsed.text, parsed.blocks, title or parsed.title)
    spans = chunk(document, spec, count)
    assert bool(spans) == bool(document.text.strip())
    assert "".join(document.text[s.start : s.end] for s in spans) == (
        document.text if spans else ""
    )
    for span, tokens in zip(spans, count([s.embedded_text for s in spans]), strict=True):
        assert tokens <= spec.max_tokens
        body = document.text[span.start : span.end].strip()
        assert body
        assert span.embedded_text.endswith(body)
    assert spans == chunk(document, spec, count)


@settings(max_examples=EXAMPLES)
@given(text=MARKDOWN | NOISE)
def test_blocks_are_in_order_and_inside_the_text(text: str) -> None:
    data = text.encode()
    for document in (parse_markdown(data), parse_text(data), parse_html(data)):
        position = 0
        for block in document.blocks:
            assert position <= block.start < block.end <= len(document.text)
            assert document.text[block.start : block.end].strip()
            assert not document.text[position : block.start].strip()
            position = block.end
        assert not document.text[position:].strip()
        assert not {"\0", "\r"} & set(document.text)


@settings(max_examples=EXAMPLES)
@given(text=MARKDOWN, spec=SPECS)
def test_the_heading_is_the_outline_above_the_span(text: str, spec: ChunkSpec) -> None:
    document = parse_markdown(f"{text}\n\nend".encode())
    headings = [block for block in document.blocks if block.level]
    for span in chunk(document, spec, words):
        if any(h.start < span.start < h.end for h in headings):
            continue  # a heading too long for a chunk: its rest begins this one
        above = outline(document, span.start, highest=leading_level(document, span))
        assert span.heading == tuple(label for label in above if label)


def leading_level(document: Document, span: Span) -> int:
    """Return the highest level among the headings that a span begins with; 7 if there is none."""
    level = 7
    for block in document.blocks:
        if span.start < block.end and block.start < span.end:
            if not block.level or block.start < span.start:
                break
            level = min(level, block.level)
    return level


def outline(document: Document, position: int, *, highest: int) -> list[str]:
    """Return the headings in force before a position that stand above the level."""
    above: dict[int, str] = {}
    for block in document.blocks:
        if block.level and block.start < position:
            above = {level: label for level, label in above.items() if level < block.level}
            above[block.level] = block.label
    return [label for level, label in sorted(above.items()) if level < highest]


@settings(max_examples=EXAMPLES)
@given(text=MARKDOWN, spec=SPECS)
def test_a_heading_ends_a_chunk_only_where_it_must(text: str, spec: ChunkSpec) -> None:
    document = parse_markdown(text.encode())
    for span in chunk(document, spec, words)[:-1]:
        end = span.start + len(document.text[span.start : span.end].rstrip())
        shown = [b for b in document.blocks if b.start < end and words([content(document, b)])[0]]
        row = list(takewhile(lambda block: block.level, reversed(shown)))
        if not row or row[0].end != end:
            continue
        following = next(b for b in document.blocks if b.start >= span.end)
        tokens = sum(words([content(document, block) for block in row]))
        assert following.level or 2 * tokens >= spec.max_tokens


def content(document: Document, block: Block) -> str:
    return document.text[block.start : block.end]
