"""A request as data, and how its reply is read. Knows nothing of how it is sent.

Each route is described once, as a function that returns a `Call`; both clients send it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import quote

import httpx2

from rag.client.reading import read_json

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to send: what it is called there, and its content, here or in memory."""

    name: str
    content: Path | bytes
    media_type: str | None = None
    """By default it is recognised by the server."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T_co]):
    """One request. Values of `params` and `body` that are None are left out."""

    method: str
    path: str
    read: Callable[[httpx2.Response], T_co]
    repeatable: bool
    """Whether it does no harm to send it again when it may have been done already."""
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    uploads: tuple[Upload, ...] = ()
    form: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class Page(Protocol[T_co]):
    """A part of a list, and where the next part begins."""

    @property
    def data(self) -> tuple[T_co, ...]: ...

    @property
    def next(self) -> str | int | None: ...


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A list that is read page by page; `cursor` names the parameter that says where to go on."""

    first: Call[Page[T]]
    cursor: str

    def after(self, page: Page[T]) -> Call[Page[T]] | None:
        """Return the request for the page after this one, None at the end."""
        if page.next is None:
            return None
        return replace(self.first, params={**self.first.params, self.cursor: page.next})


def get(kind: type[T], *path: str, **params: Any) -> Call[T]:
    """Ask for something."""
    return Call("GET", path_of(*path), reply(kind), True, params=params)


def post(kind: type[T], *path: str, body: Mapping[str, Any], repeatable: bool) -> Call[T]:
    """Send a JSON body."""
    return Call("POST", path_of(*path), reply(kind), repeatable, body=body)


def keyed(call: Call[T], key: str | None) -> Call[T]:
    """Make it safe to send twice: the server does what has the same key once."""
    named = {"Idempotency-Key": key or uuid.uuid4().hex}
    return replace(call, repeatable=True, headers={**call.headers, **named})


def path_of(*parts: str) -> str:
    """Return a path; each part may hold any character."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


def reply(kind: type[T]) -> Callable[[httpx2.Response], T]:
    """Read a reply of this type."""
    return lambda response: read_json(kind, response.content)


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is None."""
    return {name: value for name, value in values.items() if value is not None}
