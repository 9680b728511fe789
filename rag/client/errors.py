"""What can go wrong between a program and a Cumulo server, named by what the program should do.

CumuloError            anything raised by this client; `hint` says what to do
├── BadRequest         the request is wrong: change it; `errors` names the places
├── NotFound           no such collection, document, answer, run, model, or not the caller's
├── Conflict           it contradicts what is stored, or the same request is under way
├── Unavailable        a part of the server does not work now: try later
│   └── Overloaded     too much at once, nothing was done: try after `retry_after` seconds
├── TimedOut           no answer in time; the server has given up as well
├── Unreachable        no connection, or it broke off
├── ServerFailure      the server failed; `request_id` leads to its log
└── UnexpectedReply    this is not what a Cumulo server sends: is the address right?
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from time import time
from typing import Any


class CumuloError(Exception):
    """A failure with the server's words, where there are any."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        status: int | None = None,
        kind: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        errors: tuple[Mapping[str, Any], ...] = (),
    ) -> None:
        """Keep what is known.

        `status`: of HTTP, None without a reply. `kind`: the problem's `type`, which never changes.
        `retry_after`: seconds for which the server asks to be left alone. `errors`: places and
        messages of a request that cannot be read.
        """
        super().__init__(message)
        self.message, self.hint = message, hint
        self.status, self.kind, self.request_id = status, kind, request_id
        self.retry_after, self.errors = retry_after, errors

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class BadRequest(CumuloError):
    """The request is wrong; sending it again does not help."""


class NotFound(CumuloError):
    """What was asked for does not exist, or the caller may not know that it does."""


class Conflict(CumuloError):
    """It contradicts what is stored; with `retry_after`, the same request is still under way."""


class Unavailable(CumuloError):
    """A part of the server does not work at the moment."""


class Overloaded(Unavailable):
    """The server has too much to do; it refused before any work was done."""


class TimedOut(CumuloError):
    """No answer in time, by the server's clock or by the client's."""


class Unreachable(CumuloError):
    """No connection, or it broke off; `sent` when the request may have arrived."""

    def __init__(self, message: str, *, hint: str | None = None, sent: bool) -> None:
        super().__init__(message, hint=hint)
        self.sent = sent


class ServerFailure(CumuloError):
    """The server failed in a way that it did not foresee, or a service behind it refused."""


class UnexpectedReply(CumuloError):
    """The reply cannot be read."""


OVERLOADED = "/overloaded"
"""How the problem types of a server that sheds load end."""


def refusal(status: int, headers: Mapping[str, str], content: bytes) -> CumuloError:
    """Make an error of a reply that is none of success."""
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):  # of a proxy, not ours
        body = {"detail": content[:200].decode("utf-8", "replace").strip()}
    return problem({**body, "status": status}, headers)


def problem(body: Mapping[str, Any], headers: Mapping[str, str]) -> CumuloError:
    """Make an error of a problem document (RFC 9457), of a reply or of an event in a stream."""
    status = body.get("status")
    status = status if isinstance(status, int) else 500
    kind = _text(body.get("type"))
    errors = body.get("errors")
    said = (_text(body.get(key)) for key in ("detail", "reason", "title"))
    return _class(status, kind or "")(
        next(filter(None, said), f"the server replied {status}"),
        hint=_text(body.get("hint")),
        status=status,
        kind=kind,
        request_id=headers.get("x-request-id") or _text(body.get("instance")),
        retry_after=seconds_of(headers.get("retry-after")),
        errors=tuple(e for e in errors if isinstance(e, dict)) if isinstance(errors, list) else (),
    )


def _class(status: int, kind: str) -> type[CumuloError]:
    if status == 429 or (status == 503 and kind.endswith(OVERLOADED)):
        return Overloaded
    named: dict[int, type[CumuloError]] = {
        404: NotFound,
        409: Conflict,
        503: Unavailable,
        504: TimedOut,
    }
    if status < 400:
        return UnexpectedReply
    return named.get(status, BadRequest if status < 500 else ServerFailure)


def seconds_of(retry_after: str | None) -> float | None:
    """Read `Retry-After`: seconds, or a date; what cannot be read counts as not said."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time())
    except ValueError:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
