"""Markdown: blocks, title, metadata, and prose without the targets of its links."""

from __future__ import annotations

import pytest

from indexers.parsing.markup.links import normalised, without_comments, without_targets
from indexers.parsing.markup.markdown import parse_markdown
from rag.types import Document


def blocks(document: Document) -> list[tuple[str, str]]:
    return [(b.kind, document.text[b.start : b.end]) for b in document.blocks]


def parse(text: str) -> Document:
    return parse_markdown(text.encode())


def test_every_kind_of_block_has_its_place() -> None:
    document = parse(
        "# One\n"
        "A paragraph\nof two lines.\n"
        "```sh\nls\n\n# no heading\n```\n"
        "    indented\n\n"
        "- a\n- b\n\n  c\n\n"
        "1. x\n2. y\n\n"
        "> quoted\nlazily\n\n"
        "| a | b |\n|------|:-----:|\n| 1 | 2 |\n\n"
        "***\n"
        "Two\n===\n"
        "### Three ###\n"
        "<div>\nhtml\n</div>\n"
    )
    assert blocks(document) == [
        ("heading", "# One"),
        ("paragraph", "A paragraph\nof two lines."),
        ("code", "```sh\nls\n\n# no heading\n```"),
        ("code", "    indented"),
        ("list", "- a\n- b\n\n  c"),
        ("list", "1. x\n2. y"),
        ("quote", "> quoted\nlazily"),
        ("table", "| a | b |\n|---|:---:|\n| 1 | 2 |"),
        ("heading", "# Two"),
        ("heading", "### Three"),
        ("paragraph", "<div>\nhtml\n</div>"),
    ]
    assert document.text == "\n\n".join(text for _, text in blocks(document))
    assert [(b.level, b.label) for b in document.blocks if b.kind == "heading"] == [
        (1, "One"),
        (1, "Two"),
        (3, "Three"),
    ]


@pytest.mark.parametrize(
    ("heading", "label"),
    [
        ("# Plain", "Plain"),
        ("# **Bold** and `co*de` <b>x</b>", "Bold and co*de x"),
        ("# about_Remote_Jobs", "about_Remote_Jobs"),
        ("# -Path \\<string\\[\\]\\>", "-Path <string[]>"),
        ("# [Link](https://example.com) &amp; more", "Link & more"),
        ("# Named {#anchor}", "Named"),
        ("# 5 * 3 * 2", "5 * 3 * 2"),
    ],
)
def test_labels_are_the_words_of_headings(heading: str, label: str) -> None:
    document = parse(heading)
    assert document.blocks[0].label == label
    assert document.title == label


def test_nested_headings_are_not_in_the_outline() -> None:
    document = parse("> # Quoted\n\n- # Listed\n\n## Own")
    assert [(b.kind, b.level) for b in document.blocks] == [
        ("quote", 0),
        ("list", 0),
        ("heading", 2),
    ]
    assert document.title is None


def test_front_matter_becomes_metadata_and_title() -> None:
    document = parse("---\ntitle: Front\ntags: [a, b]\nms.date: 2026-08-10\n---\n# Head\n\ntext")
    assert document.title == "Front"
    assert document.metadata == {"meta.tags": ["a", "b"], "meta.ms.date": 1786320000}
    assert document.text == "# Head\n\ntext"
    assert document.blocks[0].start == 0


@pytest.mark.parametrize(
    ("front", "title"),
    [("title: 2024", "2024"), ("title: [a]", "Head"), ("title: ''", "Head"), ("a: 1", "Head")],
)
def test_the_title_is_that_of_front_matter_or_the_first_heading(front: str, title: str) -> None:
    assert parse(f"---\n{front}\n---\n## Sub\n\n# Head\n\n# Other").title == title


def test_malformed_front_matter_is_text() -> None:
    document = parse("---\ntitle: [never closed\n---\n# Head")
    assert blocks(document) == [("paragraph", "title: [never closed"), ("heading", "# Head")]
    assert document.metadata == {}


def test_definitions_vanish_and_references_are_reduced() -> None:
    document = parse(
        "See [the docs][d], [Docs], ![img][d], [x][] and [other] or [a][b].\n\n"
        "[d]: https://example.com 'title'\n[docs]: <b c>\n[x]: y\n[x]: again\n\n"
        "- item\n\n  [nested]: z\n- last\n"
    )
    assert blocks(document) == [
        ("paragraph", "See the docs, Docs, img, x and [other] or [a][b]."),
        ("list", "- item\n\n- last"),
    ]


