"""The JSON form of filters, and what is refused in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from rag.errors import InvalidFilter, UserError
from rag.filters import (
    EVERYTHING,
    MAX_DEPTH,
    MAX_NODES,
    NOTHING,
    RESERVED,
    And,
    Compare,
    Eq,
    Exists,
    Filter,
    In,
    Not,
    Or,
    Scalar,
    from_json,
    kind,
    matches,
    parse_filter,
)


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"eq": {"meta.lang": "en"}}, Eq("meta.lang", "en")),
        ({"eq": {"uri": ""}}, Eq("uri", "")),
        ({"eq": {"title": "日本 \"'"}}, Eq("title", "日本 \"'")),
        ({"eq": {"meta.n": -1.5}}, Eq("meta.n", -1.5)),
        ({"in": {"meta.lang": ["en", "de"]}}, Or((Eq("meta.lang", "en"), Eq("meta.lang", "de")))),
        ({"in": {"meta.lang": []}}, NOTHING),
        ({"lt": {"meta.n": 1}}, Compare("meta.n", "lt", 1)),
        ({"le": {"meta.n": 1}}, Compare("meta.n", "le", 1)),
        ({"gt": {"meta.n": 0.5}}, Compare("meta.n", "gt", 0.5)),
        ({"ge": {"meta.n": -3}}, Compare("meta.n", "ge", -3)),
        ({"exists": "meta.$or"}, Exists("meta.$or")),
        ({"and": []}, EVERYTHING),
        ({"or": []}, NOTHING),
        ({"not": {"exists": "meta.a.b"}}, Not(Exists("meta.a.b"))),
        (
            {"and": [{"or": [{"exists": "meta.a"}]}, {"not": {"and": []}}]},
            And((Or((Exists("meta.a"),)), Not(And()))),
        ),
    ],
)
def test_every_operator_is_read(tree: dict[str, Any], expected: Filter) -> None:
    assert from_json(tree) == expected
    assert parse_filter(json.dumps(tree)) == expected


@pytest.mark.parametrize("value", [True, 1, 1.0, "1"])
def test_a_value_keeps_its_kind(value: str | float | bool) -> None:
    read = from_json({"eq": {"meta.x": value}})
    assert isinstance(read, Eq)
    assert (type(read.value), read.value) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "epoch"),
    [
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC).timestamp()),
        ("2024-02-29T12:30:00", datetime(2024, 2, 29, 12, 30, tzinfo=UTC).timestamp()),
        ("2024-02-29T12:30:00Z", datetime(2024, 2, 29, 12, 30, tzinfo=UTC).timestamp()),
        ("2024-02-29T12:30:00+02:00", datetime(2024, 2, 29, 10, 30, tzinfo=UTC).timestamp()),
        ("1969-12-31T23:59:59.5Z", -0.5),
    ],
)
def test_comparisons_read_dates_as_epoch_seconds(text: str, epoch: float) -> None:
    assert from_json({"ge": {"meta.modified": text}}) == Compare("meta.modified", "ge", epoch)


def test_only_comparisons_read_dates() -> None:
    assert from_json({"eq": {"meta.day": "2024-02-29"}}) == Eq("meta.day", "2024-02-29")


@pytest.mark.parametrize(
    ("tree", "named"),
    [
        ([], "[]"),
        ("meta.lang", "'meta.lang'"),
        (None, "None"),
        ({}, "{}"),
        ({"eq": {"a": 1}, "exists": "b"}, "one operator"),
        ({"$or": []}, "'$or'"),
        ({"AND": []}, "'AND'"),
        ({"and": {"eq": {"a": 1}}}, "'and' takes a list"),
        ({"or": "x"}, "'or' takes a list"),
        ({"not": []}, "[]"),
        ({"and": [{"eq": {"a": 1}}, 5]}, "5"),
        ({"eq": "a"}, "'eq' takes one field"),
        ({"eq": {}}, "'eq' takes one field"),
        ({"eq": {"a": 1, "b": 2}}, "'eq' takes one field"),
        ({"eq": {"a": None}}, "None"),
        ({"eq": {"a": [1]}}, "[1]"),
        ({"eq": {"a": {"gt": 1}}}, "{'gt': 1}"),
        ({"eq": {"a": float("nan")}}, "NaN"),
        ({"in": {"a": "x"}}, "'in' takes a list"),
        ({"in": {"a": [1, None]}}, "None"),
        ({"lt": {"a": True}}, "True"),
        ({"lt": {"a": "soon"}}, "'soon'"),
        ({"lt": {"a": "2024-02-30"}}, "'2024-02-30'"),
        ({"lt": {"a": None}}, "None"),
        ({"lt": {"a": float("nan")}}, "nan"),
        ({"exists": ""}, "''"),
        ({"exists": 5}, "5"),
        ({"exists": ["a"]}, "['a']"),
        ({"eq": {"": 1}}, "''"),
        ({"eq": {"a\0b": 1}}, "a\\x00b"),
        ({"eq": {"a": "x\0"}}, "NUL"),
        ({"in": {"a": ["x\0"]}}, "NUL"),
    ],
)
def test_what_cannot_be_read_is_named(tree: object, named: str) -> None:
    with pytest.raises(InvalidFilter) as refused:
        from_json(tree)
    assert named in str(refused.value)


@pytest.mark.parametrize("field", sorted(RESERVED))
@pytest.mark.parametrize("operator", ["eq", "in", "lt", "exists"])
def test_reserved_fields_are_refused_however_deep(field: str, operator: str) -> None:
    body: dict[str, object] = {"eq": {field: "x"}, "in": {field: []}, "lt": {field: 1}}
    tree = {"not": {"or": [{operator: body.get(operator, field)}]}}
    with pytest.raises(InvalidFilter, match=f"'{field}' is reserved"):
        from_json(tree)


def test_a_text_that_is_no_json_says_where() -> None:
    with pytest.raises(InvalidFilter, match="at character 7"):
        parse_filter('{"eq": nothing}')
    with pytest.raises(UserError):
        parse_filter("")


def test_an_error_stays_short() -> None:
    with pytest.raises(InvalidFilter) as refused:
        from_json({"eq": {"a": ["x" * 10_000]}})
    assert len(str(refused.value)) < 200


def nested(levels: int) -> dict[str, Any]:
    tree: dict[str, Any] = {"exists": "a"}
    for _ in range(levels):
        tree = {"not": tree}
    return tree


def test_depth_is_limited() -> None:
    assert matches(from_json(nested(MAX_DEPTH)), {"a": 1})
    with pytest.raises(InvalidFilter, match=f"deeper than {MAX_DEPTH}"):
        from_json(nested(MAX_DEPTH + 1))
    with pytest.raises(InvalidFilter, match="deeper"):
        parse_filter('{"not":' * 100_000 + "1" + "}" * 100_000)


def test_size_is_limited() -> None:
    leaf = {"exists": "a"}
    assert from_json({"and": [leaf] * (MAX_NODES - 1)})
    with pytest.raises(InvalidFilter, match=f"more than {MAX_NODES}"):
        from_json({"and": [leaf] * MAX_NODES})
    with pytest.raises(InvalidFilter, match=f"more than {MAX_NODES}"):
        from_json({"or": [{"in": {"a": ["x"] * MAX_NODES}}, leaf]})


def test_kinds() -> None:
    assert [kind(v) for v in (True, 1, 1.5, "x")] == ["bool", "number", "number", "str"]


def test_in_is_an_or_of_equals() -> None:
    values: list[Scalar] = ["x", 1]
    assert In("a", iter(values)) == Or((Eq("a", "x"), Eq("a", 1)))
    assert In("a", ()) == NOTHING
