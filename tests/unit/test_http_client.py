"""Fetching over real sockets: redirects, limits, compression, retries, and what is kept secret.

Names have public addresses here, and connections to these end at a server of the test; connections
to private addresses, which must not happen, would end at a canary.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import ssl
import subprocess
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypeAlias

import httpcore2
import pytest

from rag.errors import ConfigError, NotFound, Rejected, Unavailable
from rag.http import client as module
from rag.http.client import SafeClient, open_client
from rag.http.failures import retry_after
from rag.http.policy import HttpPolicy

PUBLIC, OTHER = "93.184.216.34", "93.184.216.35"
POLICY = HttpPolicy(attempts=1, backoff_s=0.001, total_s=20.0, connect_s=5.0, idle_s=5.0)
Handler: TypeAlias = Callable[["Asked", asyncio.StreamWriter], Awaitable[None]]


CERTIFICATES = cache(module._certificates)


@pytest.fixture(autouse=True)
def _quick_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read those of the system once: it takes longer than all else here."""
    monkeypatch.setattr(module, "_certificates", CERTIFICATES)


class Asked:
    """A request as a server saw it."""

    def __init__(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, _ = first.split(" ", 2)
        self.headers = {n.lower(): v.strip() for n, _, v in (x.partition(":") for x in lines if x)}


class Server:
    """Answers by path; a text is the whole answer, a function writes it."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes | Handler] = {}
        self.asked: list[Asked] = []
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                asked = Asked(head)
                self.asked.append(asked)
                await reader.readexactly(int(asked.headers.get("content-length", 0)))
                answer = self.answers.get(asked.path, head_of(404))
                if isinstance(answer, bytes):
                    writer.write(answer)
                else:
                    await answer(asked, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def at(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path == path]


def head_of(status: int, *headers: str, body: bytes | None = b"") -> bytes:
    length = [] if body is None else [f"Content-Length: {len(body)}"]
    lines = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status} X", *headers, *length))
    return lines.encode() + b"\r\n" + (body or b"")


class Net(httpcore2.AsyncNetworkBackend):
    """Takes connections to checked addresses to the servers of the test."""

    def __init__(self) -> None:
        self.servers: dict[str, Server] = {}
        self.canary = Server()
        self.connected: list[str] = []
        self.names: dict[str, Sequence[str]] = {}
        self.looked_up: list[str] = []

    async def connect_tcp(
        self, host: str, port: int, *args: object, **options: object
    ) -> httpcore2.AsyncNetworkStream:
        self.connected.append(host)
        server = self.servers.get(host, self.canary)
        return await httpcore2.AnyIOBackend().connect_tcp("127.0.0.1", server.port)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.looked_up.append(host)
        return self.names.get(host, [OTHER if host.startswith("other") else PUBLIC])


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    net = Net()
    net.servers = {PUBLIC: Server(), OTHER: Server()}
    running = []
    for server in (net.canary, *net.servers.values()):
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        server.port = listening.sockets[0].getsockname()[1]
        running.append(listening)
    yield net
    for listening in running:
        listening.close()


@pytest.fixture
def server(net: Net) -> Server:
    return net.servers[PUBLIC]


def client_of(net: Net, policy: HttpPolicy = POLICY) -> AbstractAsyncContextManager[SafeClient]:
    return open_client(policy, resolve=net.resolve, network=net)


async def body_of(net: Net, url: str, policy: HttpPolicy = POLICY) -> bytes:
    async with client_of(net, policy) as client, client.get(url) as answer:
        return await answer.read()


# --- what is fetched -----------------------------------------------------------------------------


async def test_an_answer_has_head_and_body(net: Net, server: Server) -> None:
    server.answers["/a?q=1"] = head_of(
        200, "Content-Type: Text/HTML; charset=x", "X-A: 1", "x-a: 2", body=b"hello"
    )
    async with client_of(net) as client:
        async with client.get("http://a.example/a?q=1#f", headers={"X-Mine": "y"}) as answer:
            assert (answer.status, answer.url) == (200, "http://a.example/a?q=1")
            assert (answer.media_type, answer.headers["x-a"]) == ("text/html", "1, 2")
            assert await answer.read() == b"hello"
        file = io.BytesIO(b"before")
        file.seek(6)
        assert (await client.save("http://a.example/a?q=1", file)).status == 200
        assert file.getvalue() == b"beforehello"
    asked = server.asked[0].headers
    assert asked["host"] == "a.example"
    assert (asked["x-mine"], asked["accept-encoding"]) == ("y", "gzip, deflate")
    assert (server.connections, net.connected, net.canary.connections) == (1, [PUBLIC], 0)


async def test_a_request_may_have_content_and_is_sent_once(net: Net, server: Server) -> None:
    server.answers["/"] = head_of(503)
    async with client_of(net, replace(POLICY, attempts=3)) as client:
        with pytest.raises(Unavailable):
            async with client.request("POST", "http://a.example", content=b"x" * 10):
                pass
    assert [asked.headers["content-length"] for asked in server.asked] == ["10"]


async def test_headers_of_the_connection_are_the_client_s_own(net: Net, server: Server) -> None:
    server.answers["/"] = head_of(200)
    own = {"Host": "b.example", "Accept-Encoding": "br", "Transfer-Encoding": "chunked"}
    async with client_of(net) as client, client.get("http://a.example", headers=own):
        pass
    headers = server.asked[0].headers
    assert (headers["host"], headers["accept-encoding"]) == ("a.example", "gzip, deflate")
    assert "transfer-encoding" not in headers


async def test_the_environment_changes_nothing(
    net: Net, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.answers["/"] = head_of(200, body=b"direct")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{net.canary.port}")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine a.example login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert await body_of(net, "http://a.example/") == b"direct"
    assert "authorization" not in server.asked[0].headers
    assert net.canary.connections == 0


async def test_no_cookie_is_kept(net: Net, server: Server) -> None:
    server.answers["/"] = head_of(200, "Set-Cookie: a=1; Path=/")
    async with client_of(net) as client:
        for _ in range(2):
            async with client.get("http://a.example/"):
                pass
    assert "cookie" not in server.asked[1].headers


# --- redirects -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location",
    [
        *("http://127.0.0.1/", "http://169.254.169.254/latest/meta-data/", "//10.0.0.5/"),
        *("http://[::1]/", "http://[::ffff:10.0.0.5]/", "http://0x7f000001/", "http://2130706433/"),
        *("http://private.example/", "http://user@a.example/", "http://a.example:22/"),
        *("file:///etc/passwd", "gopher://127.0.0.1/", "http://a.example\\@127.0.0.1/"),
    ],
)
async def test_redirects_to_private_places_end_there(
    net: Net, server: Server, status: int, location: str
) -> None:
    net.names["private.example"] = ["10.0.0.9"]
    server.answers["/1"] = head_of(status, "Location: /2")
    server.answers["/2"] = head_of(status, f"Location: {location}")
    with pytest.raises(Rejected):
        await body_of(net, "http://a.example/1")
    assert (set(net.connected), net.canary.connections) == ({PUBLIC}, 0)
    assert [asked.path for asked in server.asked] == ["/1", "/2"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_to_public_places_are_followed(
    net: Net, server: Server, status: int
) -> None:
    server.answers["/1"] = head_of(status, "Location: http://other.example/ä?q", body=b"moved")
    net.servers[OTHER].answers["/%C3%A4?q"] = head_of(200, body=b"there")
    async with client_of(net) as client, client.get("http://a.example/1") as answer:
        assert await answer.read() == b"there"
        assert answer.url == "http://other.example/%C3%A4?q"


async def test_five_redirects_are_followed_and_no_more(net: Net, server: Server) -> None:
    for number in range(1, 7):
        server.answers[f"/{number}"] = head_of(302, f"Location: /{number + 1}")
    server.answers["/7"] = head_of(200, body=b"end")
    assert await body_of(net, "http://a.example/2") == b"end"
    with pytest.raises(Rejected, match="more than 5 times"):
        await body_of(net, "http://a.example/1")
    server.answers["/loop"] = head_of(302, "Location: /loop")
    with pytest.raises(Rejected, match="more than 5 times"):
        await body_of(net, "http://a.example/loop")
    assert len(server.at("/loop")) == 6


async def test_secrets_stay_with_their_origin(net: Net, server: Server) -> None:
    secrets = {"Authorization": "Bearer x", "Cookie": "a=1", "X-Api-Key": "k", "Accept": "text/a"}
    server.answers["/1"] = head_of(302, "Location: /2")
    server.answers["/2"] = head_of(302, "Location: http://other.example/3")
    net.servers[OTHER].answers["/3"] = head_of(302, "Location: http://a.example/4")
    server.answers["/4"] = head_of(200)
    async with client_of(net) as client, client.get("http://a.example/1", headers=secrets):
        pass
    names = ("authorization", "cookie", "x-api-key", "accept")
    kept = [[name in asked.headers for name in names] for asked in server.asked]
    assert kept == [[True] * 4, [True] * 4, [False] * 3 + [True]]
    assert [name in net.servers[OTHER].asked[0].headers for name in names] == kept[2]


async def test_what_changes_something_is_not_redirected(net: Net, server: Server) -> None:
    server.answers["/"] = head_of(307, "Location: /2")
    async with client_of(net) as client:
        with pytest.raises(Rejected, match="POST"):
            async with client.request("POST", "http://a.example/", content=b"x"):
                pass
    assert server.at("/2") == []


async def test_each_connection_goes_to_the_address_that_was_checked(
    net: Net, server: Server
) -> None:
    """A server of names that gives a public address, then a private one, gains nothing."""
    turns = iter([[PUBLIC], ["127.0.0.1"], [PUBLIC], ["169.254.169.254"]])

    async def rebinding(host: str, port: int) -> Sequence[str]:
        net.looked_up.append(host)
        return next(turns)

    server.answers["/"] = head_of(200, "Connection: close", body=b"public")
    async with open_client(POLICY, resolve=rebinding, network=net) as client:
        for number in range(4):
            if number % 2:
                with pytest.raises(Rejected, match="not a public address"):
                    async with client.get("http://a.example/"):
                        pass
            else:
                async with client.get("http://a.example/") as answer:
                    assert await answer.read() == b"public"
    assert (len(net.looked_up), net.connected, net.canary.connections) == (4, [PUBLIC] * 2, 0)


# --- limits --------------------------------------------------------------------------------------


def chunked(pieces: Iterable[bytes], *, wait_s: float = 0.0, end: bool = True) -> Handler:
    """Answer in chunks, and note in the request how many bytes could be sent."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head_of(200, "Transfer-Encoding: chunked", body=None))
        for piece in pieces:
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(wait_s)
        if end:
            writer.write(b"0\r\n\r\n")
        else:
            writer.close()

    return answer


async def test_a_body_that_says_that_it_is_too_large_is_not_taken(net: Net, server: Server) -> None:
    server.answers["/"] = head_of(200, "Content-Length: 1001", body=None)
    with pytest.raises(Rejected, match="more than the 1000 bytes"):
        await body_of(net, "http://a.example/", replace(POLICY, max_bytes=1000))


async def test_a_body_is_taken_up_to_the_limit(net: Net, server: Server) -> None:
    server.answers["/"] = chunked([b"x" * 500] * 2)
    assert len(await body_of(net, "http://a.example/", replace(POLICY, max_bytes=1000))) == 1000
    server.answers["/"] = chunked([b"x" * 500] * 1_000_000)
    began = time.monotonic()
    with pytest.raises(Rejected, match="more than the 1000 bytes"):
        await body_of(net, "http://a.example/", replace(POLICY, max_bytes=1000))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate"])
async def test_bombs_are_defused_while_they_unpack(net: Net, server: Server, coding: str) -> None:
    plain = bytes(64 << 20)
    packed = {
        "gzip": lambda: gzip.compress(plain),
        "deflate": lambda: zlib.compress(plain),
        "raw deflate": lambda: zlib.compress(plain, wbits=-15),
    }[coding]()
    server.answers["/"] = head_of(200, f"Content-Encoding: {coding.split()[-1]}", body=packed)
    tracemalloc.start()
    try:
        with pytest.raises(Rejected, match="more than the"):
            await body_of(net, "http://a.example/", replace(POLICY, max_bytes=4 << 20))
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


async def test_compressed_bodies_are_unpacked(net: Net, server: Server) -> None:
    server.answers["/"] = head_of(200, "Content-Encoding: gzip", body=gzip.compress(b"hello"))
    assert await body_of(net, "http://a.example/") == b"hello"


@pytest.mark.parametrize(
    "coding", ["gzip, gzip", "br", "zstd", "x", "gzip\r\nContent-Encoding: br"]
)
async def test_other_compressions_are_refused(net: Net, server: Server, coding: str) -> None:
    server.answers["/"] = head_of(200, f"Content-Encoding: {coding}", body=b"??")
    with pytest.raises(Rejected, match="compressed"):
        await body_of(net, "http://a.example/")


async def test_a_damaged_compression_is_refused(net: Net, server: Server) -> None:
    server.answers["/"] = head_of(200, "Content-Encoding: gzip", body=b"not gzip at all")
    with pytest.raises(Rejected, match="damaged"):
        await body_of(net, "http://a.example/")


@pytest.mark.parametrize("size", [70_000, 400_000])
async def test_headers_have_a_limit(net: Net, server: Server, size: int) -> None:
    server.answers["/"] = head_of(200, f"X-Long: {'x' * size}")
    with pytest.raises(Rejected, match="are too large"):
        await body_of(net, "http://a.example/")


async def test_a_body_that_drips_ends_at_the_deadline(net: Net, server: Server) -> None:
    server.answers["/"] = chunked([b"x"] * 1000, wait_s=0.02)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="no answer in time"):
        await body_of(net, "http://a.example/", replace(POLICY, total_s=0.3))
    assert 0.2 < time.monotonic() - began < 2


