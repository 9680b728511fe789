"""URLs and addresses: what is understood, what is refused, and that nothing private is reached."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from functools import cache

import httpcore2
import pytest

from rag.errors import ConfigError, Rejected, Unavailable
from rag.http import client as module
from rag.http.addresses import is_harmless, is_public
from rag.http.client import open_client
from rag.http.policy import HttpPolicy, Reach
from rag.http.targets import MAX_LENGTH, redirected, target

PUBLIC = "93.184.216.34"
PRIVATE = ("127.0.0.1", "169.254.169.254", "10.1.2.3", "192.168.0.1", "100.64.0.7", "0.0.0.0")
FULL_WIDTH = str.maketrans("0123456789.", "０１２３４５６７８９．")
CIRCLED = str.maketrans("0123456789", "⓪①②③④⑤⑥⑦⑧⑨")


CERTIFICATES = cache(module._certificates)


@pytest.fixture(autouse=True)
def _quick_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read those of the system once: it takes longer than all else here."""
    monkeypatch.setattr(module, "_certificates", CERTIFICATES)


class Recorder(httpcore2.AsyncNetworkBackend):
    """Takes note of the addresses that it should connect to, and connects to none."""

    def __init__(self) -> None:
        self.connected: list[tuple[str, int]] = []
        self.asked: list[str] = []

    async def connect_tcp(
        self, host: str, port: int, *_: object, **__: object
    ) -> httpcore2.AsyncNetworkStream:
        self.connected.append((host, port))
        raise httpcore2.ConnectError("recorded")

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Read numbers as the system does, in all their forms; all names are public."""
        self.asked.append(host)
        try:
            found = socket.getaddrinfo(host, port, flags=socket.AI_NUMERICHOST)
        except socket.gaierror:
            return [PUBLIC]
        return [str(info[4][0]) for info in found]


async def attempt(url: str, policy: HttpPolicy | None = None) -> tuple[Recorder, str]:
    """Fetch a URL; return who was asked for what, and how it ended."""
    recorder = Recorder()
    policy = policy or HttpPolicy(attempts=1)
    async with open_client(policy, resolve=recorder.resolve, network=recorder) as client:
        try:
            async with client.get(url):
                raise AssertionError("nothing can be fetched")
        except (Rejected, Unavailable) as exc:
            return recorder, type(exc).__name__


def numbers(address: str) -> Iterable[str]:
    """Write an IPv4 address in all the forms that some system understands."""
    octets = [int(part) for part in address.split(".")]
    a, b, c, d = octets
    whole = int(ipaddress.IPv4Address(address))
    yield from (address, f"{address}.", f"{address}..", f".{address}")
    yield from (str(whole), hex(whole), oct(whole).replace("0o", "0"), f"{whole}.", f"0x{whole:X}")
    yield from (str(whole + 2**32), f"{whole:012d}")
    yield ".".join(map(hex, octets))
    yield ".".join(f"0{octet:o}" for octet in octets)
    yield ".".join(f"{octet:03d}" for octet in octets)
    yield ".".join(f"0000{octet:o}" for octet in octets)
    yield from (f"{a}.{b}.{c * 256 + d}", f"{a}.{whole & 0xFFFFFF}", f"{a:#x}.{b}.{c * 256 + d}")
    yield from (f"0x{a:x}.0{b:o}.{c}.{d}", f"{a + 256}.{b}.{c}.{d}", f"{address}.0")
    yield from (address.translate(FULL_WIDTH), address.translate(CIRCLED))
    yield from (address.replace(".", "。"), address.replace(".", "．"), address.replace(".", "｡"))
    yield from (address.replace(".", "%2e"), address.replace(".", "%E3%80%82"))
    yield "".join(f"%{ord(character):02x}" for character in address)
    yield from (f"[::ffff:{address}]", f"[0:0:0:0:0:ffff:{whole >> 16:x}:{whole & 0xFFFF:x}]")
    yield from (f"[::{address}]", f"[::ffff:0:{address}]", f"[64:ff9b::{address}]")
    yield from (f"[2002:{whole >> 16:x}:{whole & 0xFFFF:x}::1]", f"[fe80::5efe:{address}]")
    yield f"[2001:0:{whole >> 16:x}:{whole & 0xFFFF:x}:0:0:0:0]"
    yield f"[2001:0:5db8:d822:0:0:{(whole >> 16) ^ 0xFFFF:x}:{(whole & 0xFFFF) ^ 0xFFFF:x}]"
    yield from (f"[2606:4700::200:5efe:{address}]", f"[{address}]", f"[::ffff:{address}%25lo]")


def around(host: str) -> Iterable[str]:
    """Write URLs that some reader understands as going to the host."""
    yield from (
        f"http://{host}/",
        f"https://{host}:443/x?y#z",
        f"HTTP://{host}",
        f"http://{host}:80",
    )
    yield from (f"http://user:pass@{host}/", f"http://public.example@{host}/", f"http://@{host}/")
    yield from (f"http://{host}\\@public.example/", f"http://public.example\\@{host}/")
    yield from (f"http://public.example:80\\@{host}/", f"http:\\\\{host}/", f"http:/\\{host}/")
    yield from (f"http://{host}\t/", f"http://\n{host}/", f" http://{host}/", f"http://{host} /")
    yield from (f"http://public.example:80@{host}:80/", f"http://public.example%00@{host}/")
    yield from (f"http:{host}", f"http:/{host}/", f"http:///{host}/", f"//{host}/", f"///{host}/")
    yield from (f"http://{host}:0/", f"http://{host}:99999/", f"http://{host}:+80/")
    yield from (
        f"http://{host}:22/",
        f"http://{host}:8_0/",
        f"http://{host}:８０/",
        f"http://{host}::80/",
    )
    yield from (
        f"ftp://{host}/",
        f"gopher://{host}/_x",
        f"file://{host}/etc/passwd",
        f"dict://{host}/",
    )
    yield from (
        f"data:text/plain,{host}",
        f"jar:http://{host}!/",
        f"ldap://{host}/",
        f"ws://{host}/",
    )
    yield from (f"http://[{host}]/", f"http://[{host}/", f"http://{host}]/", f"http://{{{host}}}/")
    yield from (f"http://public.example,{host}/", f"http://public.example&@{host}/")
    yield f"http://{host}\u2028/"


PRIVATE_6 = (
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[fe80::1]", "[fe80::1%25eth0]", "[fe80::1%eth0]"),
    *("[fc00::1]", "[fd00:ec2::254]", "[fec0::1]", "[ff02::1]", "[100::1]", "[2001:db8::1]"),
    *("[5f00::1]", "[4000::1]", "[64:ff9b:1::a00:1]", "[2002:7f00:1::]", "[3fff::1]"),
)
FORBIDDEN = [
    *(f"http://{form}/" for address in PRIVATE for form in numbers(address)),
    *(url for address in PRIVATE[:2] for url in around(address)),
    *(url for url in around("[::1]")),
    *(f"http://{form}/" for form in PRIVATE_6),
]


def test_there_are_enough_forms() -> None:
    assert len(set(FORBIDDEN)) >= 300


async def test_no_form_of_a_private_address_is_connected_to() -> None:
    recorder = Recorder()
    ended: dict[str, list[str]] = {"Rejected": [], "other": []}
    async with open_client(
        HttpPolicy(attempts=1), resolve=recorder.resolve, network=recorder
    ) as client:
        for url in FORBIDDEN:
            try:
                async with client.get(url):
                    ended["other"].append(url)
            except Rejected:
                ended["Rejected"].append(url)
            except Unavailable:
                ended["other"].append(url)
    assert ended["other"] == []
    assert recorder.connected == []
    assert len(ended["Rejected"]) == len(FORBIDDEN)


@pytest.mark.parametrize(
    ("url", "asked", "connected"),
    [
        ("http://public.example/", ["public.example"], (PUBLIC, 80)),
        ("https://PUBLIC.example./x", ["public.example"], (PUBLIC, 443)),
        ("http://public.example:443#@127.0.0.1/", ["public.example"], (PUBLIC, 443)),
        ("http://public.example/?@127.0.0.1", ["public.example"], (PUBLIC, 80)),
        ("http://public.example/@127.0.0.1:80", ["public.example"], (PUBLIC, 80)),
        ("http://127.0.0.1.public.example/", ["127.0.0.1.public.example"], (PUBLIC, 80)),
        ("http://bücher.example/", ["xn--bcher-kva.example"], (PUBLIC, 80)),
        ("http://public。example/", ["public.example"], (PUBLIC, 80)),
        (f"http://{PUBLIC}/", [], (PUBLIC, 80)),
        ("http://[2606:2800:220:1::248]/", [], ("2606:2800:220:1::248", 80)),
        (f"http://[::ffff:{PUBLIC}]/", [], (f"::ffff:{PUBLIC}", 80)),
        (f"http://[64:ff9b::{PUBLIC}]/", [], ("64:ff9b::5db8:d822", 80)),
    ],
)
async def test_public_hosts_are_connected_to_at_the_checked_address(
    url: str, asked: list[str], connected: tuple[str, int]
) -> None:
    recorder, ended = await attempt(url)
    assert (recorder.asked, ended) == (asked, "Unavailable")
    address, port = recorder.connected[0]
    assert (ipaddress.ip_address(address), port) == (
        ipaddress.ip_address(connected[0]),
        connected[1],
    )


@pytest.mark.parametrize(
    "answers",
    [
        [PUBLIC, "127.0.0.1"],
        ["10.0.0.1", PUBLIC],
        [PUBLIC, "::1"],
        ["fe80::1%eth0"],
        ["no address"],
        [],
    ],
)
async def test_all_addresses_of_a_name_must_be_public(answers: list[str]) -> None:
    recorder = Recorder()

    async def resolve(host: str, port: int) -> Sequence[str]:
        return answers

    async with open_client(HttpPolicy(), resolve=resolve, network=recorder) as client:
        with pytest.raises(Rejected):
            async with client.get("http://mixed.example/"):
                pass
    assert recorder.connected == []


async def test_names_that_do_not_exist_are_not_tried_again() -> None:
    calls = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        calls.append(host)
        raise socket.gaierror(socket.EAI_NONAME if len(calls) == 1 else socket.EAI_AGAIN, "no")

    async with open_client(HttpPolicy(backoff_s=0.001), resolve=resolve) as client:
        with pytest.raises(Rejected, match=r"there is no host a\.example"):
            async with client.get("http://a.example/"):
                pass
        assert len(calls) == 1
        with pytest.raises(Unavailable, match="cannot be looked up"):
            async with client.get("http://b.example/"):
                pass
        assert len(calls) == 4


async def test_several_addresses_are_tried_in_order() -> None:
    recorder = Recorder()

    async def resolve(host: str, port: int) -> Sequence[str]:
        return [f"93.184.216.{n}" for n in range(1, 9)]

    async with open_client(HttpPolicy(attempts=1), resolve=resolve, network=recorder) as client:
        with pytest.raises(Unavailable, match="cannot be reached"):
            async with client.get("http://many.example/"):
                pass
    assert recorder.connected == [(f"93.184.216.{n}", 80) for n in range(1, 5)]


@pytest.mark.parametrize(
    ("allow", "url", "is_reached"),
    [
        (("10.1.0.0/16",), "http://10.1.2.3/", True),
        (("10.1.0.0/16",), "http://10.2.2.3/", False),
        (("10.1.2.3",), "http://[::ffff:10.1.2.3]/", False),
        (("169.254.169.254",), "http://169.254.169.254/", True),
        (("10-0-0-1.wiki.example",), "http://10-0-0-1.wiki.example/", True),
        (("wiki1",), "http://wiki1/", True),
        (("Wiki.example.",), "http://wiki.example/", True),
        (("wiki.example",), "http://other.wiki.example/", False),
        (("fd00::/8",), "http://[fd00::5]/", True),
    ],
)
async def test_private_places_are_reached_where_they_are_allowed(
    allow: tuple[str, ...], url: str, is_reached: bool
) -> None:
    recorder = Recorder()

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["192.168.7.7"]

    policy = HttpPolicy(allow=allow, attempts=1)
    async with open_client(policy, resolve=resolve, network=recorder) as client:
        with pytest.raises(Unavailable if is_reached else Rejected):
            async with client.get(url):
                pass
    assert bool(recorder.connected) == is_reached


@pytest.mark.parametrize("address", ["169.254.169.254", "0.0.0.0", "224.0.0.1", "::", "fe80::1"])
def test_a_name_that_is_allowed_never_leads_to_metadata_or_many_hosts(address: str) -> None:
    reach = Reach(HttpPolicy(allow=("wiki.example",)))
    assert not reach.includes("wiki.example", ipaddress.ip_address(address))
    assert reach.includes("wiki.example", ipaddress.ip_address("127.0.0.1"))
    assert not reach.includes("other.example", ipaddress.ip_address("127.0.0.1"))


@pytest.mark.parametrize(
    "entry", ["10.1.2.3/16", "http://a.example", "*.example", "a b", "", "1.2.3"]
)
async def test_rules_that_cannot_be_read_are_refused(entry: str) -> None:
    with pytest.raises(ConfigError):
        async with open_client(HttpPolicy(allow=(entry,))):
            pass


async def test_other_ports_are_reached_where_they_are_allowed() -> None:
    recorder, ended = await attempt("http://public.example:8080/")
    assert (recorder.asked, recorder.connected, ended) == ([], [], "Rejected")
    policy = HttpPolicy(ports=(8080,), attempts=1)
    recorder, ended = await attempt("http://public.example:8080/", policy)
    assert (recorder.connected, ended) == ([(PUBLIC, 8080)], "Unavailable")


def test_urls_have_one_normal_form() -> None:
    def normal(url: str) -> str:
        return str(target(url).url)

    assert normal("HTTP://Public.Example.:80") == "http://public.example/"
    assert normal("https://public.example:443/a/../b?q=1#part") == "https://public.example/b?q=1"
    assert normal("http://public.example:8080?q") == "http://public.example:8080/?q"
    assert normal("http://[2606:4700:0:0::1]/") == "http://[2606:4700::1]/"
    assert normal("http://public.example/ä b") == "http://public.example/%C3%A4%20b"
    assert str(target("https://a.example/x?token=secret")) == "https://a.example/x"


@pytest.mark.parametrize(
    "url",
    [
        *("", "a", "/x", "http:", "http://", "http://?", "http://:80/", "http://a..b/"),
        *("http://-a.b/", "http://a_-/", f"http://{'a' * 64}.b/", f"http://{'a.' * 130}b/"),
        *("http://a.0x/", "http://a.1/", "http://1.2.3.4.5/", "http://a%2eb/", "http://a;b/"),
        *("http://xn--/", "http://\ud800.example/", "http://a.example/\x7f"),
        f"http://a.example/{'x' * MAX_LENGTH}",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(Rejected):
        target(url)


def test_redirects_are_read_as_strictly() -> None:
    source = target("https://a.example/x/y?q")
    assert str(redirected(source, "../z").url) == "https://a.example/z"
    assert str(redirected(source, "//b.example").url) == "https://b.example/"
    assert str(redirected(source, "?p#f").url) == "https://a.example/x/y?p"
    for location in ("\\\\127.0.0.1/", "/\\127.0.0.1", "http://u@b.example/", "javascript:1"):
        with pytest.raises(Rejected):
            redirected(source, location)
    with pytest.raises(Rejected, match="no URL"):
        redirected(source, "http://[::1")


def test_special_addresses_are_never_public() -> None:
    """Compare with the registries as this Python has them: what it calls private is refused."""
    blocks = "0.0 10.0 100.64 127.0 169.254 172.16 172.31 192.168 198.18 224.0 239.255 240.0"
    for block in (*blocks.split(), "255.255"):
        assert not is_public(ipaddress.ip_address(f"{block}.255.255")), block
    for text in ("1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1", "2a00:1450::1"):
        assert is_public(ipaddress.ip_address(text)), text
        assert not is_harmless(ipaddress.ip_address(text))
    for number in range(0, 2**32, 999_983):
        address = ipaddress.IPv4Address(number)
        assert address.is_global or not is_public(address), address
