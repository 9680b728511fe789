"""What both clients do alike: a call as arguments for httpx2, and its failures as ours."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from rag import __version__
from rag.client.call import given
from rag.client.errors import CumuloError, TimedOut, Unreachable, refusal
from rag.client.trying import Send

DEFAULT_URL = "http://127.0.0.1:8000"
CONNECT_S = 10.0
GRACE_S = 2.0
"""The server gives up first, so that its reason arrives."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server is, and what every request carries."""

    url: str
    headers: Mapping[str, str]

    def options(self) -> dict[str, Any]:
        """Return the arguments of an httpx2 client; redirects are not followed."""
        agent = {"User-Agent": f"cumulo-python/{__version__}"}
        return {"base_url": self.url, "headers": {**agent, **self.headers}}


def arguments(step: Send, files: ExitStack) -> dict[str, Any]:
    """Return the arguments of `build_request`; files are open until the stack is closed."""
    call, left = step.call, step.timeout_s
    headers = dict(call.headers)
    if not step.stream:
        headers["X-Request-Timeout"] = f"{left:.3f}"
    made: dict[str, Any] = {
        "method": call.method,
        "url": call.path,
        "params": given(call.params),
        "headers": headers,
        "timeout": httpx2.Timeout(left + GRACE_S, connect=min(left, CONNECT_S)),
    }
    if call.uploads:
        made["files"] = [
            ("files", (one.name, _content(one.content, files), one.media_type))
            for one in call.uploads
        ]
        made["data"] = dict(call.form)
    elif call.body is not None:
        made["json"] = given(call.body)
    return made


def _content(content: Path | bytes, files: ExitStack) -> Any:
    return files.enter_context(content.open("rb")) if isinstance(content, Path) else content


def failure(error: httpx2.HTTPError | httpx2.StreamError, server: Server) -> CumuloError:
    """Name a failure of the connection by what the caller should do."""
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        return Unreachable(
            f"there is no server at {server.url}", hint="start one with: rag serve", sent=False
        )
    if isinstance(error, httpx2.PoolTimeout):
        return Unreachable("all connections of this client are in use", sent=False)
    if isinstance(error, httpx2.TimeoutException):
        return TimedOut(f"{server.url} gave no sign of life in time", hint="allow more timeout_s")
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.TooManyRedirects):
        return Unreachable(f"{server.url} cannot be used: {error}", sent=False)
    return Unreachable(f"the connection to {server.url} broke off: {error}", sent=True)


def refused(response: httpx2.Response) -> CumuloError:
    """Make an error of a reply that was read."""
    return refusal(response.status_code, response.headers, response.content)


CUT = "the stream was cut off before its end"


def cut() -> Unreachable:
    """A stream that ended without saying so."""
    return Unreachable(CUT, hint="what came so far is not the whole", sent=True)
