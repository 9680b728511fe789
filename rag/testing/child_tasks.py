"""Tasks for child processes that behave well and badly, each in its own way.

They run in a child of `rag.children` as "rag.testing.child_tasks:serve"; what a request asks for
is the name of a function here, in `do`.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from rag.errors import UnreadableDocument

Answer = Iterator[tuple[dict[str, Any], bytes]]
MIB = 1 << 20


def serve(request: dict[str, Any], descriptor: int | None) -> Answer:
    """Answer a request: `{"do": name, …}`."""
    yield from TASKS[request["do"]](request, descriptor)


def echo(request: Mapping[str, Any], descriptor: int | None) -> Answer:
    """Give back the request, the process's number and the file's bytes."""
    body = b"" if descriptor is None else os.pread(descriptor, MIB, 0)
    yield {"request": dict(request), "pid": os.getpid()}, body


def stream(request: Mapping[str, Any], _: int | None) -> Answer:
    """Yield `count` bodies of `size` bytes, each with the time at which it was made."""
    body = bytes(request.get("size", 0))
    for number in range(request["count"]):
        yield {"number": number, "time": time.monotonic()}, body


def surroundings(_: Mapping[str, Any], __: int | None) -> Answer:
    """Tell the environment, the working folder, the descriptors and the loaded modules."""
    descriptors = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208  as it says
    yield (
        {
            "environment": dict(os.environ),
            "folder": str(Path.cwd()),
            "descriptors": {d: _target(d) for d in descriptors},
            "modules": sorted(sys.modules),
        },
        b"",
    )


def _target(descriptor: int) -> str:
    try:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except OSError:
        return "closed"


def fail(request: Mapping[str, Any], _: int | None) -> Answer:
    """Raise the error that is named, after one reply."""
    yield {"is_before": True}, b""
    message = request.get("message", "told to")
    match request["error"]:
        case "UnreadableDocument":
            raise UnreadableDocument(message, code=request["code"], hint=request.get("hint"))
        case "SystemExit":
            raise SystemExit(message)
        case _:
            raise ValueError(message)


def recurse(_: Mapping[str, Any], __: int | None) -> Answer:
    """Call itself without end."""

    def deeper(level: int) -> int:
        return deeper(level + 1) + 1

    yield {"depth": deeper(0)}, b""


def reply_with_no_json(_: Mapping[str, Any], __: int | None) -> Answer:
    """Yield a head that JSON cannot hold."""
    yield {"head": object()}, b""


def halves(_: Mapping[str, Any], __: int | None) -> Answer:
    """Yield half of a surrogate pair, as damaged files have them."""
    yield {"text": "a\ud83db"}, b""


def reply_with_large_head(request: Mapping[str, Any], _: int | None) -> Answer:
    """Yield a head of so many bytes."""
    yield {"head": "x" * request["size"]}, b""


def crash(request: Mapping[str, Any], _: int | None) -> Answer:
    """End in one of the ways in which libraries end."""
    yield {"is_before": True}, b""
    match request["way"]:
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            os._exit(request.get("status", 3))
        case "abort":
            os.write(2, request.get("words", "").encode() + b"\n")
            os.abort()
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
    yield {"is_after": True}, b""


def compute(request: Mapping[str, Any], _: int | None) -> Answer:
    """Use the processor for so many seconds."""
    end = time.process_time() + request.get("seconds", 3600)
    while time.process_time() < end:
        pass
    yield {}, b""


def rest(request: Mapping[str, Any], _: int | None) -> Answer:
    """Say who it is, then sleep for so many seconds."""
    yield {"pid": os.getpid()}, b""
    time.sleep(request.get("seconds", 3600))
    yield {"is_after": True}, b""


def trickle(_: Mapping[str, Any], __: int | None) -> Answer:
    """Say a little from time to time, for ever."""
    while True:
        time.sleep(0.02)
        yield {}, b""


def allocate(request: Mapping[str, Any], _: int | None) -> Answer:
    """Take so many bytes of memory in one of three ways, and give them back."""
    size = request["size"]
    match request["way"]:
        case "bytes":
            held: object = bytearray(size)
        case "many":
            held = [bytearray(MIB) for _ in range(size // MIB)]
        case _:
            held = mmap.mmap(-1, size)
    yield {"is_after": True}, b""
    del held


def hoard(request: Mapping[str, Any], _: int | None) -> Answer:
    """Take memory and keep it after the call."""
    _HOARD.append(bytearray(os.urandom(1)) * request["size"])
    yield {"pid": os.getpid()}, b""


_HOARD: list[bytearray] = []


def flood(_: Mapping[str, Any], __: int | None) -> Answer:
    """Yield output without end."""
    body = bytes(MIB)
    while True:
        yield {}, body


def chatter(request: Mapping[str, Any], _: int | None) -> Answer:
    """Write much to both output streams, as Python and as C do."""
    noise = "noise " * 20 + "\n"
    for _turn in range(request["lines"]):
        print(noise)
        print(noise, file=sys.stderr)
        for descriptor in (1, 2):
            try:
                os.write(descriptor, noise.encode())
            except BlockingIOError:
                continue
    yield {"pid": os.getpid()}, b""


def inject(request: Mapping[str, Any], _: int | None) -> Answer:
    """Write bytes (hex) to the socket beside the frames, as code that took over would."""
    os.write(_own_socket(), bytes.fromhex(request["bytes"]))
    yield {"is_after": True}, b""


def inject_later(request: Mapping[str, Any], _: int | None) -> Answer:
    """Write a well-formed reply to the socket when the call is over."""

    def write() -> None:
        time.sleep(request["seconds"])
        head = b'{"reply":{"is_forged":true}}'
        os.write(_own_socket(), struct.pack(">II", len(head), 0) + head)

    threading.Thread(target=write, daemon=True).start()
    yield {"pid": os.getpid()}, b""


def hang_up(_: Mapping[str, Any], __: int | None) -> Answer:
    """Close the socket and live on."""
    os.close(_own_socket())
    time.sleep(3600)
    yield {}, b""


def _own_socket() -> int:
    for descriptor in range(3, 256):
        try:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                return descriptor
        except OSError:
            continue
    raise LookupError("no socket")


def leave_program(request: Mapping[str, Any], _: int | None) -> Answer:
    """Start a program that outlives the call, by way of a shell that ends at once.

    `rest` to sleep then, `crash` to die.
    """
    shell = ["sh", "-c", "sleep 3600 >&2 & echo $!"]
    started = subprocess.run(shell, stdout=subprocess.PIPE, check=True)
    yield {"pid": os.getpid(), "program": int(started.stdout)}, b""
    if request.get("crash"):
        os.abort()
    if request.get("rest"):
        time.sleep(3600)


def leave_files(request: Mapping[str, Any], _: int | None) -> Answer:
    """Leave files in the scratch folder, and folders inside each other to some depth."""
    folder = Path(tempfile.gettempdir())
    (folder / "file").write_bytes(b"x")
    (folder / "link").symlink_to("/")
    os.chdir(folder)
    for _level in range(request["depth"]):
        os.mkdir("d", 0o700)  # noqa: PTH102  the path would become too long
        os.chdir("d")
    os.chdir(folder)
    yield {"pid": os.getpid(), "folder": str(folder)}, b""


def write_file(request: Mapping[str, Any], _: int | None) -> Answer:
    """Write so many bytes to a file in the scratch folder."""
    with tempfile.TemporaryFile() as file:
        for _turn in range(max(1, request["size"] // MIB)):
            file.write(bytes(min(MIB, request["size"])))
            file.flush()
    yield {"is_after": True}, b""


def attempt(request: Mapping[str, Any], descriptor: int | None) -> Answer:
    """Try each of the expressions of Python; tell what it gave, or the error's name."""
    for expression in request["expressions"]:
        names = {"os": os, "socket": socket, "subprocess": subprocess, "Path": Path, "sys": sys}
        try:
            given = eval(expression, {**names, "ctypes": ctypes, "descriptor": descriptor})  # noqa: S307  of a test
            yield {"gave": repr(given)}, b""
        except OSError as exc:
            yield {"error": type(exc).__name__}, b""


def _refuse_to_load() -> NoReturn:
    raise RuntimeError("this name cannot be loaded")


def __getattr__(name: str) -> object:
    """Stand for a module that fails when a certain name is asked for."""
    if name == "cannot_load":
        _refuse_to_load()
    raise AttributeError(name)


TASKS: Mapping[str, Callable[[Mapping[str, Any], int | None], Answer]] = {
    task.__name__: task
    for task in (
        *(
            echo,
            stream,
            surroundings,
            fail,
            recurse,
            halves,
            reply_with_no_json,
            reply_with_large_head,
        ),
        *(crash, compute, rest, trickle, allocate, hoard, flood, chatter, inject, inject_later),
        *(hang_up, leave_program, leave_files, write_file, attempt),
    )
}
