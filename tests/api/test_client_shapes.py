"""The client's types are the server's, its two halves are one, and it is light to import."""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import json
import random
import re
import subprocess
import sys
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from pydantic import BaseModel

import rag.client as c
from api.app import create_app
from api.schemas import conversing, keeping, openai, searching, shared
from rag.client import asking as asking_calls
from rag.client import following, kept, replies
from rag.client import keeping as keeping_calls
from rag.client.async_client import AsyncCumulo
from rag.client.call import Call, Listing
from rag.client.errors import UnexpectedReply
from rag.client.events import Feed
from rag.client.reading import read_json
from rag.settings import Settings

SCHEMAS = {
    name: model
    for module in (conversing, keeping, openai, searching, shared)
    for name, model in vars(module).items()
    if inspect.isclass(model) and issubclass(model, BaseModel)
}
RECORDS = {
    name: record
    for module in (kept, replies)
    for name, record in vars(module).items()
    if dataclasses.is_dataclass(record)
}
LEFT_OUT = {"object", "usage"}
"""Of the OpenAI wire: always the same, or counted by the server only."""


# --- the same types as the server's --------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_replies_have_the_fields_of_the_schemas(name: str) -> None:
    theirs = set(SCHEMAS[name].model_fields)
    ours = {field.name for field in dataclasses.fields(RECORDS[name])}
    if SCHEMAS[name].__module__ == openai.__name__:
        theirs -= LEFT_OUT
    assert ours == theirs


def made(kind: Any, rng: random.Random) -> Any:
    """Return any value of a type that replies have."""
    origin, parts = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind):
        return kind(**{name: made(hint, rng) for name, hint in get_type_hints(kind).items()})
    if origin in (Union, UnionType, Literal):
        chosen = rng.choice(parts)
        return chosen if origin is Literal else made(chosen, rng)
    if origin is tuple:
        sizes = [parts[0]] * rng.randrange(3) if parts[-1] is ... else parts
        return tuple(made(part, rng) for part in sizes)
    if origin is collections.abc.Mapping:
        return {rng.choice("abcé"): made(parts[1], rng) for _ in range(rng.randrange(3))}
    if kind is Any:
        return made(rng.choice([str, int, float, bool, NoneType, tuple[int, ...]]), rng)
    plain = {int: rng.randrange(10), float: rng.random(), bool: rng.random() < 0.5, NoneType: None}
    return plain.get(kind, rng.choice(["", "text", "\u2028ü"]))


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_what_is_written_is_read_whatever_a_newer_server_adds(name: str) -> None:
    rng = random.Random(name)
    for _ in range(50):
        value = made(RECORDS[name], rng)
        written = json.dumps({**dataclasses.asdict(value), "a_later_key": [1]})
        again = read_json(RECORDS[name], written)
        assert json.loads(json.dumps(dataclasses.asdict(again))) == json.loads(
            json.dumps(dataclasses.asdict(value))
        )
        assert type(again) is RECORDS[name]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("[]", "reply should be an object, and is list"),
        ('{"hits": {}, "partial": false, "unread": false}', "reply.hits should be a list"),
        ('{"hits": [3], "partial": false, "unread": false}', r"reply.hits\[0\] should be an obj"),
        ('{"hits": [], "partial": 1, "unread": false}', "reply.partial should be bool, and is int"),
        ('{"hits": [], "partial": null, "unread": false}', "reply.partial should be bool"),
    ],
)
def test_what_is_of_another_type_is_named(body: str, place: str) -> None:
    with pytest.raises(UnexpectedReply, match=place):
        read_json(replies.SearchReply, body)


# --- one method for every route ------------------------------------------------------------------

NOT_IN_THE_CLIENT = {
    ("POST", "/v1/chat/completions"): "that is for OpenAI's client",
    ("GET", "/healthz"): "that is for whoever watches the process",
}


def test_every_operation_has_a_method(settings: Settings) -> None:
    document = create_app(settings).openapi()
    served = {
        (method.upper(), re.sub(r"\{[^}]*\}", "{}", path))
        for path, operations in document["paths"].items()
        for method in operations
    }
    assert {call_of(build) for build in builders()} == served - set(NOT_IN_THE_CLIENT)


def builders() -> list[Any]:
    return [
        build
        for module in (asking_calls, keeping_calls, following)
        for name, build in vars(module).items()
        if inspect.isfunction(build) and build.__module__ == module.__name__ and name[0] != "_"
    ]


def call_of(build: Any) -> tuple[str, str]:
    """Return the method and the path that a call made of placeholders has."""
    made: dict[str, Any] = {}
    for name, parameter in inspect.signature(build).parameters.items():
        if parameter.default is inspect.Parameter.empty:
            many = {"files": [c.Upload("a", b"")], "texts": ["a"], "documents": ["a"]}
            made[name] = {"metadata": {}, "model": "{}", **many}.get(name, "{}")
    built = build(**made)
    if isinstance(built, Listing):
        built = built.first
    call = built.call if isinstance(built, Feed) else built
    assert isinstance(call, Call)
    return call.method, call.path.replace("%7B%7D", "{}")


def test_both_clients_have_the_same_methods() -> None:
    pairs: list[tuple[Any, Any]] = [(c.Cumulo("http://x"), AsyncCumulo("http://x"))]
    for part in ("collections", "documents", "runs", "conversations"):
        pairs.append((getattr(pairs[0][0], part), getattr(pairs[0][1], part)))
    seen = 0
    for waiting, awaited in pairs:
        names = [name for name in dir(waiting) if name[0] != "_"]
        assert names == [name for name in dir(awaited) if name[0] != "_"]
        for name in names:
            one, other = getattr(waiting, name), getattr(awaited, name)
            if inspect.ismethod(one) and name not in ("close", "within"):
                seen += 1
                assert inspect.signature(one) == inspect.signature(other)
                assert one.__doc__ == other.__doc__
    assert seen == len(builders()) + 1  # runs.wait is made of several calls
    pairs[0][0].close()


# --- light ---------------------------------------------------------------------------------------

LOADED = """
import json, sys
before = set(sys.modules)
import rag.client
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_importing_the_client_loads_nothing_of_the_server() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(json.loads(done.stdout))
    assert "rag.client.client" in loaded
    ours = {name for name in loaded if name.split(".")[0] in {"rag", "api", "indexers", "evals"}}
    assert {name for name in ours if not name.startswith("rag.client")} == {"rag"}
    heavy = {"numpy", "sqlalchemy", "openvino", "faiss", "pydantic", "fastapi", "yaml", "openai"}
    assert loaded.isdisjoint(heavy)
    third = {name for name in loaded if "." not in name and name not in sys.stdlib_module_names}
    assert third - {"rag"} <= {
        *("httpx2", "httpcore2", "h11", "idna", "certifi", "anyio", "sniffio", "truststore"),
        *("typing_extensions", "brotli", "brotlicffi", "zstandard", "socksio", "h2", "rich"),
    }
