"""Sentences of many scripts, and the full stops that end none."""

from __future__ import annotations

import random

import pytest

from rag.sentences import sentences


def parts(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


def stripped(text: str) -> list[str]:
    return [part.strip() for part in parts(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("He left... And then?! Yes.", ["He left...", "And then?!", "Yes."]),
        ('He said "Go." Then (it ended.) Done.', ['He said "Go."', "Then (it ended.)", "Done."]),
        ("In 2020. The end.", ["In 2020.", "The end."]),
        ("He said no. Then yes.", ["He said no.", "Then yes."]),
        ("**Note.** Text follows.", ["**Note.**", "Text follows."]),
        ("Ask Node.js. It works.", ["Ask Node.js.", "It works."]),
        ("Installed v1.2.3. Next step.", ["Installed v1.2.3.", "Next step."]),
        ("Version 2. Next. 3.5 is new.", ["Version 2.", "Next.", "3.5 is new."]),
        ("We live in the U.S. It is big.", ["We live in the U.S.", "It is big."]),
        ("Größe. Ärger. Über.", ["Größe.", "Ärger.", "Über."]),
    ],
)
def test_marks_end_sentences(text: str, expected: list[str]) -> None:
    assert stripped(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith met Mrs. Jones and Prof. Lee.",
        "Use a store, e.g. Postgres, i.e. The Database.",
        "The U.S. Government paid.",
        "J. R. R. Tolkien wrote it.",
        "See Fig. 3 and Sec. 4 on Dec. 12.",
        "It costs 3.14 dollars at 10.5 percent.",
        "Open System.IO.File and config.yaml now.",
        "Smith et al. Found it.",
        "The price rose, approx. doubled.",
        "It ended etc. and went on.",
        '"Really?" he asked.',
        "Yahoo! is a name.",
        "1. Install it",
        "line one\nline two",
    ],
)
def test_other_full_stops_end_none(text: str) -> None:
    assert parts(text) == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今天很好。你好吗？我很好！走了", ["今天很好。", "你好吗？", "我很好！", "走了"]),
        ("他说：“好。”然后走了。", ["他说：“好。”", "然后走了。"]),
        ("真的吗?是的。", ["真的吗?", "是的。"]),
        ("「本当ですか。」はい。", ["「本当ですか。」", "はい。"]),
        ("यह एक है। यह दो है।", ["यह एक है।", "यह दो है।"]),
        ("هل هذا؟ نعم", ["هل هذا؟", "نعم"]),
    ],
)
def test_other_scripts(text: str, expected: list[str]) -> None:
    assert stripped(text) == expected


def test_lines_that_stand_for_themselves_are_sentences() -> None:
    text = (
        "A paragraph\nof two lines\n\nanother\n- item a\n- item two. More\n1. first\n2) second\n"
        "## 1. A heading. Whole\ntext\n| a. B | c |\n|---|---|\n```sh\nls. Then\n```\nend"
    )
    assert stripped(text) == [
        "A paragraph\nof two lines",
        "another",
        "- item a",
        "- item two.",
        "More",
        "1. first",
        "2) second",
        "## 1. A heading. Whole",
        "text",
        "| a. B | c |",
        "|---|---|",
        "```sh",
        "ls.",
        "Then",
        "```",
        "end",
    ]


def test_white_space_belongs_to_the_sentence_before() -> None:
    assert parts("\n  One.  Two. \n") == ["\n  One.  ", "Two. \n"]


@pytest.mark.parametrize(("text", "expected"), [("", []), (" \n\n ", [" \n\n "]), ("a", ["a"])])
def test_small_texts(text: str, expected: list[str]) -> None:
    assert parts(text) == expected


def test_sentences_partition_any_text() -> None:
    rng = random.Random(7)
    alphabet = [
        "a",
        "B",
        "1",
        ".",
        "!",
        "。",
        " ",
        "\n",
        "- ",
        "# ",
        "|",
        '"',
        "e.g",
        "`",
        "\u2028",
    ]
    for _ in range(2000):
        text = "".join(rng.choices(alphabet, k=rng.randrange(40)))
        spans = sentences(text)
        assert "".join(text[a:b] for a, b in spans) == text
        assert all(a < b for a, b in spans)
        if text.strip():
            assert all(text[a:b].strip() for a, b in spans)


@pytest.mark.parametrize(
    "unit",
    [".", ". ", ".)", "\n", " ", " \n", "#", "# ", "|\n", "a.", "1. ", "。", "(", "a", "'\" "],
)
def test_repetition_is_cut_in_one_pass(unit: str) -> None:
    text = unit * (200_000 // len(unit))  # seconds, were it quadratic
    spans = sentences(text)
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)
