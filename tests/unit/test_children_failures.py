"""Calls of child processes that fail: each with its reason, and the pool goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rag.children.failures import ChildFailed, TaskFailed
from rag.children.limits import MIB, Limits
from rag.children.pool import ChildPool, Reply
from rag.children.verdict import kills_for_memory, verdict
from rag.errors import UNREADABLE, RagError, UnreadableDocument

TASK = "rag.testing.child_tasks:serve"
LIMITS = Limits(memory_bytes=256 * MIB, cpu_s=1, wall_s=20, output_bytes=8 * MIB)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")


@pytest.fixture
async def pool() -> AsyncIterator[ChildPool]:
    async with ChildPool(TASK, size=1, limits=LIMITS) as opened:
        yield opened


async def pid(pool: ChildPool) -> int:
    """Return the number of the process that answers."""
    (reply,) = [reply async for reply in pool.call({"do": "echo"})]
    return int(reply.head["pid"])


async def failure(pool: ChildPool, do: str, **more: Any) -> tuple[RagError, list[Reply]]:
    """Return the error of a call, and the replies before it."""
    replies = []
    try:
        async for reply in pool.call({"do": do, **more}):
            replies.append(reply)  # noqa: PERF401  those before the error count
    except RagError as exc:
        return exc, replies
    pytest.fail(f"no error after {len(replies)} replies")


async def died(pool: ChildPool, do: str, **more: Any) -> tuple[str, str]:
    """Return code and message of a call that costs its process; the next call gets a new one."""
    before = await pid(pool)
    error, _ = await failure(pool, do, **more)
    assert type(error) is ChildFailed
    assert error.code in UNREADABLE
    assert await pid(pool) != before
    return error.code, str(error)


async def survived(pool: ChildPool, do: str, **more: Any) -> RagError:
    """Return the error of a call that leaves its process sound."""
    before = await pid(pool)
    error, _ = await failure(pool, do, **more)
    assert await pid(pool) == before
    return error


@pytest.mark.parametrize(
    ("way", "wanted"),
    [
        ({"way": "segfault"}, "the process died by SIGSEGV"),
        ({"way": "exit"}, "the process ended with status 3"),
        ({"way": "exit", "status": 0}, "the process ended with status 0"),
        ({"way": "kill"}, "the process died by SIGKILL"),
        ({"way": "abort", "words": "a\x1b[31m\x07 b"}, "the process died by SIGABRT (a [31m b)"),
        ({"way": "abort", "words": "x" * 9999}, f"the process died by SIGABRT ({'x' * 199}…)"),
    ],
)
async def test_a_crash_is_named(pool: ChildPool, way: dict[str, Any], wanted: str) -> None:
    assert await died(pool, "crash", **way) == ("crashed", wanted)


@pytest.mark.parametrize("words", ["terminate called after 'std::bad_alloc'", "Out of memory"])
async def test_last_words_tell_of_memory(pool: ChildPool, words: str) -> None:
    wanted = ("out_of_memory", "it needed more than 256 MiB of memory")
    assert await died(pool, "crash", way="abort", words=words) == wanted


async def test_last_words_are_of_the_same_call(pool: ChildPool) -> None:
    await pid(pool)
    [_ async for _ in pool.call({"do": "chatter", "lines": 1})]
    wanted = ("crashed", "the process died by SIGSEGV")
    assert await died(pool, "crash", way="segfault") == wanted


async def test_processor_time_is_limited(pool: ChildPool) -> None:
    wanted = ("timeout", "it used more than 1 s of processor time")
    assert await died(pool, "compute") == wanted


async def test_processor_time_is_counted_for_each_call() -> None:
    async with ChildPool(TASK, size=1, limits=Limits(cpu_s=1)) as pool:
        numbers = {await pid(pool)}
        for _ in range(3):
            [_ async for _ in pool.call({"do": "compute", "seconds": 0.5})]
            numbers.add(await pid(pool))
    assert len(numbers) == 1


@pytest.mark.parametrize(
    ("do", "limits"),
    [("rest", Limits(wall_s=0.3)), ("trickle", Limits(wall_s=0.2, total_s=0.3))],
)
async def test_waiting_is_limited(do: str, limits: Limits) -> None:
    """For one reply, and for all that come."""
    async with ChildPool(TASK, size=1, limits=limits) as pool:
        code, message = await died(pool, do)
        assert (code, message[:19]) == ("timeout", "it took longer than")


@pytest.mark.parametrize("way", ["bytes", "many", "map"])
async def test_memory_is_limited(pool: ChildPool, way: str) -> None:
    wanted = ("out_of_memory", "it needed more than 256 MiB of memory")
    assert await died(pool, "allocate", size=10 << 30, way=way) == wanted
    replies = [r async for r in pool.call({"do": "allocate", "size": 100 * MIB, "way": way})]
    assert len(replies) == 1


async def test_output_is_limited(pool: ChildPool) -> None:
    error, replies = await failure(pool, "flood")
    assert str(error) == "its output passed 8 MiB"
    assert len(replies) == 7
    assert (await died(pool, "flood"))[0] == "too_large"


async def test_the_size_of_files_is_limited() -> None:
    async with ChildPool(TASK, size=1, limits=Limits(file_bytes=2 * MIB)) as pool:
        assert [r async for r in pool.call({"do": "write_file", "size": 2 * MIB})]
        error = await survived(pool, "write_file", size=3 * MIB)
    assert type(error) is ChildFailed
    assert (error.code, str(error)) == ("too_large", "it wrote more to a file than is allowed")


async def test_an_error_of_the_task_leaves_its_process(pool: ChildPool) -> None:
    error, replies = await failure(pool, "fail", error="ValueError", message="a\nb\x1b[1m")
    assert len(replies) == 1
    assert isinstance(error, TaskFailed)
    assert str(error) == "internal error: ValueError: a b [1m"
    assert error.code == "crashed"
    error = await survived(pool, "fail", error="SystemExit")
    assert str(error) == "internal error: SystemExit: told to"
    error = await survived(pool, "reply_with_no_json")
    assert str(error).startswith("internal error: TypeError: ")


async def test_a_long_message_is_cut(pool: ChildPool) -> None:
    error = await survived(pool, "fail", error="ValueError", message="x " * 99999)
    assert len(str(error)) == 500


async def test_an_unreadable_document_is_raised_as_such(pool: ChildPool) -> None:
    error = await survived(
        pool, "fail", error="UnreadableDocument", code="encrypted", hint="give a password"
    )
    assert type(error) is UnreadableDocument
    assert (error.message, error.code, error.hint) == ("told to", "encrypted", "give a password")
    error = await survived(pool, "fail", error="UnreadableDocument", code="made_up")
    assert type(error) is UnreadableDocument
    assert (error.code, error.hint) == ("malformed", None)


async def test_endless_recursion_leaves_its_process(pool: ChildPool) -> None:
    error = await survived(pool, "recurse")
    assert isinstance(error, TaskFailed)
    assert error.code == "too_deep"
    assert str(error).startswith("internal error: RecursionError: maximum recursion depth")


async def test_a_head_is_limited(pool: ChildPool) -> None:
    (reply,) = [r async for r in pool.call({"do": "reply_with_large_head", "size": 4 * MIB - 99})]
    assert len(reply.head["head"]) == 4 * MIB - 99
    error = await survived(pool, "reply_with_large_head", size=4 * MIB)
    assert type(error) is ChildFailed
    assert (error.code, str(error)) == ("too_large", "one piece of its output is too large")


def frame(head: bytes, body: int = 0) -> bytes:
    return struct.pack(">II", len(head), body) + head


async def test_what_is_no_frame_ends_the_call(pool: ChildPool) -> None:
    for forged in (
        *(
            struct.pack(">II", 5 << 20, 0),
            frame(b"{"),
            frame(b"\xff\xff"),
            frame(b"[]"),
            frame(b"{}"),
        ),
        *(frame(b"[" * 100_000), frame(b'{"reply":NaN}'), frame(b'{"reply":[]}')),
        *(frame(b'{"end":1}'), frame(b'{"error":"x","end":true}'), frame(b'{"error":{}}')),
        *(frame(b'{"end":true}', 1) + b"x", frame(b'{"reply":' + b"1" * 9999 + b"}")),
        frame(b'{"hello":{"network":true,"files":true}}'),
    ):
        error, replies = await failure(pool, "inject", bytes=forged.hex())
        assert type(error) is ChildFailed, forged
        assert (error.code, str(error)) == ("crashed", "the process sent what is no reply")
        assert replies == []


@pytest.mark.parametrize("forged", [b"garbage, and no frame", struct.pack(">II", 1, 0xFFFFFFFF)])
async def test_no_memory_is_taken_for_what_is_announced(pool: ChildPool, forged: bytes) -> None:
    wanted = ("too_large", "its output passed 8 MiB")
    assert await died(pool, "inject", bytes=forged.hex()) == wanted


async def test_what_comes_after_an_end_is_never_read(pool: ChildPool) -> None:
    before = await pid(pool)
    forged = frame(b'{"end":true}') + frame(b'{"reply":{"pid":1}}')
    assert [r async for r in pool.call({"do": "inject", "bytes": forged.hex()})] == []
    assert await pid(pool) not in (before, 1)


async def test_an_error_without_reasons_is_one(pool: ChildPool) -> None:
    forged = frame(b'{"error":{"hint":[1],"code":[]},"end":false}')
    error, _ = await failure(pool, "inject", bytes=forged.hex())
    assert (error.message, error.hint) == ("no reason was given", "[1]")


async def test_what_comes_between_calls_is_never_read(pool: ChildPool) -> None:
    (reply,) = [r async for r in pool.call({"do": "inject_later", "seconds": 0.1})]
    await asyncio.sleep(0.5)
    assert await pid(pool) != reply.head["pid"]


async def test_a_process_that_hangs_up_is_ended(pool: ChildPool) -> None:
    assert (await died(pool, "hang_up"))[0] == "crashed"


async def test_a_process_that_died_while_idle_fails_no_call(pool: ChildPool) -> None:
    before = await pid(pool)
    os.kill(before, signal.SIGKILL)
    time.sleep(0.05)  # noqa: ASYNC251  the loop is not to notice
    assert await pid(pool) != before


def test_the_systems_killer_strikes_for_memory() -> None:
    for status, kills, wanted in (
        (-9, 0, "crashed"),
        (-9, 1, "out_of_memory"),
        (-11, 1, "crashed"),
    ):
        assert verdict(status, LIMITS, "", cpu_s=1, kills=kills).code == wanted
    assert kills_for_memory() >= 0
    unnamed = verdict(-60, LIMITS, "", cpu_s=1, kills=0)
    assert str(unnamed) == "the process died by signal 60"
