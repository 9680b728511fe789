"""How servers differ in the wire of embeddings: the path, the body, where the vectors stand.

Whoever adds a server adds a request and a reader here. Knows no connection and no limits.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict

from rag.errors import Rejected
from rag.types import Role
from rag.vectors import Matrix

Flavour: TypeAlias = Literal["openai", "nim", "tei", "cohere"]
Read: TypeAlias = tuple[Matrix, int]
"""Rows in the order of the texts, and the tokens that the server counted (0: it did not say)."""


class InputTypes(BaseModel):
    """What a server calls the two roles."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    query: str
    passage: str


class Asking(Protocol):
    """The options of a request."""

    @property
    def model(self) -> str: ...
    @property
    def input_type(self) -> InputTypes | None: ...
    @property
    def dimensions(self) -> int | None: ...
    @property
    def encoding_format(self) -> str | None: ...
    @property
    def user(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Wording:
    """One server's side of the wire."""

    request: Callable[[Asking, Sequence[str], Role], tuple[str, dict[str, Any]]]
    """Return path and body for texts in a role."""
    read: Callable[[Any, int, str], Read]
    """Return what an answer holds; raise `Rejected` when it is not one vector for each text."""


NIM = InputTypes(query="query", passage="passage")
COHERE = InputTypes(query="search_query", passage="search_document")


def _openai(options: Asking, texts: Sequence[str], role: Role) -> tuple[str, dict[str, Any]]:
    body = {
        "model": options.model,
        "input": list(texts),
        "input_type": _input_type(options.input_type, role),
        "dimensions": options.dimensions,
        "encoding_format": options.encoding_format,
        "user": options.user,
    }
    return "/embeddings", _given(body)


def _nim(options: Asking, texts: Sequence[str], role: Role) -> tuple[str, dict[str, Any]]:
    path, body = _openai(options, texts, role)
    body["input_type"] = _input_type(options.input_type or NIM, role)
    return path, body


def _tei(options: Asking, texts: Sequence[str], role: Role) -> tuple[str, dict[str, Any]]:
    body = {"inputs": list(texts), "truncate": True, "dimensions": options.dimensions}
    return "/embed", _given(body)


def _cohere(options: Asking, texts: Sequence[str], role: Role) -> tuple[str, dict[str, Any]]:
    body = {
        "model": options.model,
        "texts": list(texts),
        "input_type": _input_type(options.input_type or COHERE, role),
        "embedding_types": ["float"],
        "output_dimension": options.dimensions,
    }
    return "/embed", _given(body)


def _input_type(types: InputTypes | None, role: Role) -> str | None:
    return None if types is None else types.query if role == "query" else types.passage


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is not configured: strict servers refuse keys that they do not know."""
    return {key: value for key, value in body.items() if value is not None}


def _read_openai(answer: Any, texts: int, who: str) -> Read:
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise Rejected(f"{who} answered without vectors")
    rows: list[Any] = [None] * texts
    for place, row in enumerate(data):
        index = row.get("index", place)  # a few servers leave it out
        if not isinstance(index, int) or not 0 <= index < texts or rows[index] is not None:
            raise Rejected(f"{who} gave vectors that do not fit the {texts} texts")
        rows[index] = row.get("embedding")
    return _matrix(rows, texts, who), _tokens(answer, "usage", "prompt_tokens")


def _read_tei(answer: Any, texts: int, who: str) -> Read:
    if not isinstance(answer, list):
        raise Rejected(f"{who} answered without vectors")
    return _matrix(answer, texts, who), 0


def _read_cohere(answer: Any, texts: int, who: str) -> Read:
    by_type = answer.get("embeddings") if isinstance(answer, dict) else None
    rows = by_type.get("float") if isinstance(by_type, dict) else None
    if not isinstance(rows, list):
        raise Rejected(f"{who} answered without vectors")
    return _matrix(rows, texts, who), _tokens(answer, "meta", "billed_units", "input_tokens")


def _matrix(rows: Sequence[Any], texts: int, who: str) -> Matrix:
    """Make a matrix of vectors as lists or base64; raise `Rejected` unless there is one a text."""
    given = sum(row is not None for row in rows)
    if len(rows) != texts or given != texts:
        raise Rejected(f"{who} gave {given} vectors for {texts} texts")
    try:
        parsed = [_unpacked(row) if isinstance(row, str) else row for row in rows]
        matrix = np.array(parsed, dtype=np.float32)
    except (ValueError, TypeError, OverflowError, binascii.Error) as exc:
        raise Rejected(f"{who} gave vectors that cannot be read") from exc
    if matrix.ndim != 2:
        raise Rejected(f"{who} gave vectors that cannot be read")
    return matrix


def _unpacked(row: str) -> Matrix:
    return np.frombuffer(base64.b64decode(row, validate=True), "<f4")


def _tokens(answer: Any, *path: str) -> int:
    """Return a count somewhere in an answer; 0 where the server does not say it."""
    for key in path:
        answer = answer.get(key) if isinstance(answer, dict) else None
    return answer if isinstance(answer, int) and answer >= 0 else 0


FLAVOURS: Mapping[Flavour, Wording] = {
    "openai": Wording(_openai, _read_openai),
    "nim": Wording(_nim, _read_openai),
    "tei": Wording(_tei, _read_tei),
    "cohere": Wording(_cohere, _read_cohere),
}
