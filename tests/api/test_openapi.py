"""The OpenAPI document: every operation has examples that its own schema accepts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from api.app import create_app
from api.documenting import METHODS
from api.errors import PROBLEM
from api.examples import REPLIES, REQUESTS
from api.json import JSON
from tests.api.serving import settings_of


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return create_app(settings_of(tmp_path_factory.mktemp("data"))).openapi()


def _operations(document: Any) -> Iterator[tuple[str, Any]]:
    for item in document["paths"].values():
        for method, operation in item.items():
            if method in METHODS:
                yield operation["operationId"], operation


def _check(document: Any, content: Any) -> None:
    schema = {**content["schema"], "components": document["components"]}
    jsonschema_rs.validate(schema, content["example"])


def test_every_body_has_an_example_that_its_schema_accepts(document: Any) -> None:
    checked, without = 0, []
    for name, operation in _operations(document):
        bodies = {"request": operation.get("requestBody", {}).get("content", {})}
        for status, response in operation["responses"].items():
            bodies[status] = response.get("content", {})
        for place, contents in bodies.items():
            content = contents.get(JSON if place == "request" or place < "3" else PROBLEM)
            if content is None:
                continue
            if "example" not in content:
                without.append((name, place))
                continue
            _check(document, content)
            checked += 1
    assert without == []
    assert checked > 100


def test_no_example_is_left_over(document: Any) -> None:
    names = {name for name, _ in _operations(document)}
    assert (REPLIES.keys() | REQUESTS.keys()) - names == set()


def test_names_of_operations_are_unique(document: Any) -> None:
    names = [name for name, _ in _operations(document)]
    assert len(names) == len(set(names))


def test_every_operation_says_what_it_does_and_how_it_fails(document: Any) -> None:
    for name, operation in _operations(document):
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"], name
        if "health" not in operation["tags"]:
            assert {"404", "422", "503", "504"} <= operation["responses"].keys(), name
            assert operation["responses"]["422"]["content"].keys() == {PROBLEM}, name
