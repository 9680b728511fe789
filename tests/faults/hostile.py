"""Files that mean harm, made anew: bombs, entities, endless nesting, and parsers that go wrong."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from rag.testing.poison import PARSERS

CANARY = "canary-that-no-index-may-hold"
MEGABYTE = 2**20


def hostile_files(secret: Path, outside: Path, port: int) -> Mapping[str, tuple[bytes, set[str]]]:
    """Return contents by name, and the codes that each may end with; no code: it may be read.

    `secret` holds the canary, nothing may appear at `outside`, nobody may call the `port`.
    """
    entity = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{secret.as_uri()}">]>'
    remote = f'<!DOCTYPE x [<!ENTITY e SYSTEM "http://127.0.0.1:{port}/x">]>'
    laughs = "".join(
        f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' if n else '<!ENTITY l0 "ha">' for n in range(10)
    )
    files: dict[str, tuple[bytes, set[str]]] = {
        "bomb.zip": (bomb(), {""}),  # its one member is refused
        "bomb.docx": (bomb("word/document.xml"), {"too_large", "malformed"}),
        "bomb.txt.gz": (gzip.compress(bytes(300 * MEGABYTE), 6), {"too_large"}),
        "bomb.pdf": (pdf_bomb(), {"too_large", "timeout", "out_of_memory", "malformed", ""}),
        "traversal.zip": (traversal(outside), {""}),
        "xxe.xml": (f"{entity}<x>&e;</x>".encode(), {"malformed", ""}),
        "remote.xml": (f"{remote}<x>&e;</x>".encode(), {"malformed", ""}),
        "xxe.svg": (f"{entity}<svg><text>&e;</text></svg>".encode(), {"malformed", ""}),
        "xxe.docx": (docx(f"{entity}<x>&e;</x>"), {"malformed", ""}),
        "laughs.xml": (f"<!DOCTYPE x [{laughs}]><x>&l9;</x>".encode(), {"malformed"}),
        "deep.json": (b"[" * 100_000 + b"]" * 100_000, {"too_deep", "malformed"}),
        "deep.xml": (b"<x>" * 100_000 + b"</x>" * 100_000, {"too_deep", "malformed"}),
        "deep.html": (b"<div>" * 100_000, {""}),
        "deep.md": (b">" * 100_000 + b" x", {""}),
        "deep.rtf": (b"{\\rtf1 " + b"{" * 100_000, {"too_deep", "malformed", ""}),
        "deep.zip": (nested(40), {""}),
        "pixels.png": (png(60_000), {"too_large", "unsupported"}),
        "include.rst": (f".. include:: {secret}\n".encode(), {""}),
        "raw.rst": (f".. raw:: html\n   :file: {secret}\n".encode(), {""}),
        "include.org": (f'#+INCLUDE: "{secret}"\n'.encode(), {""}),
        f"{port}-call.chatty": (b"x", {"crashed"}),
        "write.writes": (str(outside).encode(), {"crashed"}),
    }
    codes = {"endless": "timeout", "greedy": "out_of_memory"}
    for ending in PARSERS:
        kind = ending.removeprefix(".")
        if kind not in ("chatty", "writes"):
            files[f"x{ending}"] = b"x", {codes.get(kind, "crashed")}
    return files


def bomb(name: str = "zeros.txt") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("[Content_Types].xml", "<Types/>")
        opened.writestr(name, bytes(400 * MEGABYTE))
    return stream.getvalue()


def pdf_bomb() -> bytes:
    stream = zlib.compress(zlib.compress(bytes(200 * MEGABYTE)))
    body = (
        b"%%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>endobj\n"
        b"4 0 obj<</Length %d/Filter[/FlateDecode/FlateDecode]>>stream\n" % len(stream)
    )
    return body + stream + b"\nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF"


def traversal(outside: Path) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        for name in (str(outside), f"../../../../../../../../{outside}", "a/../../b"):
            opened.writestr(name, "words of the traversal")
    return stream.getvalue()


def docx(document: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        opened.writestr("[Content_Types].xml", "<Types/>")
        opened.writestr("word/document.xml", document)
    return stream.getvalue()


def nested(depth: int) -> bytes:
    content, name = b"the innermost words", "end.txt"
    for n in range(depth):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
            opened.writestr(name, content)
        content, name = stream.getvalue(), f"{n}.zip"
    return content


def png(side: int) -> bytes:
    """Return a picture of so many pixels squared that says so and holds nothing."""

    def block(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    size = side.to_bytes(4, "big")
    head = block(b"IHDR", size + size + bytes([8, 2, 0, 0, 0]))
    return (
        b"\x89PNG\r\n\x1a\n" + head + block(b"IDAT", zlib.compress(bytes(99))) + block(b"IEND", b"")
    )