async def test_silence_ends_sooner(net: Net, server: Server) -> None:
    async def silent(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3)

    server.answers["/"] = silent
    began = time.monotonic()
    with pytest.raises(Unavailable, match="no answer in time"):
        await body_of(net, "http://a.example/", replace(POLICY, idle_s=0.2))
    assert time.monotonic() - began < 2


async def test_endless_interim_answers_end_at_the_deadline(net: Net, server: Server) -> None:
    async def interim(asked: Asked, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    server.answers["/"] = interim
    with pytest.raises(Unavailable, match="no answer"):
        await body_of(net, "http://a.example/", replace(POLICY, total_s=0.3))


async def test_a_resolver_that_hangs_ends_in_time(net: Net) -> None:
    async def hangs(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        raise AssertionError("too late")

    policy = replace(POLICY, connect_s=0.1)
    async with open_client(policy, resolve=hangs, network=net) as client:
        with pytest.raises(Unavailable, match="in time"):
            async with client.get("http://a.example/"):
                pass


async def test_a_body_that_is_not_taken_leaves_no_connection_behind(
    net: Net, server: Server
) -> None:
    server.answers["/"] = chunked([b"x" * 1000] * 10_000)
    policy = replace(POLICY, max_connections=1)
    async with client_of(net, policy) as client:
        for _ in range(3):
            async with client.get("http://a.example/") as answer:
                async for chunk in answer.chunks():
                    assert chunk
                    break
    assert server.connections == 3


# --- failures and retries ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((404, NotFound), (410, NotFound), (401, Rejected), (403, Rejected), (400, Rejected)),
        *((451, Rejected), (300, Rejected), (302, Rejected), (408, Unavailable)),
        *((429, Unavailable), (500, Unavailable), (502, Unavailable), (599, Unavailable)),
    ],
)
async def test_statuses_are_typed(
    net: Net, server: Server, status: int, error: type[Exception]
) -> None:
    server.answers["/x?token=secret"] = head_of(status)
    with pytest.raises(error, match=r"http://a\.example/x") as raised:
        await body_of(net, "http://a.example/x?token=secret")
    assert "secret" not in str(raised.value)


