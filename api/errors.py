"""Failures as replies (RFC 9457); which status a failure has, `kinds` knows.

No reply has a traceback, or a value out of a request's body; it has the id of the request, under
which the log has the rest. OpenAI's clients look for `error`, so on their routes both shapes stand.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from api.json import reply
from api.kinds import REFUSALS, TITLES, status_of
from rag import errors as e

PROBLEM = "application/problem+json"
TYPES = "https://cumulo.dev/problems/"
FOREIGN = ("/v1/chat/", "/v1/embeddings", "/v1/models", "/v1/rerank")
"""Routes of the OpenAI wire."""

_WORDS = {404: "there is nothing at this address", 405: "this address does not take that method"}
MAX_PLACES = 20
MAX_PLACE = 200
log = logging.getLogger("cumulo.api")


def install_errors(app: FastAPI) -> None:
    """Let what routes raise on purpose become problems; the rest is caught by `RequestIds`."""
    app.add_exception_handler(e.RagError, _told)
    app.add_exception_handler(RequestValidationError, _unread)
    app.add_exception_handler(HTTPException, _refused)


def problem_of(failure: Exception, scope: Scope) -> dict[str, Any]:
    """Describe a failure; of one that nobody foresaw, nothing of its text is told."""
    status, kind = status_of(failure)
    known = isinstance(failure, e.RagError)
    told = failure.message if isinstance(failure, e.RagError) else "the request could not be done"
    hint = failure.hint if isinstance(failure, e.RagError) else "the server's log has more"
    problem = _problem(scope, status, kind, TITLES[kind], told, hint=hint)
    if status == 500:
        cause = failure if not known else None
        log.error("request %s failed: %s", problem["instance"], told, exc_info=cause)
    return problem


def error_reply(failure: Exception, scope: Scope) -> Response:
    """Reply with a failure."""
    headers = {}
    status, _ = status_of(failure)
    seconds = getattr(failure, "retry_after", None)
    if status == 503 or seconds is not None:
        headers["Retry-After"] = str(max(1, math.ceil(seconds or 1)))
    return reply(problem_of(failure, scope), status, headers, kind=PROBLEM)


async def _told(request: Request, failure: Exception) -> Response:
    return error_reply(failure, request.scope)


async def _unread(request: Request, failure: Exception) -> Response:
    """Name every place that is wrong, never the value that stands there."""
    assert isinstance(failure, RequestValidationError)
    status, kind = 422, "invalid-request"
    errors = [
        {
            "place": _place(found["loc"]),
            "message": "not a known key" if found["type"] == "extra_forbidden" else found["msg"],
        }
        for found in failure.errors()[:MAX_PLACES]
    ]
    if errors and failure.errors()[0]["type"] == "json_invalid":
        status, kind = 400, "malformed"
        at, reason = failure.errors()[0]["loc"][1], failure.errors()[0]["ctx"]["error"]
        errors = [{"place": f"character {at}", "message": str(reason)}]
    first = errors[0] if errors else {"place": "body", "message": "cannot be read"}
    problem = _problem(
        request.scope,
        status,
        kind,
        TITLES[kind],
        f"{first['place']}: {first['message']}",
        errors=errors,
    )
    return reply(problem, status, kind=PROBLEM)


def _place(path: Sequence[str | int]) -> str:
    """Join a place; a key of the body goes by its own name."""
    part, *rest = path
    return ".".join(map(str, rest if part == "body" and rest else path))[:MAX_PLACE]


async def _refused(request: Request, failure: Exception) -> Response:
    assert isinstance(failure, HTTPException)
    return refusal(failure, request.scope)


def refusal(failure: HTTPException, scope: Scope) -> Response:
    """Reply with what the HTTP layer itself refuses."""
    status = failure.status_code
    kind = REFUSALS.get(status, "invalid-request")
    problem = _problem(scope, status, kind, TITLES[kind], _WORDS.get(status, failure.detail))
    return reply(problem, status, failure.headers, kind=PROBLEM)


def _problem(
    scope: Scope,
    status: int,
    kind: str,
    title: str,
    detail: str,
    *,
    hint: str | None = None,
    errors: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    problem: dict[str, Any] = {
        "type": f"{TYPES}{kind}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": scope.get("state", {}).get("request_id", ""),
    }
    if hint:
        problem["hint"] = hint
    if errors:
        problem["errors"] = errors
    if str(scope.get("path", "")).startswith(FOREIGN):
        message = f"{detail}; {hint}" if hint else detail
        place = errors[0]["place"] if errors else None
        problem["error"] = {"message": message, "type": kind, "param": place, "code": kind}
    return problem
