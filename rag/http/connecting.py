"""Connections that only go where they may: the address that is checked is the one connected to.

Knows names and addresses; nothing of HTTP. A name is looked up once for a connection, and all of
its addresses must be allowed, so that a server of names cannot mix good with bad ones.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeAlias

import httpcore2

from rag.errors import Rejected, Unavailable
from rag.http.addresses import Address
from rag.http.policy import Reach

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

_MOST_TRIES = 4
"""Addresses of a name that are tried, in the order of the system."""
_NO_SUCH_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


async def look_up(host: str, port: int) -> Sequence[str]:
    """Ask the system for the addresses of a name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class CheckedNetwork(httpcore2.AsyncNetworkBackend):
    """Opens connections to allowed addresses and ports; raises `Rejected` for all others."""

    def __init__(
        self, reach: Reach, *, resolve: Resolver, network: httpcore2.AsyncNetworkBackend
    ) -> None:
        """Take the rules, the resolver, and what opens a connection to a checked address."""
        self._reach, self._resolve, self._network = reach, resolve, network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  as the interface has it
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Look the host up, check all of its addresses, and connect to one of them."""
        if port not in self._reach.ports:
            raise port_refused(host, port)
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._addresses(host, port)
                return await self._first(addresses[:_MOST_TRIES], port, timeout, socket_options)
        except TimeoutError as exc:
            raise httpcore2.ConnectTimeout(f"no connection to {host}") from exc

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  as the interface has it
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Refuse: nothing is fetched from sockets of this machine."""
        raise Rejected("nothing is fetched from a socket of this machine")

    async def sleep(self, seconds: float) -> None:
        """Wait; retries within the library are switched off."""
        await asyncio.sleep(seconds)

    async def _addresses(self, host: str, port: int) -> list[Address]:
        """Return the addresses of a host; raise `Rejected` when one of them is not allowed."""
        try:
            addresses: list[Address] = [ipaddress.ip_address(host)]
        except ValueError:
            addresses = [_address(host, found) for found in await self._looked_up(host, port)]
        if not addresses:
            raise Rejected(f"{host} has no address")
        for address in addresses:
            if not self._reach.includes(host, address):
                raise Rejected(
                    f"{host} is not a public address"
                    if str(address) == host
                    else f"{host} has the address {address}, which is not a public address",
                    hint="allow it in the settings if it is yours",
                )
        return addresses

    async def _looked_up(self, host: str, port: int) -> Sequence[str]:
        try:
            return await self._resolve(host, port)
        except socket.gaierror as exc:
            if exc.errno in _NO_SUCH_NAME:
                raise Rejected(f"there is no host {host}") from exc
            raise Unavailable(f"the address of {host} cannot be looked up: {exc}") from exc
        except UnicodeError as exc:
            raise Rejected("the name of the host cannot be looked up") from exc

    async def _first(
        self,
        addresses: Sequence[Address],
        port: int,
        within_s: float | None,
        options: Iterable[httpcore2.SOCKET_OPTION] | None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address that answers; each has its share of the time."""
        share = None if within_s is None else within_s / len(addresses)
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(
                    str(address), port, share, socket_options=options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._network.connect_tcp(
            str(addresses[-1]), port, within_s, socket_options=options
        )


def port_refused(host: str, port: int) -> Rejected:
    """Say that a port is not one of those that are fetched from."""
    return Rejected(f"port {port} of {host} is not fetched from", hint="allow it in the settings")


def _address(host: str, found: str) -> Address:
    try:
        return ipaddress.ip_address(found)
    except ValueError as exc:
        raise Rejected(f"{host} has an address that is none: {found}") from exc
