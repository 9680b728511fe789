"""The loop of a child process: a request in, replies out, nothing kept between them.

Runs in the child; imports little, since every process pays for it.
"""

from __future__ import annotations

import math
import os
import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, NoReturn

from rag.children.frames import pack
from rag.children.pipe import Pipe
from rag.children.reporting import describe, is_for_memory
from rag.children.sandbox import confine
from rag.children.sandbox.group import has_programs_left, hold_lifeline

Serve = Callable[[dict[str, Any], int | None], Iterator[tuple[dict[str, Any], bytes]]]


def work(*, lifeline: int, folders: dict[str, str]) -> NoReturn:
    """Take the first frame, lock the doors, and serve requests until the parent hangs up.

    `folders` is where packages are found; those of the first frame are added.
    """
    hold_lifeline(lifeline)
    pipe = Pipe()
    start = pipe.receive()[0]["start"]
    sys.path += [entry for entry in start["path"] if entry not in sys.path]
    folders.update(start["packages"])
    os.chdir(start["scratch"] or "/")
    sys.stderr = sys.stdout  # which leads nowhere; libraries in C still reach the error stream
    protections = confine(start)
    try:
        serve = _load(start["task"])
    except BaseException as exc:  # noqa: BLE001  whatever it is, the parent should hear of it
        pipe.send({"error": describe(exc)})
        os._exit(1)
    pipe.send({"hello": protections._asdict()})
    while True:
        asked, descriptor = pipe.receive()
        pipe.send(_answer(pipe, serve, asked, descriptor))


def _load(task: str) -> Serve:
    module, _, name = task.partition(":")
    serve: Serve = getattr(import_module(module), name)
    return serve


def _answer(
    pipe: Pipe, serve: Serve, asked: Mapping[str, Any], descriptor: int | None
) -> dict[str, Any]:
    """Send the replies to a request; return the head of the frame that ends them."""
    # Made before it is needed: then there may be no room to make it.
    spent = pack({"error": {"code": "out_of_memory"}, "end": False})
    _allow_cpu(asked["cpu_s"])
    head: dict[str, Any] = {}
    try:
        for reply, body in serve(asked["request"], descriptor):
            pipe.send({"reply": reply}, body)
            _allow_cpu(asked["cpu_s"])
    except BaseException as exc:  # noqa: BLE001  a task may fail in any way, this loop goes on
        if is_for_memory(exc):
            pipe.send_raw(spent)
            os._exit(1)
        head = {"error": describe(exc)}
    finally:
        if descriptor is not None:
            os.close(descriptor)
    return {**head, "end": not has_programs_left()}


def _allow_cpu(seconds: float) -> None:
    """Let the process use so much more processor time; then the system ends it by SIGXCPU."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime + seconds)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
