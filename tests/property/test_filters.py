"""The meaning of filters: laws that `matches` keeps, and a second opinion written another way."""

from __future__ import annotations

import json
import math
import operator
import os
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rag.filters import (
    EVERYTHING,
    NOTHING,
    And,
    Compare,
    Eq,
    Exists,
    Filter,
    In,
    Not,
    Or,
    Scalar,
    Value,
    from_json,
    matches,
    parse_filter,
)

NAMES = st.sampled_from(["meta.a", "meta.b", "meta.$or", "__proto__", "uri", "meta.ключ"])
STRINGS = st.sampled_from(["", "a", "1", "True", "é", "e\u0301"])
NUMBERS = st.sampled_from([0, 1, -1, 2, 1.0, 0.5, -0.0, 2**53, 2**53 + 1, 1e300, 10**400])
BOOLS = st.booleans()
SCALARS: st.SearchStrategy[Scalar] = st.one_of(STRINGS, NUMBERS, BOOLS)
LISTS: Any = st.one_of(*(st.lists(kind, max_size=3) for kind in (STRINGS, NUMBERS, BOOLS)))
FIELDS: st.SearchStrategy[dict[str, Value]] = st.dictionaries(NAMES, SCALARS | LISTS, max_size=5)
LEAVES: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Eq, NAMES, SCALARS),
    st.builds(Compare, NAMES, st.sampled_from(["lt", "le", "gt", "ge"]), NUMBERS),
    st.builds(Exists, NAMES),
    st.builds(In, NAMES, st.lists(SCALARS, max_size=3)),
)
FILTERS: st.SearchStrategy[Filter] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=8,
)
FAST = settings(max_examples=int(os.environ.get("CUMULO_TEST_EXAMPLES", "80")))


def to_json(where: Filter) -> dict[str, Any]:
    """Write the JSON form; `In` has become an `Or`."""
    match where:
        case Eq(field, value):
            return {"eq": {field: value}}
        case Compare(field, op, bound):
            return {op: {field: bound}}
        case Exists(field):
            return {"exists": field}
        case And(children):
            return {"and": [to_json(child) for child in children]}
        case Or(children):
            return {"or": [to_json(child) for child in children]}
        case Not(child):
            return {"not": to_json(child)}


def tagged(value: object) -> set[tuple[type, Any]]:
    """Return the values of a field as (Python type, value), numbers under one type."""
    values = value if isinstance(value, list) else [value]
    return {
        (type(v), v) if type(v) in (str, bool) else (complex, v)  # complex: neither of the others
        for v in values
    }


def allowed(tree: Mapping[str, Any], fields: Mapping[str, Value]) -> bool:
    """Decide from the JSON form, with sets: the second opinion."""
    ((op, body),) = tree.items()
    if op in ("and", "or"):
        verdicts = {allowed(child, fields) for child in body}
        return False not in verdicts if op == "and" else True in verdicts
    if op == "not":
        return allowed(body, fields) is False
    if op == "exists":
        return body in set(fields)
    ((name, wanted),) = body.items()
    have = tagged(fields[name]) if name in fields else set()
    if op == "eq":
        return bool(have & tagged(wanted))
    holds = getattr(operator, op)
    return True in {holds(v, wanted) for kind, v in have if kind is complex}


@FAST
@given(FILTERS, FIELDS)
def test_matches_agrees_with_a_second_opinion(where: Filter, fields: dict[str, Value]) -> None:
    assert matches(where, fields) == allowed(to_json(where), fields)


@FAST
@given(FILTERS)
def test_the_json_form_is_read_back(where: Filter) -> None:
    tree = to_json(where)
    assert repr(from_json(tree)) == repr(where)  # as objects, 1 and True would be equal
    assert repr(parse_filter(json.dumps(tree))) == repr(where)


@FAST
@given(st.lists(FILTERS, max_size=4).map(tuple), FIELDS)
def test_de_morgan(children: tuple[Filter, ...], fields: dict[str, Value]) -> None:
    negated = tuple(Not(child) for child in children)
    assert matches(Not(And(children)), fields) == matches(Or(negated), fields)
    assert matches(Not(Or(children)), fields) == matches(And(negated), fields)


@FAST
@given(FILTERS, FIELDS)
def test_two_values_and_no_third(where: Filter, fields: dict[str, Value]) -> None:
    plain = matches(where, fields)
    assert matches(Not(where), fields) is not plain
    assert matches(Not(Not(where)), fields) is plain
    assert matches(Or((where, Not(where))), fields)
    assert not matches(And((where, Not(where))), fields)
    assert matches(And((where, EVERYTHING)), fields) is plain
    assert matches(Or((where, NOTHING)), fields) is plain
    assert matches(Or((where, EVERYTHING)), fields)
    assert not matches(And((where, NOTHING)), fields)


@FAST
@given(NAMES, st.lists(SCALARS, max_size=4), FIELDS)
def test_in_is_some_equal(name: str, values: list[Scalar], fields: dict[str, Value]) -> None:
    assert matches(In(name, values), fields) == any(matches(Eq(name, v), fields) for v in values)


@FAST
@given(NAMES, NUMBERS, NUMBERS)
def test_one_number_stands_in_one_order(name: str, value: float, bound: float) -> None:
    fields: dict[str, Value] = {name: value}
    below, above = (matches(Compare(name, op, bound), fields) for op in ("lt", "gt"))
    equal = matches(Eq(name, bound), fields)
    assert [below, equal, above].count(True) == 1
    assert matches(Compare(name, "le", bound), fields) == (below or equal)
    assert matches(Compare(name, "ge", bound), fields) == (above or equal)


@FAST
@given(NAMES, FIELDS)
def test_nothing_stands_in_an_order_to_nan(name: str, fields: dict[str, Value]) -> None:
    for op in ("lt", "le", "gt", "ge"):
        assert not matches(Compare(name, op, math.nan), fields)
    assert not matches(Eq(name, math.nan), fields)


@FAST
@given(FILTERS, FIELDS, SCALARS)
def test_fields_that_a_filter_does_not_name_do_not_matter(
    where: Filter, fields: dict[str, Value], value: Scalar
) -> None:
    assert matches(where, {**fields, "meta.unrelated": value}) == matches(where, fields)
