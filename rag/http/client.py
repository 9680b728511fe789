"""The client: requests within a policy, redirects checked one by one, and trying again.

Knows the order of steps; which address may be reached is decided where connections are made
(`connecting`), for first requests, redirects and retries alike.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import httpcore2
import httpx2

from rag.errors import ConfigError, Rejected
from rag.http.connecting import CheckedNetwork, Resolver, look_up, port_refused
from rag.http.failures import refusal, told
from rag.http.fetched import CODINGS, Fetched, fetched
from rag.http.policy import HttpPolicy, Reach
from rag.http.targets import Target, redirected, target
from rag.retrying import Patience, Retrying

_REDIRECTS = (301, 302, 303, 307, 308)
_SAFE = ("GET", "HEAD")
_OWN = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "te"}
"""Headers that only the client sets."""
_HARMLESS = {"accept", "accept-language", "user-agent", "if-none-match", "if-modified-since"}
"""Headers that are sent to another origin as well; any other may hold a secret."""
_ORIGINS = 500
"""Servers whose pauses are remembered."""


@asynccontextmanager
async def open_client(
    policy: HttpPolicy | None = None,
    *,
    resolve: Resolver = look_up,
    network: httpcore2.AsyncNetworkBackend | None = None,
) -> AsyncIterator[SafeClient]:
    """Open a client; nothing of the environment (proxies, passwords) is used.

    Raise `ConfigError` when the policy cannot be read. `resolve` and `network`, which gets checked
    addresses, are for tests.
    """
    policy = policy or HttpPolicy()
    checked = CheckedNetwork(
        Reach(policy), resolve=resolve, network=network or httpcore2.AnyIOBackend()
    )
    async with httpcore2.AsyncConnectionPool(
        ssl_context=await asyncio.to_thread(_certificates, policy.ca_file),
        max_connections=policy.max_connections,
        max_keepalive_connections=policy.max_connections,
        keepalive_expiry=30.0,
        network_backend=checked,
    ) as pool:
        yield SafeClient(policy, pool)


class SafeClient:
    """Fetches what its policy allows."""

    def __init__(self, policy: HttpPolicy, pool: httpcore2.AsyncConnectionPool) -> None:
        """Take the pool, whose network backend must be a `CheckedNetwork`; see `open_client`."""
        self._policy, self._pool = policy, pool
        self._reach = Reach(policy)
        self._retrying: OrderedDict[tuple[str, str, int], Retrying] = OrderedDict()

    @asynccontextmanager
    async def get(
        self, url: str, *, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Fetched]:
        """Fetch a URL: `async with client.get(url) as answer`; take the body inside.

        What fails before the body begins is tried again, as the policy has it. Raise `Rejected`
        for what is not fetched, `NotFound`, and `Unavailable` for what may work later.
        """
        async with self.request("GET", url, headers=headers) as answer:
            yield answer

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
    ) -> AsyncIterator[Fetched]:
        """Send any request; those that change something are neither tried again nor redirected."""
        first, deadline = self._allowed(target(url)), self._deadline()
        answer = await self._patiently(
            first,
            partial(self._followed, method, first, headers or {}, content, deadline),
            attempts=self._policy.attempts if method in _SAFE else 1,
        )
        async with answer:
            yield answer

    async def save(
        self, url: str, file: BinaryIO, *, headers: Mapping[str, str] | None = None
    ) -> Fetched:
        """Fetch a URL into a file, from its position on, and return the head of the answer.

        When the body breaks off, the file is cut back to that position and all is tried again.
        """
        first, deadline, start = self._allowed(target(url)), self._deadline(), file.tell()

        async def once() -> Fetched:
            file.seek(start)
            file.truncate()
            async with await self._followed("GET", first, headers or {}, b"", deadline) as answer:
                await answer.save(file)
                return answer

        return await self._patiently(first, once, attempts=self._policy.attempts)

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._policy.total_s

    async def _patiently(
        self, first: Target, work: Callable[[], Awaitable[Fetched]], *, attempts: int
    ) -> Fetched:
        """Try again what may pass; the requests to one server share its pauses."""
        retrying = self._retrying.pop(first.origin, None) or Retrying(first.host)
        self._retrying[first.origin] = retrying
        if len(self._retrying) > _ORIGINS:
            self._retrying.popitem(last=False)
        seconds = self._policy.total_s
        return await retrying.call(
            work, Patience(seconds, attempts, seconds, self._policy.backoff_s)
        )

    async def _followed(
        self,
        method: str,
        first: Target,
        headers: Mapping[str, str],
        content: bytes,
        deadline: float,
    ) -> Fetched:
        """Send a request and follow where it is sent; what it finds is open."""
        at, sent = first, {name.lower(): value for name, value in headers.items()}
        for _ in range(self._policy.max_redirects + 1):
            response = await self._answer(method, at, sent, content, deadline)
            try:
                location = _location(response)
                if location is None:
                    return self._read(at, response, deadline)
            except BaseException:
                await response.aclose()
                raise
            await response.aclose()
            to = self._allowed(redirected(at, location))
            if method not in _SAFE:
                raise Rejected(f"{at} redirects a {method} request, which is not followed")
            if at.scheme == "https" and to.scheme != "https":
                raise Rejected(f"{at} redirects to {to}, which is not encrypted")
            if to.origin != at.origin:
                sent = {name: value for name, value in sent.items() if name in _HARMLESS}
            at = to
        raise Rejected(f"{first} redirects more than {self._policy.max_redirects} times")

    def _allowed(self, wanted: Target) -> Target:
        """Check what is known before any connection; the address is checked when it is made."""
        if wanted.port not in self._reach.ports:
            raise port_refused(wanted.host, wanted.port)
        return wanted

    async def _answer(
        self, method: str, at: Target, headers: Mapping[str, str], content: bytes, deadline: float
    ) -> httpcore2.Response:
        """Send one request; return the answer, whose body is still to come."""
        policy = self._policy
        request = httpx2.Request(
            method,
            at.url,
            headers={
                "user-agent": policy.user_agent,
                "accept": "*/*",
                **{name: value for name, value in headers.items() if name not in _OWN},
                "accept-encoding": ", ".join(CODINGS),
            },
            content=content or None,
        )
        waits = {"connect": policy.connect_s, "read": policy.idle_s, "write": policy.idle_s}
        with told(at):
            async with asyncio.timeout_at(deadline):
                return await self._pool.handle_async_request(
                    httpcore2.Request(
                        method,
                        httpcore2.URL(
                            scheme=at.url.raw_scheme,
                            host=at.url.raw_host,
                            port=at.port,
                            target=at.url.raw_path,
                        ),
                        headers=request.headers.raw,
                        content=content,
                        extensions={"timeout": waits},
                    )
                )

    def _read(self, at: Target, response: httpcore2.Response, deadline: float) -> Fetched:
        """Return the answer to be taken; raise what its status means."""
        answer = fetched(at, response, self._policy, deadline)
        failure = refusal(at, response.status, answer.headers)
        if failure is not None:
            raise failure
        return answer


def _location(response: httpcore2.Response) -> str | None:
    """Return where the answer redirects to, if it does."""
    if response.status not in _REDIRECTS:
        return None
    for name, value in response.headers:
        if name.lower() == b"location":
            try:
                return value.decode("utf-8")
            except UnicodeDecodeError:
                return value.decode("latin-1")
    return None


def _certificates(file: Path | None) -> ssl.SSLContext:
    """Trust what the system trusts, and a file besides."""
    context = httpx2.create_ssl_context(trust_env=False)
    if file is not None:
        try:
            context.load_verify_locations(file)
        except OSError as exc:  # and ssl.SSLError, which is one
            raise ConfigError(f"{file} has no certificates: {exc}") from exc
    return context
