"""A text cut into sentences as it streams is cut as it is when it comes at once."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from rag.sentence_stream import Ended, SentenceStream

WORDS = [
    "The", "server", "listens", "on", "port", "8473", ".", "!", "?", "[1]", "[2, 3]", " [", "[1",
    "]", "\n", "\n\n", "- ", "1. ", "# ", "| a | b |", "```", "e.g.", "U.S.", "東京。", "[note]",
    "a[0]", " [[1]]", "[1-3]", "…", '"', ")", "**", "  ",
]  # fmt: skip
TEXTS = st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=8)), max_size=60).map(
    lambda words: "".join(w if w[:1] in " .!?\n]" else f" {w}" for w in words)
)


def run(parts: list[str]) -> list[str | Ended]:
    stream = SentenceStream()
    given = [part for delta in parts for part in stream.feed(delta)]
    return [*given, *stream.end()]


def joined(parts: list[str | Ended]) -> list[str | Ended]:
    """Put neighbouring texts together."""
    whole: list[str | Ended] = []
    for part in parts:
        if isinstance(part, str) and whole and isinstance(whole[-1], str):
            whole[-1] += part
        else:
            whole.append(part)
    return whole


@given(TEXTS, st.lists(st.integers(1, 7), min_size=1, max_size=20))
@example("It is so [1]. Next [2]", [1])
@example("One. [1] Two. [2]", [3])
@example("x" * 4500, [7])
def test_how_a_text_arrives_changes_nothing(text: str, sizes: list[int]) -> None:
    parts, place, n = [], 0, 0
    while place < len(text):
        size = sizes[n % len(sizes)]
        parts.append(text[place : place + size])
        place, n = place + size, n + 1
    assert joined(run(parts)) == joined(run([text]))


@given(TEXTS)
@example("[1[2]]")
@example("[[1]]")
def test_no_mark_of_the_model_is_left(text: str) -> None:
    parts = run(list(text))
    written = "".join(part for part in parts if isinstance(part, str))
    assert re.search(r"\[\d{1,4}\]", written) is None
    assert written == written.strip()


@given(TEXTS)
def test_every_sentence_stands_before_its_end(text: str) -> None:
    written = ""
    for part in run(list(text)):
        if isinstance(part, str):
            written += part
        else:
            assert part.text
            assert written.endswith(part.text)
            written = ""
    assert not written.strip()


def test_what_a_model_marks_is_a_hint_at_its_sentence() -> None:
    text = "One is so [1]. Two is so. [2] Three is [3, 4] so, and no more is said of it."
    ends = [part for part in run(list(text)) if isinstance(part, Ended)]
    assert [(end.text, sorted(end.hints)) for end in ends] == [
        ("One is so.", [1]),
        ("Two is so.", [2]),
        ("Three is so, and no more is said of it.", [3, 4]),
    ]


def test_text_is_passed_on_before_its_sentence_ends() -> None:
    stream = SentenceStream()
    assert list(stream.feed("The server listens")) == ["The server listens"]
    assert list(stream.feed(" on port 8473.")) == [" on port 8473."]
    assert list(stream.feed(" [1]")) == []
    assert list(stream.feed(" It is")) == []  # the sentence may go on, or get a number
    assert list(stream.end()) == [
        Ended("The server listens on port 8473.", frozenset({1})),
        " It is",
        Ended("It is", frozenset()),
    ]