async def test_what_has_not_changed_is_an_answer(net: Net, server: Server) -> None:
    server.answers["/"] = head_of(304, body=None)
    tag = {"If-None-Match": "x"}
    async with client_of(net) as client, client.get("http://a.example", headers=tag) as answer:
        assert answer.status == 304
    assert server.asked[0].headers["if-none-match"] == "x"


async def test_what_may_pass_is_tried_again(net: Net, server: Server) -> None:
    answers = iter([head_of(503, "Retry-After: 0"), head_of(429), head_of(200, body=b"now")])

    async def later(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(next(answers))

    server.answers["/"] = later
    assert await body_of(net, "http://a.example/", replace(POLICY, attempts=3)) == b"now"
    assert len(server.asked) == 3


async def test_a_server_that_wants_peace_gets_it(net: Net, server: Server) -> None:
    server.answers["/"] = head_of(429, "Retry-After: 3600")
    server.answers["/other"] = head_of(200)
    async with client_of(net, replace(POLICY, attempts=3)) as client:
        with pytest.raises(Unavailable) as raised:
            async with client.get("http://a.example/"):
                pass
        assert raised.value.retry_after == 3600
        with pytest.raises(Unavailable, match="left alone"):
            async with client.get("http://a.example/other"):
                pass
        async with client.get("http://b.example/other") as answer:
            assert answer.status == 200
    assert [asked.headers["host"] for asked in server.asked] == ["a.example", "b.example"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(("120", 120.0), (" 7 ", 7.0), ("0", 0.0), ("-5", None), ("soon", None), ("", None)),
        *(("9" * 30, 86400.0), ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0), ("1.5", None)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_read(value: str, expected: float | None) -> None:
    assert retry_after(value, 100.0) == expected


async def test_a_body_that_breaks_off_is_saved_at_the_second_try(net: Net, server: Server) -> None:
    answers = iter([chunked([b"half"], end=False), chunked([b"the ", b"whole"])])

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await next(answers)(asked, writer)

    server.answers["/"] = answer
    file = io.BytesIO()
    async with client_of(net, replace(POLICY, attempts=2)) as client:
        await client.save("http://a.example/", file)
    assert file.getvalue() == b"the whole"


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n"]
)
async def test_what_is_no_http_is_typed(net: Net, server: Server, answer: bytes) -> None:
    async def closes(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    server.answers["/"] = closes
    with pytest.raises(Unavailable, match=r"http://a\.example/"):
        await body_of(net, "http://a.example/")


async def test_a_header_that_cannot_be_sent_is_typed(net: Net, server: Server) -> None:
    server.answers["/"] = head_of(200)
    async with client_of(net) as client:
        with pytest.raises(Rejected, match="cannot be asked"):
            async with client.get("http://a.example/", headers={"X-A": "1\r\nX-B: 2"}):
                pass
    assert server.asked == []


# --- encryption ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of a.example that signs itself, with its key in the same file."""
    folder = tmp_path_factory.mktemp("certificate")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=a.example "
        "-addext subjectAltName=DNS:a.example -keyout key.pem -out cert.pem"
    )
    try:
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        pytest.skip(f"no certificate can be made: {exc}")
    (folder / "both.pem").write_bytes(
        (folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes()
    )
    return folder / "both.pem"


@asynccontextmanager
async def encrypted(net: Net, certificate: Path) -> AsyncIterator[tuple[Server, list[str | None]]]:
    """Let the public address speak TLS; collect the names that are asked for."""
    server, names = Server(), []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _, name, __: names.append(name)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        net.servers[PUBLIC] = server
        yield server, names


async def test_the_name_is_proved_although_the_address_is_connected_to(
    net: Net, certificate: Path
) -> None:
    async with encrypted(net, certificate) as (server, names):
        server.answers["/"] = head_of(200, body=b"secret")
        trusting = replace(POLICY, ca_file=certificate)
        assert await body_of(net, "https://A.example./", trusting) == b"secret"
        assert (names, server.asked[0].headers["host"]) == (["a.example"], "a.example")
        assert net.connected == [PUBLIC]
        for url, policy in (("https://b.example/", trusting), ("https://a.example/", POLICY)):
            with pytest.raises(Rejected, match="cannot prove who it is"):
                await body_of(net, url, policy)
        assert len(server.asked) == 1


async def test_no_redirect_leaves_encryption(net: Net, certificate: Path) -> None:
    async with encrypted(net, certificate) as (server, _):
        server.answers["/"] = head_of(302, "Location: http://other.example/")
        with pytest.raises(Rejected, match="not encrypted"):
            await body_of(net, "https://a.example/", replace(POLICY, ca_file=certificate))
    assert net.connected == [PUBLIC]


async def test_a_file_without_certificates_is_a_setting_to_mend(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(ConfigError, match="no certificates"):
            async with open_client(HttpPolicy(ca_file=tmp_path / name)):
                pass
