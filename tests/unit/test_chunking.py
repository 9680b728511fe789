"""Chunks follow the outline of a document and fit the window of an embedder."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import pytest

from indexers.chunking import ChunkSpec, chunk
from indexers.parsing.markup.markdown import parse_markdown
from rag.errors import ConfigError
from rag.types import Block, Document, Span

SMALL = ChunkSpec(max_tokens=40, target_tokens=30, min_tokens=8)


def words(texts: Sequence[str]) -> list[int]:
    return [len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]


def quarters(texts: Sequence[str]) -> list[int]:
    return [math.ceil(len(text) / 4) for text in texts]


def spans_of(text: str, spec: ChunkSpec = SMALL, *, title: str | None = None) -> list[Span]:
    document = parse_markdown(text.encode())
    if title is not None:
        document = Document(document.text, document.blocks, title)
    spans = chunk(document, spec, words)
    assert "".join(document.text[s.start : s.end] for s in spans) == document.text
    counts = words([s.embedded_text for s in spans])
    assert [s.tokens for s in spans] == counts
    assert max(counts) <= spec.max_tokens
    return spans


def prose(n: int, word: str = "word") -> str:
    return " ".join([word] * n)


def test_a_short_document_is_one_chunk() -> None:
    assert spans_of("# Title\n\nSome words.\n\n## Sub\n\nMore.") == [
        Span(0, 35, (), "# Title\n\nSome words.\n\n## Sub\n\nMore.", tokens=10)
    ]


@pytest.mark.parametrize("text", ["", " \n\t\n"])
def test_a_blank_document_has_no_chunks(text: str) -> None:
    assert chunk(Document(text, title="Title"), SMALL, words) == []


def test_the_path_of_headings_stands_above_the_span() -> None:
    spans = spans_of(
        f"# Guide\n\n{prose(10)}\n\n## Install\n\n{prose(10)}\n\n### Linux\n\n{prose(25)}\n\n"
        f"{prose(25)}\n\n## Use\n\n{prose(10)}"
    )
    assert [s.heading for s in spans] == [
        (),
        ("Guide",),
        ("Guide", "Install"),
        ("Guide", "Install", "Linux"),
        ("Guide",),
    ]
    assert spans[2].embedded_text == f"Guide > Install\n### Linux\n\n{prose(25)}"
    assert spans[3].embedded_text == f"Guide > Install > Linux\n{prose(25)}"


@pytest.mark.parametrize(
    ("text", "title", "first_line"),
    [
        ("## A\n\nwords", "Title", "Title"),
        ("words", "Title", "Title"),
        ("# Title\n\nwords", "Title", "# Title"),
        ("# The  title\n\nwords", "the Title", "# The  title"),
        ("words", None, "words"),
    ],
)
def test_the_title_stands_once(text: str, title: str | None, first_line: str) -> None:
    document = parse_markdown(text.encode())
    (span,) = chunk(Document(document.text, document.blocks, title), SMALL, words)
    assert span.embedded_text.split("\n")[0] == " ".join(first_line.split())
    assert span.embedded_text.lower().count("title") <= 1


def test_a_path_that_begins_with_the_title_stands_for_it() -> None:
    spans = spans_of(f"# Title\n\n{prose(12)}\n\n## Sub\n\n{prose(12)}", title="Title")
    assert spans[1].embedded_text == f"Title\n## Sub\n\n{prose(12)}"


def test_a_heading_begins_a_chunk_from_the_minimum_on() -> None:
    small, enough = prose(3), prose(8)
    assert len(spans_of(f"## A\n\n{enough}\n\n## B\n\n{enough}")) == 2
    merged = spans_of(f"## A\n\n{small}\n\n## B\n\n{small}\n\n## C\n\n{enough}")
    assert [s.embedded_text.count("##") for s in merged] == [2, 1]


def test_a_chunk_does_not_leave_the_section_that_its_path_names() -> None:
    spans = spans_of("# One\n\n## Sub\n\nfew words\n\n# Two\n\nother words", title="T")
    assert [s.heading for s in spans] == [()]
    spans = spans_of(f"# One\n\n{prose(20)}\n\n## Sub\n\nfew\n\n# Two\n\nother words", title="T")
    assert [(s.heading, s.embedded_text.split("\n")[-1]) for s in spans] == [
        ((), prose(20)),
        (("One",), "few"),
        ((), "other words"),
    ]


def test_a_heading_never_ends_a_chunk() -> None:
    code = "```\n" + "\n".join(f"line {n} of code" for n in range(9)) + "\n```"
    spans = spans_of(f"{prose(30)}\n\n## Head\n\n### Sub\n\n{code}\n\n## Empty\n\n## Last")
    assert not any(re.search(r"(^|\n)#+ \w+$", s.embedded_text) for s in spans[:-1])
    assert any(s.embedded_text.startswith("## Head\n\n### Sub\n\n```") for s in spans)


def test_headings_of_nothing_make_no_chunk() -> None:
    spans = spans_of(f"## A\n\n{prose(20)}\n\n## Related\n\n## Links")
    assert len(spans) == 1
    assert spans[0].embedded_text.endswith("## Related\n\n## Links")


@pytest.mark.parametrize(
    "block",
    [
        "```\n" + "\n".join(["a = b"] * 11) + "\n```",
        "| a | b |\n|---|---|\n" + "\n".join(["| c | d |"] * 4),
        "\n".join(["- item of two words"] * 7),
        "\n".join(["> quoted words stand here"] * 7),
    ],
)
def test_blocks_that_fit_stay_whole(block: str) -> None:
    assert 30 < words([block])[0] <= 40
    spans = spans_of(f"{prose(12)}\n\n{block}\n\n{prose(12)}")
    assert any(s.embedded_text == block for s in spans)


def test_long_code_is_cut_at_lines() -> None:
    lines = [f"x = {n}" for n in range(40)]
    spans = spans_of("```\n" + "\n".join(lines) + "\n```")
    cut = [line for s in spans for line in s.embedded_text.split("\n")]
    assert cut == ["```", *lines, "```"]


def test_long_lists_are_cut_at_items() -> None:
    items = [f"- item {n} goes on\n  in a second line" for n in range(12)]
    for span in spans_of("\n".join(items)):
        assert span.embedded_text.startswith("- item")
        assert span.embedded_text.endswith("line")


def test_long_paragraphs_are_cut_at_sentences_evenly() -> None:
    text = " ".join(f"Sentence {n} has five words." for n in range(8))
    spans = spans_of(text)
    assert [s.embedded_text.count("Sentence") for s in spans] == [4, 4]
    assert all(s.embedded_text.endswith(".") for s in spans)


def test_cjk_is_cut_at_its_full_stops() -> None:
    document = Document("這是一個完整的句子。" * 10, (Block("paragraph", 0, 100),))
    spans = chunk(document, ChunkSpec(16, 16, 4), quarters)
    assert len(spans) == 2
    assert all(s.embedded_text.endswith("。") for s in spans)


def test_without_sentences_words_are_kept_and_without_words_nothing() -> None:
    spec = ChunkSpec(16, 12, 4)
    for span in chunk(Document(prose(200)), spec, quarters):
        assert set(span.embedded_text.split()) == {"word"}
    spans = chunk(Document("x" * 1000), spec, quarters)
    assert max(quarters([s.embedded_text for s in spans])) <= 16
    assert sum(len(s.embedded_text) for s in spans) == 1000


def test_rows_of_a_cut_table_know_its_head() -> None:
    rows = [f"| row {n} | value {n} |" for n in range(12)]
    spans = spans_of("\n".join(["| name | size |", "|---|---|", *rows]))
    assert len(spans) > 2
    assert spans[0].embedded_text.startswith("| name | size |\n|---|---|\n| row 0 ")
    for span in spans[1:]:
        assert span.embedded_text.startswith("| name | size |\n| row ")


def test_a_head_that_takes_too_much_room_is_not_repeated() -> None:
    head = "| " + " | ".join(f"column {n}" for n in range(8)) + " |"
    rows = ["| a | b | c | d | e | f | g | h |"] * 6
    spans = spans_of("\n".join([head, "|---" * 8 + "|", *rows]))
    assert not any("column" in s.embedded_text and "| a |" in s.embedded_text for s in spans[1:])


def test_a_long_lead_is_shortened_from_the_outside() -> None:
    path = [f"{name} {name} {name} {name}" for name in ("alpha", "beta", "gamma")]
    text = "\n\n".join(f"{'#' * n} {name}" for n, name in enumerate(path, start=1))
    spans = spans_of(f"{text}\n\n{prose(26)}\n\n{prose(26)}", title="The title")
    assert spans[-1].heading == tuple(path)
    assert spans[-1].embedded_text.split("\n")[:2] == ["The title", path[-1]]


def test_a_long_title_is_cut_at_a_word() -> None:
    spans = spans_of(prose(20), title=prose(60, "title"))
    lead, body = spans[0].embedded_text.split("\n")
    assert 5 < len(lead.split()) <= 40 // 3
    assert set(lead.split()) == {"title"}
    assert body == prose(20)


def test_a_title_whose_tokens_stand_at_its_beginning_fits_too() -> None:
    title = "!" * 60 + " " + "long" * 200
    document = Document(prose(50), title=title)
    spans = chunk(document, SMALL, words)
    assert max(words([s.embedded_text for s in spans])) <= SMALL.max_tokens
    assert all(s.embedded_text.startswith("!!!!") for s in spans)
    assert len(spans) <= 4


def test_text_outside_of_blocks_is_not_lost() -> None:
    text = "before\n# Head\nbetween\nblock\nafter"
    blocks = (Block("heading", 7, 13, 1, "Head"), Block("paragraph", 22, 27))
    (span,) = chunk(Document(text, blocks), SMALL, words)
    assert (span.start, span.end, span.embedded_text) == (0, len(text), text)


def test_a_count_that_grows_faster_than_the_text_is_obeyed() -> None:
    def squares(texts: Sequence[str]) -> list[int]:
        return [len(text.split()) ** 2 // 20 + 1 for text in texts]

    text = f"## Head\n\n{prose(30)}\n\n" + "\n\n".join([prose(6)] * 20)
    document = parse_markdown(text.encode())
    spans = chunk(document, SMALL, squares)
    assert max(squares([s.embedded_text for s in spans])) <= SMALL.max_tokens
    assert "".join(document.text[s.start : s.end] for s in spans) == document.text
    assert not spans[0].embedded_text.endswith("Head")


def test_tokens_are_counted_in_few_batches() -> None:
    calls = 0

    def counted(texts: Sequence[str]) -> list[int]:
        nonlocal calls
        calls += 1
        return words(texts)

    section = f"{prose(25)}\n\n```\n" + "a = b\n" * 30 + f"```\n\n{prose(90)}"
    text = "\n\n".join(f"## Section {n}\n\n{section}" for n in range(50))
    assert len(chunk(parse_markdown(text.encode()), SMALL, counted)) > 300
    assert calls <= 4


@pytest.mark.parametrize(
    "text",
    [
        "# a\n\n" * 3000,
        "".join("#" * (n % 6 + 1) + " a\n\n" for n in range(3000)),
        "# " + "word " * 20_000,
        "- a\n" * 5000,
        "```\n" + "\n" * 20_000 + "x\n```",
        "a" + " " * 50_000 + "b",
        "|a" * 1000 + "\n" + "|-" * 1000 + "\n" + "|b" * 1000,
        "." * 50_000,
    ],
)
def test_hostile_documents_fit_too(text: str) -> None:
    document = parse_markdown(text.encode())
    for count in (words, quarters):
        spans = chunk(document, SMALL, count)
        assert "".join(document.text[s.start : s.end] for s in spans) == document.text
        assert max(count([s.embedded_text for s in spans])) <= SMALL.max_tokens


def test_the_fingerprint_changes_with_every_option() -> None:
    specs = [ChunkSpec(), ChunkSpec(253), ChunkSpec(254, 199), ChunkSpec(254, 200, 63)]
    assert len({spec.fingerprint for spec in specs}) == len(specs)
    assert ChunkSpec(254, 200, 64).fingerprint == ChunkSpec().fingerprint


@pytest.mark.parametrize(
    ("limit", "target", "least"), [(254, 255, 10), (254, 200, 201), (15, 10, 5), (254, 200, 0)]
)
def test_lengths_out_of_order_are_refused(limit: int, target: int, least: int) -> None:
    with pytest.raises(ConfigError, match=str(limit)):
        ChunkSpec(limit, target, least)
