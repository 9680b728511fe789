"""Plain text keeps its characters; blank lines part its paragraphs."""

from __future__ import annotations

import pytest

from indexers.parsing.text.text import parse_text


@pytest.mark.parametrize(
    ("text", "paragraphs"),
    [
        ("one", ["one"]),
        ("one\ntwo\n", ["one\ntwo"]),
        ("\n\n  one\n \t\ntwo\n\n\n\nthree  \n\n", ["  one", "two", "three  "]),
        ("第一段\n\n第二段", ["第一段", "第二段"]),
        ("a\fb\n\u2028\nc", ["a\fb", "c"]),
    ],
)
def test_paragraphs_lie_between_blank_lines(text: str, paragraphs: list[str]) -> None:
    document = parse_text(text.encode())
    assert document.text == text
    assert [document.text[b.start : b.end] for b in document.blocks] == paragraphs
    assert {b.kind for b in document.blocks} == {"paragraph"}
    assert document.title is None


def test_markup_means_nothing() -> None:
    document = parse_text(b"# no heading\n\n[a](b) <!-- c -->")
    assert document.text == "# no heading\n\n[a](b) <!-- c -->"
    assert [b.level for b in document.blocks] == [0, 0]
