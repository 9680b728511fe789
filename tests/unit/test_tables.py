"""Tables that stay whole: what is embedded of them, and what is found, shown and cited."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from indexers.chunking import ChunkSpec, chunk
from indexers.parsing.composing import compose
from indexers.parsing.content import Part
from indexers.parsing.tabular import markdown_table
from indexers.tables import abridged, is_table

ROWS = [
    ["", "2023", "2022"],
    *([f"Net sales of region {n}", f"{n}1,234", f"{n}5"] for n in range(20)),
]
TABLE = markdown_table(ROWS)


def count(texts: Sequence[str]) -> list[int]:
    """One token for each word and each bar."""
    return [len(text.split()) for text in texts]


SPEC = ChunkSpec(max_tokens=60, target_tokens=50, min_tokens=10, table_tokens=400)
PAGE = compose(
    [
        Part("heading", "# Report", 1, "Report"),
        Part("paragraph", "Net sales by region, in millions:"),
        Part("table", TABLE),
        Part("paragraph", "Sales grew in all regions but one."),
    ]
)


def test_a_table_is_one_chunk_of_its_own() -> None:
    spans = chunk(PAGE, SPEC, count)
    assert "".join(PAGE.text[span.start : span.end] for span in spans) == PAGE.text
    (whole,) = [span for span in spans if "|---" in PAGE.text[span.start : span.end]]
    assert PAGE.text[whole.start : whole.end].strip() == TABLE
    assert whole.heading == ("Report",)


def test_its_header_and_labels_are_embedded_and_all_its_words_are_found() -> None:
    spans = chunk(PAGE, SPEC, count)
    (whole,) = [span for span in spans if span.words]
    assert max(span.tokens for span in spans) <= SPEC.max_tokens
    assert whole.tokens == count([whole.embedded_text])[0]
    assert whole.embedded_text.startswith("Report\n2023 | 2022\nNet sales of region 0; ")
    assert "1,234" not in whole.embedded_text
    assert TABLE in whole.words
    assert whole.words.startswith("Report\n")


@pytest.mark.parametrize("table_tokens", [0, 100])
def test_a_longer_one_is_cut_between_rows_under_its_header(table_tokens: int) -> None:
    spec = ChunkSpec(max_tokens=60, target_tokens=50, min_tokens=10, table_tokens=table_tokens)
    spans = chunk(PAGE, spec, count)
    rows = [span for span in spans if "Net sales of region 1 " in PAGE.text[span.start : span.end]]
    assert all("2023" in span.embedded_text for span in rows)
    assert not any(span.words for span in spans)
    assert len([span for span in spans if "Net sales of" in PAGE.text[span.start : span.end]]) > 3


def test_a_short_table_stays_beside_its_caption() -> None:
    page = compose([Part("paragraph", "Sales:"), Part("table", markdown_table(ROWS[:3]))])
    (span,) = chunk(page, SPEC, count)
    assert not span.words
    assert "Sales:" in span.embedded_text


def test_the_fingerprint_of_older_options_is_unchanged() -> None:
    assert ChunkSpec(254, 200, 64).fingerprint == "outline-1-254-200-64"
    assert ChunkSpec(254, 200, 64, 1536).fingerprint == "outline-1-254-200-64-1536"


def test_delimited_rows_have_labels_too() -> None:
    text = 'id;name;sum\n---\n1;"Müller; Meier";5,20\n2;Schmidt;7'
    assert abridged(text, 99, count) == "id | name | sum\nMüller; Schmidt"


def test_what_does_not_fit_is_left_out_from_the_end() -> None:
    short = abridged(TABLE, 20, count)
    assert count([short])[0] <= 20
    assert short.startswith("2023 | 2022\nNet sales of region 0; Net sales of region 1")
    assert abridged(TABLE, 1, count) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("| a |\n|---|\n| 1 |", True),
        ("| a |\n|:-:|", True),
        ("a,b\n1,2", False),
        ("| a |", False),
        ("| a |\n||", False),
    ],
)
def test_a_markdown_table_is_told_by_its_rule(text: str, expected: bool) -> None:
    assert is_table(text) is expected
