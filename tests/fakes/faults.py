"""What a fake model server can be made to do wrong, one request at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """How one request is mistreated; the parts that fit it are done in the order of the fields."""

    delay_s: float = 0.0
    """Silence before anything else."""
    hang: bool = False
    """No answer until the client goes."""
    status: int | None = None
    """Refuse with this status, in the shape that the server refuses with."""
    retry_after: str | None = None
    """With the refusal: seconds or an HTTP date."""
    reset: bool = False
    """Reset the connection: at once, or in a stream after `after` chunks."""
    spoil: Callable[[Any], Any] | None = None
    """Change the JSON value of the answer."""
    truncate: bool = False
    """Send half of the JSON, as if it were all."""
    after: int = 0
    """Chunks of a stream that come first."""
    cut: bool = False
    """End the connection in the middle of a stream."""
    clean_end: bool = False
    """End the stream properly, but without finish reason and `[DONE]`."""
    garbage: bool = False
    """Send an event that is no JSON."""
    stall: bool = False
    """Fall silent in the middle of a stream, until the client goes."""
    error: str | None = None
    """Send an error object within the stream, with this message, and end it."""

    @property
    def breaks_streams(self) -> bool:
        """Whether a stream does not reach its end."""
        return bool(
            self.cut or self.clean_end or self.garbage or self.stall or self.reset or self.error
        )


def too_many(retry_after: str | None = None) -> Fault:
    """Refuse with 429; `retry_after` as the header has it."""
    return Fault(status=429, retry_after=retry_after)


# --- wrong answers, in any of the shapes that carry them ------------------------------------------


def with_nan(value: Any) -> Any:
    """Put NaN in the place of the first number of every vector."""
    return _vectors(value, lambda v: [math.nan, *v[1:]])


def one_too_short(value: Any) -> Any:
    """Take the last number of every vector away."""
    return _vectors(value, lambda v: v[:-1])


def all_zero(value: Any) -> Any:
    """Make every number of every vector 0."""
    return _vectors(value, lambda v: [0.0] * len(v))


def one_missing(value: Any) -> Any:
    """Leave the last result out."""
    return _list(value, lambda rows: rows[:-1])


def one_twice(value: Any) -> Any:
    """Give the first result twice."""
    return _list(value, lambda rows: [*rows, rows[0]])


def same_index(value: Any) -> Any:
    """Give every result the index of the first."""
    return _list(
        value, lambda rows: [{**r, "index": rows[0]["index"]} if "index" in r else r for r in rows]
    )


def _list(value: Any, change: Callable[[list[Any]], list[Any]]) -> Any:
    if isinstance(value, list):
        return change(value)
    for key in ("data", "results", "rankings"):
        if isinstance(value.get(key), list):
            return {**value, key: change(value[key])}
    return {**value, "embeddings": {"float": change(value["embeddings"]["float"])}}


def _vectors(value: Any, change: Callable[[list[float]], list[float]]) -> Any:
    def row(given: Any) -> Any:
        if isinstance(given, list):
            return change(given)
        return {**given, "embedding": change(given["embedding"])}

    return _list(value, lambda rows: [row(r) for r in rows])
