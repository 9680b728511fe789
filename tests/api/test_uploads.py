"""Uploads: streamed to disk within limits, and nothing of a broken one stays."""

from __future__ import annotations

import asyncio
import errno
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO

import httpx2
import pytest

from api import uploads
from api.naming import clean_name
from rag.errors import UserError
from tests.api.keeping import (
    DOCUMENTS,
    check_problem,
    document_of,
    done,
    found,
    keeping,
    spooled,
    until,
)
from tests.api.serving import Served

FORM = {"Content-Type": "multipart/form-data; boundary=X"}
MIB = 2**20


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Served, httpx2.AsyncClient]]:
    async with keeping(tmp_path, serving={"max_upload_mb": 1}) as both:
        yield both


@pytest.fixture
def client(served: tuple[Served, httpx2.AsyncClient]) -> httpx2.AsyncClient:
    return served[1]


@pytest.fixture
def server(served: tuple[Served, httpx2.AsyncClient]) -> Served:
    return served[0]


def part(content: bytes = b"text", *headers: bytes) -> bytes:
    given = headers or (b'Content-Disposition: form-data; name="files"; filename="a.txt"',)
    return b"--X\r\n" + b"\r\n".join(given) + b"\r\n\r\n" + content + b"\r\n"


async def send(client: httpx2.AsyncClient, *body: bytes) -> httpx2.Response:
    return await client.post(DOCUMENTS, headers=FORM, content=b"".join(body))


async def test_several_files_become_documents(client: httpx2.AsyncClient, server: Served) -> None:
    binary = bytes(range(256)) * 64
    files = [
        ("files", ("one.md", b"# One\n\nThe zebra.\n", "text/markdown")),
        ("files", ("sub/two.html", b"<p>The giraffe.</p>", "application/octet-stream")),
        ("anything", ("drei ä.txt", b"Das Nilpferd.", "text/plain")),
        ("files", ("bad.bin", binary, "application/octet-stream")),
    ]
    metadata = {"metadata": '{"set": "first"}'}
    run = done(await client.post(f"{DOCUMENTS}?wait=true", files=files, data=metadata))
    assert (run["kind"], run["counts"]["added"], run["counts"]["failed"]) == ("files", 3, 1)
    assert [document["name"] for document in run["documents"]] == [
        "one.md",
        "sub/two.html",
        "drei ä.txt",
        "bad.bin",
    ]
    assert [failure["uri"] for failure in run["failures"]] == ["upload:bad.bin"]
    first = {"eq": {"meta.set": "first"}}
    for word, name in (("zebra", "one.md"), ("giraffe", "sub/two.html")):
        assert await found(client, word, filter=first) == [f"upload:{name}"]
    for document, (_, (_, content, _)) in zip(run["documents"][:3], files, strict=False):
        original = await client.get(f"/v1/documents/{document['id']}/original")
        assert original.content == content
    assert spooled(server) == []


async def test_an_archive_is_unpacked_and_its_members_described(
    client: httpx2.AsyncClient,
) -> None:
    import io
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inside.md", "# Inside\n\nThe zebra.\n")
    for given in ("first", "second"):  # the second time, nothing else is new
        run = await client.post(
            f"{DOCUMENTS}?wait=true",
            files={"files": ("all.zip", packed.getvalue())},
            data={"metadata": f'{{"set": "{given}"}}'},
        )
        document_of(run)
        hits = await found(client, "zebra", filter={"eq": {"meta.set": given}})
        assert hits == ["upload:all.zip!/inside.md"]


async def test_a_large_file_is_never_in_memory(client: httpx2.AsyncClient) -> None:
    """The parts that are held are small, however the body is cut."""
    content = os.urandom(MIB)
    held = 0

    class Watched(uploads._Parsing):
        def _on_data(self, data: bytes, start: int, end: int) -> None:
            nonlocal held
            super()._on_data(data, start, end)
            held = max(held, self.pending)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uploads, "_Parsing", Watched)
        patch.setattr(uploads, "BATCH", 100_000)
        run = done(await client.post(f"{DOCUMENTS}?wait=true", files={"files": ("a", content)}))
    assert 100_000 <= held < 400_000
    assert run["counts"]["failed"] == 1  # noise is no document


async def test_any_cut_of_the_body_is_the_same_form(client: httpx2.AsyncClient) -> None:
    content = b"\r\n--X\r--\n--Y\r\n\r\n- " * 9
    body = part(b"1") + part(content, b"content-disposition: form-data; name=x; filename=b.txt")
    whole = body + b"--X--\r\n"
    for size in (1, 2, 7, 64):

        async def cut(size: int = size) -> AsyncIterator[bytes]:
            for start in range(0, len(whole), size):
                yield whole[start : start + size]

        reply = await client.post(f"{DOCUMENTS}?wait=true", headers=FORM, content=cut())
        run = done(reply)
        assert run["counts"]["failed"] == 0
        original = await client.get(f"/v1/documents/{run['documents'][1]['id']}/original")
        assert original.content == content


