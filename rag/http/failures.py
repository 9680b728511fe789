"""What went wrong with a request, as the errors of the house.

Knows what libraries raise and what statuses mean; nothing of how requests are made. No message has
the query of a URL in it, for that may be a secret.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime

import h11
import httpcore2
import httpx2

from rag.errors import NotFound, RagError, Rejected, Unavailable
from rag.http.targets import Target

LONGEST_RETRY_S = 24 * 3600.0

_GONE = (404, 410)
_LOCKED = (401, 403, 407)
_PASSING = (408, 425, 429)


@contextmanager
def told(target: Target) -> Iterator[None]:
    """Turn what the libraries raise into errors of the house."""
    try:
        yield
    except (TimeoutError, httpcore2.TimeoutException) as exc:
        raise Unavailable(f"{target} gave no answer in time", hint="is it overloaded?") from exc
    except httpcore2.ConnectError as exc:
        if (cause := _cause(exc, ssl.SSLError)) is not None:
            raise Rejected(
                f"{target} cannot prove who it is: {cause}",
                hint="add its certificate authority to the settings if you trust it",
            ) from exc
        raise Unavailable(f"{target} cannot be reached: {exc}", hint="is it running?") from exc
    except httpcore2.RemoteProtocolError as exc:
        cause = _cause(exc, h11.RemoteProtocolError)
        if isinstance(cause, h11.RemoteProtocolError) and cause.error_status_hint == 431:
            raise headers_too_large(target) from exc
        raise Unavailable(f"{target} broke off or answered no HTTP: {exc}") from exc
    except (httpcore2.NetworkError, httpcore2.ConnectionNotAvailable) as exc:
        raise Unavailable(f"the connection to {target} broke: {exc}") from exc
    except (httpcore2.LocalProtocolError, httpcore2.UnsupportedProtocol) as exc:
        raise Rejected(f"{target} cannot be asked like that: {exc}") from exc
    except httpx2.DecodingError as exc:
        raise Rejected(f"the compressed body of {target} is damaged") from exc


def headers_too_large(target: Target) -> Rejected:
    """Say that an answer has too many headers."""
    return Rejected(f"the headers of {target} are too large")


def refusal(target: Target, status: int, headers: Mapping[str, str]) -> RagError | None:
    """Return the error that a status means; None where there is an answer to read."""
    if 200 <= status < 300 or status == 304:
        return None
    if status in _GONE:
        return NotFound(f"{target} does not exist (status {status})")
    if status in _LOCKED:
        return Rejected(f"{target} is not open to us (status {status})", hint="has it a password?")
    if status in _PASSING or status >= 500:
        wait = retry_after(headers.get("retry-after", ""), time.time())
        return Unavailable(f"{target} cannot answer now (status {status})", retry_after=wait)
    return Rejected(f"{target} refuses the request (status {status})")


def retry_after(value: str, now: float) -> float | None:
    """Read for how many seconds we should wait: a number, or a date (RFC 9110, 10.2.3)."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        seconds = float(value[:9])
    else:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return min(max(0.0, seconds), LONGEST_RETRY_S)


def _cause(exc: BaseException, kind: type[BaseException]) -> BaseException | None:
    """Return the first exception of a kind among those that led to this one."""
    found: BaseException | None = exc
    while found is not None and not isinstance(found, kind):
        found = found.__cause__ or found.__context__
    return found