def test_footnotes_are_text() -> None:
    document = parse("A claim[^1] and another[^2].\n\n[^1]: Source.\n\n[^2]: A longer source.")
    assert [text for _, text in blocks(document)] == [
        "A claim[^1] and another[^2].",
        "[^1]: Source.",
        "[^2]: A longer source.",
    ]


def test_comments_vanish_outside_code() -> None:
    document = parse(
        "one <!-- a\nb --> two `<!-- c -->`\n\n<!-- block\n\nstill -->\n\n"
        "```\n<!-- code -->\n```\n\n- item <!-- d -->\n\n<!-- never closed\n\nkept"
    )
    assert blocks(document) == [
        ("paragraph", "one  two `<!-- c -->`"),
        ("code", "```\n<!-- code -->\n```"),
        ("list", "- item"),
        ("paragraph", "<!-- never closed\n\nkept"),
    ]


def test_code_in_lists_and_quotes_keeps_its_links() -> None:
    source = "- [a](b)\n\n  ```\n  [c](d)\n  ```\n\n> [e](f)\n>\n>     [g](h)"
    assert parse(source).text == "- a\n\n  ```\n  [c](d)\n  ```\n\n> e\n>\n>     [g](h)"


def test_html_blocks_of_tags_alone_vanish() -> None:
    assert parse("<p align='center'>\n<img src='x'>\n</p>\n\ntext").text == "text"


@pytest.mark.parametrize(
    ("text", "reduced"),
    [
        ("[a](b)", "a"),
        ("![alt text](img.png 'title')", "alt text"),
        ("[![badge](i)](u)", "badge"),
        ('[a](<b c> "t") [d](e(f)g)', "a d"),
        ("[a]()", "a"),
        ("[a\nb](c\n'd')", "a\nb"),
        ("[`]`](b)", "`]`"),
        ("`[a](b)` ``[c](d) ` ``", "`[a](b)` ``[c](d) ` ``"),
        ("` [a](b)", "` a"),
        (r"\[a](b) [c\](d)", r"\[a](b) [c\](d)"),
        ("<https://example.com/[a](b)>", "<https://example.com/[a](b)>"),
        ("[int](not a link)", "[int](not a link)"),
        ("[int] (5)", "[int] (5)"),
        ("- [ ] todo", "- [ ] todo"),
        ("a] [b", "a] [b"),
        ("[C:\\dir](C:\\dir\\file)", "C:\\dir"),
        ("x <!-- [a](b) --> y", "x  y"),
        ("<!-- open [a](b)", "<!-- open a"),
        ("no links", "no links"),
    ],
)
def test_links_are_reduced_to_their_text(text: str, reduced: str) -> None:
    assert without_targets(text, frozenset()) == reduced


def test_labels_are_compared_without_case_and_spacing() -> None:
    labels = {normalised("Straße  und\nWeg")}
    assert without_targets("[a][STRASSE und weg]", labels) == "a"
    assert without_targets("[straße und Weg]", labels) == "straße und Weg"


def test_an_unclosed_comment_is_kept() -> None:
    assert without_comments("a<!--b-->c<!--d") == "ac<!--d"


@pytest.mark.parametrize(
    "text",
    [
        ">" * 10_000,
        "> " * 5_000 + "deep",
        "[" * 10_000,
        "[" * 20_000 + "]" * 20_000,
        "[a]: b\n\n" + "[" * 20_000 + "]" * 20_000,
        "[a](" * 10_000,
        "[a](<" * 10_000,
        '[a](b "' * 10_000,
        "- " * 5_000 + "a",
        " ".join("`" * n for n in range(400)) + "[a](b)",
        "a <!-- " * 10_000,
        "# " + "*_[`" * 5_000,
        "".join("  " * n + "- a\n" for n in range(200)),
    ],
)
def test_hostile_input_is_only_text(text: str) -> None:
    document = parse(text)
    assert all(0 <= b.start < b.end <= len(document.text) for b in document.blocks)


def test_what_nests_too_deep_is_kept_as_it_is() -> None:
    assert parse("> " * 100 + "deep").text == "> " * 100 + "deep"