async def test_what_is_no_form_is_refused_and_leaves_nothing(
    client: httpx2.AsyncClient, server: Served
) -> None:
    file = b'Content-Disposition: form-data; name="files"; filename="%s"'
    field = b'Content-Disposition: form-data; name="%s"'
    end = b"--X--\r\n"
    cases: list[tuple[list[bytes], str]] = [
        ([b""], "ends before its last boundary"),
        ([b"something else"], "cannot be read"),
        ([part()], "ends before its last boundary"),
        ([part(), b"--X\r\n"], "ends before its last boundary"),
        ([end], "no file"),
        ([part(b"1", b"Content-Type: text/plain"), end], "no name"),
        ([part(b"1", b"Content-Disposition: attachment; name=a; filename=b"), end], "no name"),
        ([part(b"1", field % b"other"), part(), end], "field 'other'"),
        ([part(b"1", file % b"a"), part(b"2", file % b"./a"), end], "two files"),
        ([part(b"1", file % b"a"), part(b"{", field % b"metadata"), end], "not JSON"),
        ([part(b"1", file % b"a"), part(b"[]", field % b"metadata"), end], "JSON object"),
        ([part(b"1", file % b"a"), part(b'{"a b":1}', field % b"metadata"), end], "'a b'"),
        ([part(b"1", file % b"a"), *[part(b"{}", field % b"metadata")] * 2, end], "twice"),
        ([part(b"1", file % b".."), end], "no name"),
        ([part(b"1", file % b"\xff"), end], "UTF-8"),
        ([part(b"1", b"a" * 10_000 + b": b"), end], "cannot be read"),
    ]
    for body, detail in cases:
        check_problem(await send(client, *body), 422, detail)
    for kind in ("text/plain", "multipart/form-data", "multipart/mixed; boundary=X"):
        reply = await client.post(DOCUMENTS, headers={"Content-Type": kind}, content=b"a")
        check_problem(reply, 422 if kind != "text/plain" else reply.status_code)
        assert reply.status_code in (415, 422)
    assert spooled(server) == []
    assert (await client.get("/v1/runs")).json()["data"] == []


async def test_what_is_too_large_is_refused_and_leaves_nothing(
    client: httpx2.AsyncClient, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = done(await client.post(f"{DOCUMENTS}?wait=true", files={"files": ("a.txt", b"a" * MIB)}))
    assert fits["counts"]["failed"] == 0
    over = await client.post(DOCUMENTS, files={"files": ("a.txt", b"a" * (MIB + 1))})
    check_problem(over, 413, "'a.txt' is larger")
    field = {"metadata": " " * (uploads.MAX_FIELD + 1)}
    check_problem(await client.post(DOCUMENTS, files={"files": b"a"}, data=field), 413, "metadata")
    monkeypatch.setattr(uploads, "MAX_FILES", 3)
    many = [("files", (f"{n}.txt", b"a")) for n in range(4)]
    check_problem(await client.post(DOCUMENTS, files=many), 413, "more than 3 files")
    assert spooled(server) == []


async def test_a_full_disk_is_said_and_leaves_nothing(
    client: httpx2.AsyncClient, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        """A file of a full disk: it takes nothing."""

        def __init__(self, file: BinaryIO) -> None:
            self._file = file

        def write(self, content: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            self._file.close()

    open_ = Path.open

    def opened(path: Path, mode: str = "r", *more: Any) -> Any:
        file = open_(path, mode, *more)
        return Full(file) if mode == "xb" else file

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", opened)
        reply = await client.post(DOCUMENTS, files={"files": ("a.txt", b"a" * 1000)})
    check_problem(reply, 507, "no room")
    with monkeypatch.context() as patched:
        usage = type("Usage", (), {"free": 100})
        patched.setattr(uploads.shutil, "disk_usage", lambda _: usage)
        reply = await client.post(DOCUMENTS, files={"files": ("a.txt", b"a" * 1000)})
    check_problem(reply, 507, "no room")
    assert spooled(server) == []
    document_of(await client.post(f"{DOCUMENTS}?wait=true", files={"files": ("a.txt", b"a")}))


async def test_an_upload_that_breaks_off_leaves_nothing(
    client: httpx2.AsyncClient, server: Served
) -> None:
    host, port = re.fullmatch(r"http://(.*):(\d+)", server.url).groups()  # type: ignore[union-attr]
    reader, writer = await asyncio.open_connection(host, int(port))
    body = part(b"a" * 300_000)
    head = (
        f"POST {DOCUMENTS} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {FORM['Content-Type']}\r\n"
        f"Content-Length: {len(body) * 2}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    await until(lambda: len(spooled(server)) == 1)
    writer.transport.abort()
    await until(lambda: spooled(server) == [])
    del reader
    assert (await client.get("/v1/runs")).json()["data"] == []


async def test_inside_addresses_are_not_fetched(client: httpx2.AsyncClient) -> None:
    own = str(client.base_url)
    for url in (own, "http://169.254.169.254/latest", "http://[::1]/", "http://0x7f000001/"):
        reply = await client.post(f"{DOCUMENTS}/url?wait=true", json={"url": url})
        if reply.status_code == 422:
            continue
        assert reply.status_code == 200
        run = reply.json()
        assert run["state"] == "failed", run
        assert run["error"], run
    for url in ("file:///etc/passwd", "ftp://a.example/", "https://u:p@a.example/", "x", ""):
        reply = await client.post(f"{DOCUMENTS}/url", json={"url": url})
        check_problem(reply, 422, "url")
    assert (await client.get(DOCUMENTS)).json()["data"] == []


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("a.md", "a.md"),
        ("sub dir/ä.md", "sub dir/ä.md"),
        ("/etc/passwd", "etc/passwd"),
        ("../../a/./b", "a/b"),
        ("..\\..\\a", "a"),
        ("C:\\x\\a.md", "x/a.md"),
        ("a\r\nb\0.md", "ab.md"),
        ("all.zip!/x.md", "all.zip/x.md"),
        ("!!/x", "_/x"),
        ("wow!", "wow!"),
        ("a\u0308.md", "ä.md"),
        (" a / b ", "a/b"),
    ],
)
def test_names_are_cleaned(name: str, clean: str) -> None:
    assert clean_name(name) == clean
    assert clean_name(clean) == clean


@pytest.mark.parametrize("name", ["", "/", "..", " ", "\0", "C:", "a" * 1001])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UserError):
        clean_name(name)
