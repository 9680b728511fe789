"""How often a call is sent, and how long is waited between: steps that either client takes.

Tried again is only what did no harm: what the server refused before any work, what never arrived,
and what may be done twice. The whole has one limit of time, of which the server is told.
"""

from __future__ import annotations

import random
import time
from collections.abc import Generator
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias, TypeVar

import httpx2

from rag.client.call import Call
from rag.client.errors import Conflict, CumuloError, Overloaded, TimedOut, Unavailable, Unreachable
from rag.client.following import run
from rag.client.kept import RunReply

T = TypeVar("T")
FIRST_WAIT_S = 0.2
"""At most, before the second attempt; it doubles."""
LONGEST_POLL_S = 2.0


@dataclass(frozen=True, slots=True)
class Patience:
    """What a caller bears with."""

    timeout_s: float
    """Of a call with all its attempts; of a stream, between two signs of life."""
    attempts: int
    """At most, the first included."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send the call once; give the response, or raise a `CumuloError`."""

    call: Call[Any]
    timeout_s: float
    stream: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """Let time pass."""

    seconds: float


Steps: TypeAlias = Generator[Send | Pause, httpx2.Response | None, T]
"""Steps to take one after the other; at the end, what came of them."""


def attempts(
    call: Call[Any], patience: Patience, *, stream: bool = False
) -> Steps[httpx2.Response]:
    """Send until it succeeds, cannot succeed, or patience ends."""
    end = time.monotonic() + patience.timeout_s
    for attempt in count(1):
        left = max(0.001, end - time.monotonic())
        try:
            response = yield Send(call, left, stream)
        except CumuloError as exc:
            wait = _wait(exc, call, attempt)
            if wait is None or attempt >= patience.attempts or time.monotonic() + wait >= end:
                raise
        else:
            assert response is not None
            return response
        yield Pause(wait)
    raise AssertionError("unreachable: the loop has no end")


def ended(run_id: str, patience: Patience, *, timeout_s: float | None) -> Steps[RunReply]:
    """Wait until a run has ended; raise `TimedOut` when it takes longer than allowed."""
    began, call = time.monotonic(), run(run_id)
    for poll in count():
        response = yield from attempts(call, patience)
        found = call.read(response)
        if found.ended:
            return found
        pause = min(LONGEST_POLL_S, 0.05 * 1.3**poll)
        if timeout_s is not None and time.monotonic() + pause - began > timeout_s:
            raise TimedOut(f"run {run_id} is still {found.state} after {timeout_s:g} s")
        yield Pause(pause)
    raise AssertionError("unreachable: the loop has no end")


def _wait(failure: CumuloError, call: Call[Any], attempt: int) -> float | None:
    """Return the seconds to wait before the next attempt; None where there must be none."""
    if isinstance(failure, Unreachable):
        again = call.repeatable or not failure.sent
    elif isinstance(failure, Overloaded):
        again = True
    elif isinstance(failure, Unavailable):
        again = call.repeatable
    else:  # the same request, sent before, is still under way
        again = isinstance(failure, Conflict) and failure.retry_after is not None
        again = again and call.repeatable
    if not again:
        return None
    drawn: float = random.random() * FIRST_WAIT_S * 2 ** (attempt - 1)
    return max(failure.retry_after or 0.0, drawn)
