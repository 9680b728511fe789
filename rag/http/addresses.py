"""Which IP addresses are those of the public internet.

Knows the registries of special addresses (RFC 6890 and what IANA added since); nothing of names.
Written out, since the lists of `ipaddress` differ between releases of Python (CVE-2024-4032).
"""

from __future__ import annotations

import ipaddress
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_SPECIAL_4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
            *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24"),
            *("192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24"),
            *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            "168.63.129.16/32",  # the platform's own services in Azure
        ),
    )
)
_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
_SPECIAL_6 = tuple(
    map(
        ipaddress.IPv6Network,
        ("2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3ffe::/16", "3fff::/20"),
    )
)
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_6TO4 = ipaddress.IPv6Network("2002::/16")
_PLAIN_PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        (
            *("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
            *("::1/128", "fc00::/7"),
        ),
    )
)


def is_public(address: Address) -> bool:
    """Whether the address is a host of the public internet, and so is any other inside it.

    IPv6 addresses that carry one of IPv4 (mapped, 6to4, NAT64) are as public as that one; those of
    Teredo, ISATAP and the like never are.
    """
    inner = carried(address)
    if inner is not None:
        return is_public(inner)
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _SPECIAL_4)
    return (
        address in _GLOBAL_6
        and address.scope_id is None
        and not any(address in network for network in _SPECIAL_6)
        and not _is_isatap(address)
    )


def is_harmless(address: Address) -> bool:
    """Whether the address is of an ordinary private network or of this machine.

    Those that mean no host, or many, and those of cloud metadata services (link-local) are not.
    """
    inner = carried(address)
    if inner is not None:
        return is_harmless(inner)
    return any(
        address in network for network in _PLAIN_PRIVATE if network.version == address.version
    )


def carried(address: Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _MAPPED or address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return ipaddress.IPv4Address(int(address) >> 80 & 0xFFFF_FFFF) if address in _6TO4 else None


def _is_isatap(address: ipaddress.IPv6Address) -> bool:
    """Whether the lower half is `::[2]00:5efe:a.b.c.d` (RFC 5214), a tunnel to any address."""
    return int(address) >> 32 & 0xFDFF_FFFF == 0x0000_5EFE
