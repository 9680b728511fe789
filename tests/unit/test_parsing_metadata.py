"""What front matter may say, and what is left out of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from indexers.parsing.markup.frontmatter import load_front_matter, split_front_matter
from indexers.parsing.metadata import MAX_FIELDS, MAX_VALUE_BYTES, metadata
from rag.filters import Value


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("words", "words"),
        ("", ""),
        (3, 3),
        (2.5, 2.5),
        (True, True),
        (date(2026, 8, 10), 1786320000),
        (datetime(2026, 8, 10, 1, 0), 1786323600),
        (datetime(2026, 8, 10, 1, 0, tzinfo=timezone(timedelta(hours=1))), 1786320000),
        (datetime(1969, 12, 31, tzinfo=UTC), -86400),
        ([], []),
        (["a", "b"], ["a", "b"]),
        ([1, 2.5], [1, 2.5]),
        ([date(1970, 1, 1), date(1970, 1, 2)], [0, 86400]),
    ],
)
def test_scalars_and_lists_of_one_kind_are_kept(content: object, value: Value) -> None:
    fields = metadata({"a": content})
    assert fields == {"meta.a": value}
    assert type(fields["meta.a"]) is type(value)


@pytest.mark.parametrize(
    "content",
    [
        None,
        {"a": 1},
        [["a"]],
        ["a", 1],
        [True, 1],
        ["a", None],
        "a\0b",
        "\ud800",
        float("nan"),
        float("inf"),
        2**63,
        b"bytes",
        "x" * (MAX_VALUE_BYTES + 1),
        "é" * (MAX_VALUE_BYTES // 2 + 1),
        ["x" * 100] * 41,
    ],
)
def test_other_values_are_left_out_alone(content: object) -> None:
    assert metadata({"bad": content, "good": 1}) == {"meta.good": 1}


@pytest.mark.parametrize(
    "name", ["a", "ms.date", "Module Name", "日期", "a-b", "dc:title", "x" * 64]
)
def test_names_are_kept_as_they_are(name: str) -> None:
    assert metadata({name: 1}) == {f"meta.{name}": 1}


@pytest.mark.parametrize(
    "name", ["", " a", "a ", ".a", "a/b", "a\nb", "a\0", "$where", 'a"b', "x" * 65, 3, None, ("a",)]
)
def test_strange_names_are_left_out(name: object) -> None:
    assert metadata({name: 1, "good": 2}) == {"meta.good": 2}


def test_the_number_of_fields_is_limited() -> None:
    fields = metadata({f"f{n}": n for n in range(MAX_FIELDS + 10)})
    assert list(fields.values()) == list(range(MAX_FIELDS))


@pytest.mark.parametrize(
    ("text", "front", "rest"),
    [
        ("---\na: 1\n---\nbody", "a: 1\n", "body"),
        ("---\na: 1\n...\nbody", "a: 1\n", "body"),
        ("--- \na: 1\n---", "a: 1\n", ""),
        ("---\n---\nbody", "", "body"),
        ("---\nno end\n", "", "---\nno end\n"),
        ("\n---\na: 1\n---\n", "", "\n---\na: 1\n---\n"),
        ("----\na: 1\n---\n", "", "----\na: 1\n---\n"),
    ],
)
def test_front_matter_stands_between_rules_at_the_head(text: str, front: str, rest: str) -> None:
    assert split_front_matter(text) == (front, rest)


def test_yaml_is_read_with_its_types() -> None:
    assert load_front_matter("a: 1\nb: [x, y]\nc: 2026-08-10\nd: yes\n") == {
        "a": 1,
        "b": ["x", "y"],
        "c": date(2026, 8, 10),
        "d": True,
    }


@pytest.mark.parametrize(
    "text",
    [
        "a: [1\n",
        "just words\n",
        "- a\n- b\n",
        "a: 2026-13-45\n",
        "a: !!python/object/apply:os.system [id]\n",
        "a: " + "9" * 5000,
        "a: " + "[" * 20_000,
        "a: " + "[" * 20 + "]" * 20,
        "- " * 10_000 + "a",
        "a: &x [1, 2]\nb: [*x, *x]\n",
        "a: \x01\n",
    ],
)
def test_malformed_and_hostile_yaml_is_no_front_matter(text: str) -> None:
    assert load_front_matter(text) is None
