"""The program Tesseract: whether it is here, which languages it has, and one call of it.

Knows its command line and its limits; nothing of pages. The picture goes in and the answer comes
out through pipes, so that no file is written. https://tesseract-ocr.github.io/tessdoc/
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import time
from functools import cache

from PIL import Image

from rag.errors import UnreadableDocument

TIMEOUT_S = 120.0
"""Of one call; a dense page takes about two seconds."""
MAX_OUTPUT = 32 << 20
"""Bytes of an answer; a dense page gives about 100,000."""
INSTALL = "install tesseract-ocr (apt install tesseract-ocr tesseract-ocr-chi-sim …)"

_CHUNK = 1 << 16
_LISTING_S = 10.0


def installed_languages() -> frozenset[str]:
    """Return the names of the installed languages; empty where the program is not installed."""
    program = shutil.which("tesseract")
    return _languages(program, os.environ.get("TESSDATA_PREFIX", "")) if program else frozenset()


def tesseract(image: Image.Image, dpi: int, *arguments: str) -> str:
    """Return what the program writes about a grey picture.

    Raise `UnreadableDocument`: it is not installed, takes too long or fails.
    """
    program = shutil.which("tesseract")
    if program is None:
        raise not_installed()
    pixels = image.convert("L")
    header = f"P5 {pixels.width} {pixels.height} 255\n".encode()
    command = [program, "stdin", "stdout", "--dpi", str(dpi), *arguments]
    code, answer, complaint = _talk(command, header + pixels.tobytes(), TIMEOUT_S)
    if code:
        raise _failed(code, complaint.decode(errors="replace").strip())
    return answer.decode(errors="replace")


def _failed(code: int, complaint: str) -> UnreadableDocument:
    """Say what the program ended with; below 0 it was a signal."""
    if code == -signal.SIGXCPU:
        return UnreadableDocument("reading a picture took too long", code="timeout")
    if "bad_alloc" in complaint:
        return UnreadableDocument("reading a picture took too much memory", code="out_of_memory")
    last = complaint.rpartition("\n")[2][:200]
    return UnreadableDocument(f"tesseract ended with status {code}: {last}", code="crashed")


def not_installed() -> UnreadableDocument:
    """Say that pictures cannot be read here, and what to install."""
    return UnreadableDocument(
        "pictures cannot be read: tesseract is not installed or has no languages",
        code="unsupported",
        hint=INSTALL,
    )


@cache
def _languages(program: str, folder: str) -> frozenset[str]:
    """List the languages in a folder; the key names it, the program finds it in the environment."""
    try:
        code, answer, _ = _talk([program, "--list-langs"], b"", _LISTING_S)
    except UnreadableDocument:
        return frozenset()
    names = answer.decode(errors="replace").splitlines()[1:] if code == 0 else []
    return frozenset(name.strip() for name in names) - {"", "osd", "equ"}


def _talk(command: list[str], given: bytes, timeout_s: float) -> tuple[int, bytes, bytes]:
    """Run a program on bytes; return its status, its answer and its complaints."""
    kept = ("PATH", "TESSDATA_PREFIX", "LD_LIBRARY_PATH")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    deadline = time.monotonic() + timeout_s
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environment, "LC_ALL": "C", "OMP_THREAD_LIMIT": "1"},
        )
    except OSError as exc:
        raise UnreadableDocument(f"tesseract cannot be started: {exc}", code="crashed") from exc
    with process:
        try:
            answer, complaint = _exchange(process, given, deadline)
            return process.wait(max(1.0, deadline - time.monotonic())), answer, complaint
        except subprocess.TimeoutExpired as exc:
            raise UnreadableDocument("reading a picture took too long", code="timeout") from exc
        finally:
            process.kill()


def _exchange(
    process: subprocess.Popen[bytes], given: bytes, deadline: float
) -> tuple[bytes, bytes]:
    """Write and read at the same time until the program closes its ends."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    left = memoryview(given)
    read = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    os.set_blocking(process.stdin.fileno(), False)
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdin, selectors.EVENT_WRITE)
        ready.register(process.stdout, selectors.EVENT_READ)
        ready.register(process.stderr, selectors.EVENT_READ)
        while ready.get_map():
            events = ready.select(max(0.0, deadline - time.monotonic()))
            if not events or time.monotonic() > deadline:
                raise UnreadableDocument("reading a picture took too long", code="timeout")
            for key, _ in events:
                if key.fileobj is process.stdin:
                    left = left[_written(key.fd, left) :]
                    if not left:
                        ready.unregister(process.stdin)
                        process.stdin.close()
                elif chunk := os.read(key.fd, _CHUNK):
                    read[key.fd] += chunk
                    if len(read[key.fd]) > MAX_OUTPUT:
                        raise UnreadableDocument("a picture gives too much text", code="too_large")
                else:
                    ready.unregister(key.fileobj)
    answer, complaint = read.values()
    return bytes(answer), bytes(complaint)


def _written(descriptor: int, data: memoryview) -> int:
    """Write what fits; all of it counts as written when the program no longer listens."""
    try:
        return os.write(descriptor, data[:_CHUNK]) if data else 0
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        return len(data)
