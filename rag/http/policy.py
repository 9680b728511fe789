"""What may be fetched, and how much of it.

Knows the rules as settings name them; nothing of connections.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from rag.errors import ConfigError
from rag.http.addresses import Address, is_harmless, is_public

MIB = 1 << 20
USUAL_PORTS = (80, 443)

_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class HttpPolicy:
    """Which hosts a client may reach, and the limits of each request.

    Without `allow`, only public addresses are reached.
    """

    allow: tuple[str, ...] = ()
    """Private places that may be reached: networks (`10.1.0.0/16`), single addresses, and names of
    hosts (`wiki.example.org`), which may then have private addresses."""
    ports: tuple[int, ...] = ()
    """Besides 80 and 443."""
    connect_s: float = 10.0
    """Looking up a name and connecting, each time."""
    idle_s: float = 30.0
    """Longest silence of the other side."""
    total_s: float = 120.0
    """Of a request: all redirects, tries and the whole body."""
    attempts: int = 3
    backoff_s: float = 1.0
    """Longest first wait before another attempt; it doubles."""
    max_bytes: int = 64 * MIB
    """Of a body, after decompression as well."""
    max_header_bytes: int = 64 << 10
    max_redirects: int = 5
    max_connections: int = 20
    ca_file: Path | None = None
    """Certificates to trust besides those of the system."""
    user_agent: str = "cumulo"


class Reach:
    """The addresses and ports that a policy lets a client reach."""

    def __init__(self, policy: HttpPolicy) -> None:
        """Read the policy; raise `ConfigError` where an entry is neither network nor name."""
        self.ports = frozenset((*USUAL_PORTS, *policy.ports))
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._names: set[str] = set()
        for entry in policy.allow:
            try:
                self._networks.append(ipaddress.ip_network(entry))
            except ValueError as exc:
                name = entry.lower().removesuffix(".")
                if not _NAME.fullmatch(name) or name.rpartition(".")[2].isdigit():
                    raise ConfigError(
                        f"{entry!r} is neither a network nor the name of a host",
                        hint="write 10.1.0.0/16 or wiki.example.org",
                    ) from exc
                self._names.add(name)

    def includes(self, host: str, address: Address) -> bool:
        """Whether a connection to the host may go to that address."""
        if is_public(address):
            return True
        if any(address in network for network in self._networks):
            return True
        return host in self._names and is_harmless(address)
