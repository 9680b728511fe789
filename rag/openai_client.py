"""A connection to a server that speaks OpenAI's protocol, and its failures as errors of the house.

Shared by language models and embedders. Knows the official client; nothing of chat or vectors.
Nothing of the environment (keys, proxies, addresses) is used, and nothing is tried again here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from rag.errors import ConfigError, RagError, Rejected, Unavailable
from rag.http.failures import LONGEST_RETRY_S, retry_after

if TYPE_CHECKING:
    import ssl

    import httpx2
    from openai import APIStatusError, AsyncOpenAI

MESSAGE = 300
"""Characters of a server's message that are passed on."""
CONNECTIONS = 256
NO_KEY = "none"
_PASSING = {408, 409, 425, 429}
_NEVER = {501, 505}
_OWN = {"host", "accept", "content-type", "content-length", "transfer-encoding", "connection"}
"""Headers that the client sets; all but the first cannot be configured."""


class Connection(BaseModel):
    """Where a server is, and how it is spoken to."""

    model_config = ConfigDict(extra="forbid")
    base_url: str
    """Address in front of `/chat/completions` or `/embeddings`; used as it stands."""
    api_key: SecretStr | None = None
    """Sent as a bearer token; without one no token is sent."""
    headers: dict[str, SecretStr] = {}
    """Sent with every request: for gateways that route or authenticate by them."""
    query: dict[str, str] = {}
    """Parameters of every address, such as `api-version`."""
    extra_body: dict[str, Any] = {}
    """Further keys of every request, beside ours or in their place."""
    connect_s: float = Field(default=5.0, gt=0)
    """Seconds until a connection must stand."""
    timeout_s: float = Field(default=60.0, gt=0)
    """Seconds that the server may be silent: before its answer and within it."""
    ca_file: Path | None = None
    """Certificate authority to trust beside the public ones."""

    @field_validator("base_url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("it is no http:// or https:// address")
        if parts.username or parts.password:
            raise ValueError("no password belongs here: use api_key or headers")
        if parts.query or parts.fragment:
            raise ValueError("no parameters belong here: use query")
        return url

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in headers.items():
            if name.lower() in _OWN - {"host"}:
                raise ValueError(f"the header {name} is set by the client")
            if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
                raise ValueError("a header's name has letters, digits, - and _ only")
            if not value.get_secret_value().isprintable():
                raise ValueError(f"the value of the header {name} has control characters")
        return headers

    @property
    def who(self) -> str:
        """The server as messages name it: its host, no path and no secret."""
        return urlsplit(self.base_url).netloc

    def redacted(self, text: str) -> str:
        """Return what a server said on one line, short, and without our secrets."""
        secrets = [value.get_secret_value() for value in self.headers.values()]
        if self.api_key is not None:
            secrets.append(self.api_key.get_secret_value())
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            text = text.replace(secret, "…")
        text = " ".join(text.split())
        return text if len(text) <= MESSAGE else f"{text[:MESSAGE]}…"


def open_openai(connection: Connection) -> AsyncOpenAI:
    """Open the official client; it tries nothing again and follows no redirect.

    Takes a second at first, for the import: call it in a thread.
    """
    import httpx2
    from openai import AsyncOpenAI, Omit

    headers: dict[str, Any] = {
        "OpenAI-Organization": Omit(),  # else taken from the environment
        "OpenAI-Project": Omit(),
        **{name: value.get_secret_value() for name, value in connection.headers.items()},
    }
    timeout = httpx2.Timeout(connection.timeout_s, connect=connection.connect_s)
    client = AsyncOpenAI(
        base_url=connection.base_url,
        api_key=_key(connection) or NO_KEY,
        default_query=connection.query,
        timeout=timeout,
        max_retries=0,
        http_client=httpx2.AsyncClient(
            timeout=timeout,
            verify=_certificates(connection),
            trust_env=False,
            follow_redirects=False,
            limits=httpx2.Limits(max_connections=CONNECTIONS, keepalive_expiry=30.0),
            event_hooks={"request": [_without_key]},
        ),
    )
    client._custom_headers = headers  # instead of those merged with OPENAI_CUSTOM_HEADERS
    return client


def _key(connection: Connection) -> str:
    return connection.api_key.get_secret_value() if connection.api_key is not None else ""


async def _without_key(request: httpx2.Request) -> None:
    """Take out the key that stands for none: the client makes no request without one."""
    if request.headers.get("authorization") == f"Bearer {NO_KEY}":
        del request.headers["authorization"]


@contextmanager
def told(connection: Connection) -> Iterator[None]:
    """Turn what the client raises into `Unavailable` or `Rejected`."""
    import httpx2
    import openai

    who = connection.who
    try:
        yield
    except (openai.APITimeoutError, httpx2.TimeoutException) as exc:
        raise Unavailable(f"{who} gave no answer in time", hint="is it overloaded?") from exc
    except openai.APIStatusError as exc:
        raise _refusal(exc, connection) from exc
    except openai.APIConnectionError as exc:
        reason = connection.redacted(str(exc.__cause__ or exc))
        raise Unavailable(f"{who} cannot be reached: {reason}", hint="is it running?") from exc
    except (httpx2.DecodingError, openai.APIResponseValidationError) as exc:
        raise Rejected(f"what {who} answered cannot be read") from exc
    except httpx2.HTTPError as exc:
        reason = connection.redacted(str(exc) or type(exc).__name__)
        raise Unavailable(f"the connection to {who} broke: {reason}") from exc
    except openai.OpenAIError as exc:
        raise Rejected(f"{who} cannot be asked: {connection.redacted(str(exc))}") from exc


def refusing_status(error: BaseException) -> int | None:
    """Return the HTTP status with which a server refused, where that is why."""
    status = getattr(error.__cause__, "status_code", None)
    return status if isinstance(status, int) else None


def described_error(body: Any) -> str:
    """Find the message in a server's error: OpenAI's shape, TEI's, FastAPI's, RFC 9457's."""
    for key in ("message", "detail", "error", "title"):
        if isinstance(body, Mapping) and body.get(key):
            return described_error(body[key])
    return body if isinstance(body, str) else "" if body is None else str(body)


def _refusal(exc: APIStatusError, connection: Connection) -> RagError:
    who, status = connection.who, exc.status_code
    said = connection.redacted(described_error(exc.body))
    why = f"{who} refuses (status {status})" + (f": {said}" if said else "")
    if status in _PASSING or (status >= 500 and status not in _NEVER):
        return Unavailable(why, retry_after=_wait(exc.response.headers))
    if status in (401, 403):
        return Rejected(why, hint="check the api_key and headers in the settings")
    if status == 404:
        return Rejected(why, hint="check base_url and model in the settings")
    return Rejected(why)


def _wait(headers: Mapping[str, str]) -> float | None:
    """Read for how many seconds a server wants to be left alone."""
    milliseconds = headers.get("retry-after-ms", "").strip()
    if milliseconds.isascii() and milliseconds.isdigit():
        return min(int(milliseconds[:12]) / 1000, LONGEST_RETRY_S)
    value = headers.get("retry-after", "")
    whole, point, _ = value.strip().partition(".")
    if point and whole.isascii() and whole.isdigit():  # fractions of a second, against RFC 9110
        value = str(int(whole[:9]) + 1)
    return retry_after(value, time.time())


def _certificates(connection: Connection) -> ssl.SSLContext:
    """Trust what the system trusts, and a file besides; nobody where nothing is encrypted."""
    import ssl

    import httpx2

    if urlsplit(connection.base_url).scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reading certificates takes 0.2 s
    context: ssl.SSLContext = httpx2.create_ssl_context(trust_env=False)
    if connection.ca_file is not None:
        try:
            context.load_verify_locations(connection.ca_file)
        except OSError as exc:  # and ssl.SSLError, which is one
            raise ConfigError(f"{connection.ca_file} has no certificates: {exc}") from exc
    return context
