"""JSON becomes lists, tables and sections; lines of JSON come one by one."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from indexers.parsing.composing import documents
from indexers.parsing.content import Content, Part, Properties, Yielded
from indexers.parsing.data import json_records
from indexers.parsing.data.json_records import parse_json, parse_ndjson
from indexers.parsing.data.notebooks import parse_notebook
from rag.errors import UnreadableDocument
from rag.types import Document


def read(
    data: object, parser: Callable[[Content], Iterator[Yielded]] = parse_json
) -> list[tuple[str, str]]:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    found = (item for item in parser(Content(raw, name="a.json")) if isinstance(item, Part))
    return [(part.kind, part.text) for part in found if part.text]


def test_fields_are_items_and_fields_of_fields_are_indented() -> None:
    value = {
        "id": 7,
        "price": 1.10,
        "who": {"name": "Ann", "mail": None, "home": {"city": "Bonn"}},
        "tags": ["a", "b"],
        "empty": {},
        "none": [],
        "ok": True,
    }
    assert read(value) == [
        (
            "list",
            "- id: 7\n- price: 1.1\n- who:\n  - name: Ann\n  - mail: null\n  - home:\n"
            "    - city: Bonn\n- tags: a, b\n- empty:\n- none:\n- ok: true",
        )
    ]


def test_numbers_stay_as_written_and_names_that_come_twice_are_kept() -> None:
    source = b'{"a": 1.10, "a": 12345678901234567890123, "b": 1e5, "c": NaN}'
    assert read(source) == [("list", "- a: 1.10\n- a: 12345678901234567890123\n- b: 1e5\n- c: NaN")]


def test_like_objects_are_a_table() -> None:
    value = [{"id": 1, "tags": ["x", "y"]}, {"id": 2, "note": "a|b\tc", "tags": []}]
    assert read(value) == [
        ("table", "| id | tags | note |\n|---|---|---|\n| 1 | x, y |  |\n| 2 |  | a\\|b c |")
    ]


@pytest.mark.parametrize(
    "value",
    [
        [{"a": 1}],
        [{"a": 1}, {"b": 2}, {"c": 3}],
        [{"a": 1}, 2],
        [{"a": "x" * 201}, {"a": "y"}],
        [{"a": "x\ny"}, {"a": "y"}],
        [{"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}],
        [{f"column {i} of many": 1 for i in range(12)}] * 2,
        [{str(i): 1 for i in range(17)}] * 2,
        [{"a": 1}, {}],
    ],
)
def test_unlike_or_long_objects_are_no_table(value: object) -> None:
    assert "table" not in {kind for kind, _ in read(value)}


def test_long_tables_are_cut_and_each_part_has_its_header() -> None:
    found = read([{"id": i} for i in range(450)])
    assert [text.count("\n") for _, text in found] == [201, 201, 51]
    assert all(text.startswith("| id |\n|---|\n") for _, text in found)
    assert found[1][1].startswith("| id |\n|---|\n| 200 |")


def test_large_fields_are_sections_after_the_small_ones() -> None:
    value = {"big": {f"k{i}": "word " * 40 for i in range(20)}, "name": "x", "rows": [{"a": 1}] * 2}
    found = read(value)
    assert found[0] == ("list", "- name: x")
    assert found[1] == ("heading", "# big")
    assert found[2][1].startswith("- k0: word word")
    assert found[-2:] == [("heading", "# rows"), ("table", "| a |\n|---|\n| 1 |\n| 1 |")]


def test_long_texts_are_paragraphs_with_their_name() -> None:
    text = "One sentence. " * 120 + "\n\nAnother paragraph.\n"
    found = read({"id": 1, "text": text, "end": 2})
    assert found == [
        ("list", "- id: 1"),
        ("paragraph", "text: " + ("One sentence. " * 120).strip(" ") + " "),
        ("paragraph", "Another paragraph."),
        ("list", "- end: 2"),
    ]


def test_large_elements_have_headings_that_name_them() -> None:
    value = [{"name": "A", "text": "t " * 1000}, {"title": "B"}, {"x": 1}]
    found = read(value)
    assert [text for kind, text in found if kind == "heading"] == ["# A", "# B", "# 3"]


def test_headings_go_down_and_stop_at_the_sixth_level() -> None:
    value: Any = {"leaf": ["words " * 49] * 9}
    for level in range(8):
        value = {f"k{7 - level}": value}
    headings = [text for kind, text in read(value) if kind == "heading"]
    assert headings[:2] == ["# k0", "## k1"]
    assert headings[-1] == "###### leaf"


def test_short_texts_in_long_arrays_share_lines() -> None:
    ((_, text),) = read({"vector": [i / 1000 for i in range(100)]})
    first, *lines = text.split("\n")
    assert first == "- vector:"
    assert lines[0].startswith("  - 0.0, 0.001, ")
    assert len(lines) < 8


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (b'"just text"', [("paragraph", "just text")]),
        (b"12", [("paragraph", "12")]),
        (b"[]", []),
        (b"{}", []),
        (b"", []),
        (b" \n", []),
        (b'{"a":1} {"b":2}\n[3,4]', [("list", "- a: 1"), ("list", "- b: 2"), ("list", "- 3, 4")]),
        (b'\xef\xbb\xbf{"a":1}', [("list", "- a: 1")]),
        ('{"ä":"ö"}'.encode("utf-16"), [("list", "- ä: ö")]),
        (b'{"a":"\\ud800x\\u0000y\\u001b"}', [("list", "- a: \ufffdxy")]),
        (b'{"a":"one\\r\\n\\r\\ntwo"}', [("list", "- a: one\n  two")]),
        (b'{"a\\nb": 1}', [("list", "- a b: 1")]),
    ],
)
def test_every_kind_of_value(source: bytes, wanted: list[tuple[str, str]]) -> None:
    assert read(source) == wanted


def test_embedded_data_is_no_text() -> None:
    ((_, text),) = read({"image": "data:image/png;base64," + "A" * 5000})
    assert text == "- image: data:image/png;base64,…"


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (b'{"a": 1, // remark\n}', [("code", '{"a": 1, // remark\n}')]),
        (b'{"a": 1} rest', [("list", "- a: 1"), ("code", "rest")]),
        (
            b'[{"a": 1}, {"a": 2}, {"a":',
            [("table", "| a |\n|---|\n| 1 |\n| 2 |"), ("code", '{"a":')],
        ),
        (b"[1, 2; 3]", [("list", "- 1, 2"), ("code", "; 3]")]),
        (b"[1, 2,]", [("list", "- 1, 2"), ("code", "]")]),
        (b"[", []),
        (b"[1", [("list", "- 1")]),
    ],
)
def test_what_is_no_json_is_kept_from_there_on(
    source: bytes, wanted: list[tuple[str, str]]
) -> None:
    found = read(source)
    assert found[: len(wanted)] == wanted


def test_long_text_that_is_no_json_is_cut_at_lines() -> None:
    found = read(b"{" + b"some line // x\n" * 10_000)
    assert {kind for kind, _ in found} == {"code"}
    assert all(len(text) <= 50_000 for _, text in found)
    assert sum(text.count("some line") for _, text in found) == 10_000


@pytest.mark.parametrize(
    "source",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 300 + b"]" * 300,
        b'{"a":' * 300 + b"1" + b"}" * 300,
        b"[" * 800 + b"1" + b"]" * 800,
    ],
)
def test_deep_nesting_is_a_typed_error(source: bytes) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        read(source)
    assert caught.value.code == "too_deep"


def test_values_150_deep_are_read() -> None:
    assert read(b"[" * 150 + b'"deep"' + b"]" * 150)[-1][1].strip(" -1:\n") == "deep"


def test_a_large_file_is_refused_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_records, "MAX_BYTES", 10)
    with pytest.raises(UnreadableDocument, match="JSON lines") as caught:
        read([1, 2, 3, 4, 5, 6])
    assert caught.value.code == "too_large"


@pytest.mark.parametrize(
    ("value", "title"),
    [
        ({"title": " The  title "}, "The title"),
        ({"name": "package"}, "package"),
        ({"name": "n", "title": "t"}, "t"),
        ({"title": 5}, "5"),
        ({"title": {"a": 1}}, None),
        ({"title": "x" * 201}, None),
        ([{"title": "t"}], None),
    ],
)
def test_the_title_is_that_of_the_outermost_object(value: object, title: str | None) -> None:
    source = Content(json.dumps(value).encode())
    (document,) = documents(parse_json(source))
    assert isinstance(document, Document)
    assert document.title == title


def test_lines_of_json_are_records() -> None:
    source = b'{"id": 1, "a": {"b": {"c": 2}}}\n\n{"id": 2}\r\n'
    assert read(source, parse_ndjson) == [
        ("list", "- id: 1\n- a:\n  - b:\n    - c: 2"),
        ("list", "- id: 2"),
    ]


def test_a_broken_line_is_text_and_the_others_are_read() -> None:
    source = b'{"a": 1}\n{"a": 2}\n{"a": oops\n{"a": 3} x\n' + b"[" * 5000 + b'\n{"a": 4}'
    assert read(source, parse_ndjson) == [
        ("table", "| a |\n|---|\n| 1 |\n| 2 |"),
        ("paragraph", '{"a": oops'),
        ("paragraph", '{"a": 3} x'),
        ("paragraph", "[" * 5000),
        ("list", "- a: 4"),
    ]


def test_a_value_over_several_lines_is_no_line_of_json() -> None:
    source = b'{\n  "a": 1\n}\n{\n  "a": 2\n}\n'
    assert read(source, parse_ndjson) == [("list", "- a: 1"), ("list", "- a: 2")]
    assert read(b"", parse_ndjson) == []


def test_memory_does_not_grow_with_the_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text('{"id": 12345, "text": "some words here"}\n' * 8_000)
    descriptor = os.open(path, os.O_RDONLY)
    tracemalloc.start()
    count = sum(1 for _ in parse_ndjson(Content(descriptor)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    os.close(descriptor)
    assert count == 40
    assert peak < 1 << 20


NOTEBOOK = {
    "nbformat": 4,
    "metadata": {
        "language_info": {"name": "python"},
        "authors": [{"name": "Ann"}, {"name": "Bob"}],
    },
    "cells": [
        {"cell_type": "markdown", "source": ["# Title\n", "\n", "Some *words*\n", "\n", "- item"]},
        {
            "cell_type": "code",
            "source": "print(1)",
            "outputs": [
                {"output_type": "stream", "text": ["1\n", "\x1b[31mred\x1b[0m"]},
                {
                    "output_type": "display_data",
                    "data": {"image/png": "AAA", "text/plain": "<Fig>"},
                },
                {"output_type": "error", "ename": "ValueError", "evalue": "bad", "traceback": []},
            ],
        },
        {"cell_type": "raw", "source": "raw"},
    ],
}


def test_a_notebook_is_its_cells_and_the_text_of_their_outputs() -> None:
    found = list(parse_notebook(Content(json.dumps(NOTEBOOK).encode())))
    assert found[0] == Properties(
        metadata={"meta.programming_language": "python", "meta.author": "Ann, Bob"}
    )
    assert found[1] == Properties(title="Title")
    assert [(p.kind, p.text) for p in found if isinstance(p, Part)] == [
        ("heading", "# Title"),
        ("paragraph", "Some *words*"),
        ("list", "- item"),
        ("code", "print(1)"),
        ("code", "1\nred"),
        ("code", "<Fig>"),
        ("code", "ValueError: bad"),
        ("paragraph", "raw"),
    ]


def test_a_notebook_of_the_older_format() -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": "Head"},
        {"cell_type": "code", "input": ["a\n", "b"], "outputs": [{"text": "out"}]},
    ]
    value = {"nbformat": 3, "worksheets": [{"cells": cells}]}
    assert read(value, parse_notebook) == [
        ("heading", "## Head"),
        ("code", "a\nb"),
        ("code", "out"),
    ]


@pytest.mark.parametrize(
    "value", [{"a": 1}, {"nbformat": 4}, {"nbformat": 4, "cells": [None, 5, {"source": 3}]}, b"{"]
)
def test_what_is_no_notebook_ends_in_text_or_nothing(value: object) -> None:
    assert len(read(value, parse_notebook)) <= 1


@pytest.mark.data
def test_the_corpus(data_folder: Path) -> None:
    folder = data_folder / "formats"
    text = "\n".join(t for _, t in read((folder / "ok/simple.ndjson").read_bytes(), parse_ndjson))
    assert "- element_id: a06d2d9e65212d4aa955c3ab32950ffa\n- metadata:" in text
    with pytest.raises(UnreadableDocument, match="deep"):
        read((folder / "hostile/deep-array.json").read_bytes())
