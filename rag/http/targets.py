"""URLs as they may be fetched: read once, strictly, and written again from what was understood.

Knows the syntax of RFC 3986 and of host names; nothing of addresses. Where two readers of a URL
could differ about its host (backslashes, user names, odd numbers), it is refused.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import NamedTuple
from urllib.parse import urljoin

import httpx2

from rag.errors import Rejected

MAX_LENGTH = 8192

_PORTS = {"http": 80, "https": 443}
_PARTS = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>[/?][^#]*)?(?:#.*)?"
)
_AUTHORITY = re.compile(
    r"(?:\[(?P<literal>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]%]+))(?::(?P<port>[0-9]{0,5}))?", re.ASCII
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class Target(NamedTuple):
    """A URL in its normal form, without fragment, and what it is made of."""

    url: httpx2.URL
    scheme: str
    host: str
    """In lower case and ASCII, without a dot at its end; an IPv6 address has no brackets."""
    port: int

    @property
    def origin(self) -> tuple[str, str, int]:
        """Return what must be the same for secrets to be sent along."""
        return self.scheme, self.host, self.port

    def __str__(self) -> str:
        """Show it in a message: without the query, which may hold secrets."""
        return str(self.url.copy_with(query=None))


def target(url: str) -> Target:
    """Read a URL; raise `Rejected` when it is none that is fetched."""
    if len(url) > MAX_LENGTH:
        raise Rejected(f"the URL has more than {MAX_LENGTH} characters")
    if "\\" in url or any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in url):
        raise Rejected("the URL has a backslash or a control character")
    parts = _PARTS.fullmatch(url)
    if parts is None:
        raise Rejected("that is no absolute URL", hint="it begins with https://")
    scheme = parts["scheme"].lower()
    if scheme not in _PORTS:
        raise Rejected(f"URLs that begin with {scheme}: are not fetched")
    if "@" in parts["authority"]:
        raise Rejected("a URL with a user name or password is not fetched")
    authority = _AUTHORITY.fullmatch(parts["authority"])
    if authority is None:
        raise Rejected("the URL has no host that can be understood")
    host = _literal(authority["literal"]) if authority["literal"] else _name(authority["name"])
    port = int(authority["port"] or _PORTS[scheme])
    if not 0 < port < 65536:
        raise Rejected(f"there is no port {port}")
    rest = parts["rest"] or "/"
    return _target(scheme, host, port, rest if rest.startswith("/") else f"/{rest}")


def redirected(source: Target, location: str) -> Target:
    """Read where an answer of the source sends; it may be relative to the source."""
    try:
        return target(urljoin(str(source.url), location))
    except ValueError as exc:
        raise Rejected(f"{source} sends to something that is no URL") from exc


def _target(scheme: str, host: str, port: int, rest: str) -> Target:
    shown = f"[{host}]" if ":" in host else host
    try:
        url = httpx2.URL(f"{scheme}://{shown}:{port}{rest}")
    except httpx2.InvalidURL as exc:
        raise Rejected(f"that is no URL: {exc}") from exc
    read = (url.scheme, url.raw_host.decode("ascii"), url.port or _PORTS[scheme], url.userinfo)
    if read != (scheme, host, port, b""):
        raise Rejected("the URL can be read in two ways")
    return Target(url, scheme, host, port)


def _literal(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError as exc:
        raise Rejected(f"[{text}] is no IPv6 address") from exc


def _name(text: str) -> str:
    """Return the normal form of a name or of an IPv4 address."""
    try:
        host = httpx2.URL(f"http://{text}/").raw_host.decode("ascii").removesuffix(".")
    except (httpx2.InvalidURL, UnicodeError) as exc:
        raise Rejected("the URL has no host that can be understood") from exc
    labels = host.split(".")
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise Rejected("the URL has no host that can be understood")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError as exc:  # 2130706433, 0x7f.1 and the like, which systems read as well
            raise Rejected(f"{host} is no IPv4 address in its usual form") from exc
    return host
