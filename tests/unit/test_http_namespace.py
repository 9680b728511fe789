"""The real thing: the system's own resolver and sockets, in a network of the test's own.

In that network, private addresses and a metadata service really answer, and so does a public server
that redirects to them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

PROGRAM = r"""
import asyncio, fcntl, json, socket, struct

from rag.errors import Rejected, Unavailable
from rag.http.client import open_client
from rag.http.policy import HttpPolicy

PUBLIC = "93.184.216.34"
PRIVATE = ["127.0.0.1", "169.254.169.254", "10.0.0.1", "192.168.3.4", "100.64.0.1", "168.63.129.16"]
hits = {}


def set_up():
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up
    for number, address in enumerate((PUBLIC, *PRIVATE[1:])):
        alias = f"lo:{number}".encode()
        packed = socket.inet_aton(address)
        request = struct.pack("16sH2x4s8x", alias, socket.AF_INET, packed)
        fcntl.ioctl(control, 0x8916, request)  # SIOCSIFADDR


def server(name, location=b""):
    async def serve(reader, writer):
        hits[name] = hits.get(name, 0) + 1
        head = await reader.readuntil(b"\r\n\r\n")
        to = head.split(b" ")[1].partition(b"?")[2]
        answer = b"302 Found\r\nLocation: " + to if to else b"200 OK"
        writer.write(b"HTTP/1.1 " + answer + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
    return serve


def forms(address):
    whole = struct.unpack("!I", socket.inet_aton(address))[0]
    yield from (address, f"{address}.", str(whole), hex(whole), f"0{whole:o}", f"0x{whole:x}.")
    yield f"[::ffff:{address}]"
    a, b, c, d = address.split(".")
    yield from (f"{a}.{int(b) << 16 | int(c) << 8 | int(d)}", f"{int(a):#x}.{b}.{c}.{d}")


async def ended(client, url):
    try:
        async with client.get(url) as answer:
            return answer.status
    except (Rejected, Unavailable) as exc:
        return type(exc).__name__


async def main():
    set_up()
    for address in (PUBLIC, *PRIVATE, "::1"):
        await asyncio.start_server(server(address), address, 80)
    found = {"tried": 0, "not rejected": []}
    async with open_client(HttpPolicy(attempts=1, connect_s=2)) as client:
        found["public"] = await ended(client, f"http://{PUBLIC}/")
        hosts = [form for address in PRIVATE for form in forms(address)]
        for host in (*hosts, "[::1]", "localhost", "[::]", "0.0.0.0", "0"):
            for url in (f"http://{host}/", f"http://{PUBLIC}/?http://{host}/"):
                found["tried"] += 1
                if await ended(client, url) != "Rejected":
                    found["not rejected"].append(url)
    found["hits before"] = {name: hits.get(name, 0) for name in (*PRIVATE, "::1")}
    for allow in (("169.254.169.254",), ("localhost", "::1"), ("10.0.0.0/8",)):
        async with open_client(HttpPolicy(allow=allow, attempts=1)) as client:
            for url in ("169.254.169.254", "localhost", "10.0.0.1"):
                await ended(client, f"http://{url}/")
    found["hits after"] = {name: hits.get(name, 0) for name in (*PRIVATE, "::1")}
    print(json.dumps(found))


asyncio.run(main())
"""


def test_canaries_in_a_network_of_its_own_are_never_reached() -> None:
    """No private server is reached unless it is allowed; then it is, so the canaries are alive."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare(1) here")
    probe = subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip(f"no network of its own can be made: {probe.stderr.decode().strip()}")
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["public"] == 200
    assert found["not rejected"] == []
    assert found["tried"] >= 100
    assert set(found["hits before"].values()) == {0}
    after = found["hits after"]
    assert after["169.254.169.254"] == after["10.0.0.1"] == 1
    assert after["127.0.0.1"] + after["::1"] == 1
    assert after["192.168.3.4"] == 0
