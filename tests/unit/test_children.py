"""Calls of child processes that go well: answers, descriptors, re-use, back-pressure."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from rag.children import channel
from rag.children import child as children
from rag.children.failures import ChildFailed
from rag.children.limits import MIB, Limits
from rag.children.pool import ChildPool, Reply
from rag.errors import Unavailable

TASK = "rag.testing.child_tasks:serve"


@pytest.fixture
async def pool() -> AsyncIterator[ChildPool]:
    async with ChildPool(TASK, size=2, limits=Limits()) as opened:
        yield opened


async def ask(pool: ChildPool, do: str, descriptor: int | None = None, **more: Any) -> list[Reply]:
    """Return all replies of one call."""
    return [reply async for reply in pool.call({"do": do, **more}, descriptor)]


async def pid(pool: ChildPool) -> int:
    """Return the number of the process that answers."""
    (reply,) = await ask(pool, "echo")
    return int(reply.head["pid"])


async def test_a_call_carries_a_request_and_a_file(pool: ChildPool, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with path.open("rb") as file:
        (reply,) = await ask(pool, "echo", file.fileno(), text="naïve 東京 \x00", number=1.5)
        assert file.read() == b"content"
    wanted = {"do": "echo", "text": "naïve 東京 \x00", "number": 1.5}
    assert reply.head["request"] == wanted
    assert reply.body == b"content"


async def test_large_requests_and_replies_pass(pool: ChildPool) -> None:
    text = "x" * (3 * MIB)
    (reply,) = await ask(pool, "echo", text=text)
    assert reply.head["request"]["text"] == text
    replies = await ask(pool, "stream", count=3, size=5 * MIB)
    assert [(r.head["number"], len(r.body)) for r in replies] == [(n, 5 * MIB) for n in range(3)]


async def test_many_small_replies_keep_their_order(pool: ChildPool) -> None:
    replies = await ask(pool, "stream", count=5000, size=7)
    assert [reply.head["number"] for reply in replies] == list(range(5000))
    assert {reply.body for reply in replies} == {bytes(7)}


async def test_half_characters_do_not_break_a_reply(pool: ChildPool) -> None:
    (reply,) = await ask(pool, "attempt", expressions=["chr(0xd800)"])
    assert reply.head["gave"] == "'\\ud800'"
    (replies,) = await ask(pool, "halves")
    assert replies.head["text"] == "a?b"


async def test_nothing_starts_before_it_is_needed(pool: ChildPool) -> None:
    assert pool.protections is None
    assert child_processes() == []
    await pid(pool)
    assert pool.protections is not None
    assert len(child_processes()) == 1


async def test_a_process_takes_many_calls(pool: ChildPool) -> None:
    assert len({await pid(pool) for _ in range(20)}) == 1


async def test_another_process_starts_only_when_none_is_idle(pool: ChildPool) -> None:
    first = await pid(pool)
    async with aclosing(pool.call({"do": "stream", "count": 2})) as replies:
        await anext(replies)
        second = await pid(pool)
        assert await pid(pool) == second != first
        assert [reply.head["number"] async for reply in replies] == [1]
    assert sorted(child_processes()) == sorted([first, second])


async def test_calls_beyond_the_size_wait(pool: ChildPool) -> None:
    numbers = await asyncio.gather(*(pid(pool) for _ in range(12)))
    assert len(set(numbers)) == len(child_processes()) == 2


async def test_a_child_waits_while_its_caller_pauses(pool: ChildPool) -> None:
    async with aclosing(pool.call({"do": "stream", "count": 200, "size": 64 << 10})) as replies:
        await anext(replies)
        await asyncio.sleep(0.3)
        resumed = time.monotonic()
        made = [reply.head["time"] async for reply in replies]
    ahead = sum(when < resumed for when in made)
    assert len(made) == 199
    assert ahead < 20, "no more than the buffers hold"


async def test_the_pauses_of_the_caller_do_not_count(tmp_path: Path) -> None:
    async with ChildPool(TASK, size=1, limits=Limits(wall_s=1)) as pool:
        await pid(pool)
        count = 0
        async with aclosing(pool.call({"do": "stream", "count": 40, "size": 64 << 10})) as replies:
            async for _ in replies:
                count += 1
                if count in (5, 10):
                    await asyncio.sleep(0.6)
    assert count == 40


async def test_work_that_holds_up_the_loop_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "SLICE_S", 0.1)
    async with ChildPool(TASK, size=1, limits=Limits(wall_s=1)) as pool:
        await pid(pool)
        call = asyncio.create_task(ask(pool, "rest", seconds=1.5))
        await asyncio.sleep(0.05)
        time.sleep(1.3)  # noqa: ASYNC251  the loop is held up on purpose
        assert len(await call) == 2


async def test_output_streams_of_the_child_disturb_nobody(
    pool: ChildPool, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        (reply,) = await ask(pool, "chatter", lines=2000)
    assert await pid(pool) == reply.head["pid"]
    assert capfd.readouterr() == ("", "")


async def test_a_process_that_stays_large_is_replaced() -> None:
    async with ChildPool(TASK, size=1, limits=Limits(memory_bytes=256 * MIB)) as pool:
        first = await pid(pool)
        (reply,) = await ask(pool, "hoard", size=40 * MIB)
        assert await pid(pool) == reply.head["pid"] == first
        await ask(pool, "hoard", size=100 * MIB)
        assert await pid(pool) != first


async def test_a_process_is_replaced_after_many_calls(
    pool: ChildPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "MAX_TASKS", 3)
    numbers = [await pid(pool) for _ in range(7)]
    assert [numbers.count(number) for number in dict.fromkeys(numbers)] == [3, 3, 1]


async def test_the_child_gets_none_of_the_parents_secrets(
    pool: ChildPool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CUMULO_TEST_PASSWORD", "secret")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with (tmp_path / "open").open("wb") as inherited:
        os.set_inheritable(inherited.fileno(), True)
        (reply,) = await ask(pool, "surroundings")
    assert set(reply.head["environment"]) <= {
        *("PATH", "LD_LIBRARY_PATH", "TESSDATA_PREFIX", "HOME", "TMPDIR", "LANG", "TZ", "LC_CTYPE"),
        *("MALLOC_ARENA_MAX", "OMP_NUM_THREADS", "OMP_THREAD_LIMIT"),
        *("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    }
    places = [place.partition(":")[0] for place in reply.head["descriptors"].values()]
    assert sorted(set(places)) == ["/dev/null", "closed", "pipe", "socket"]
    assert places.count("socket") == 1
    assert reply.head["folder"] == reply.head["environment"]["TMPDIR"]


async def test_the_child_imports_little(pool: ChildPool) -> None:
    (reply,) = await ask(pool, "surroundings")
    heavy = {"numpy", "asyncio", "pydantic", "sqlalchemy", "rag.types", "site", "logging"}
    assert heavy.intersection(reply.head["modules"]) == set()


async def test_a_task_that_does_not_exist_is_said(tmp_path: Path) -> None:
    for task, wanted in (
        ("rag.testing.no_tasks:serve", "no_tasks"),
        ("rag.testing.child_tasks:nothing", "nothing"),
        ("rag.testing.child_tasks:cannot_load", "this name cannot be loaded"),
    ):
        async with ChildPool(task, size=1, limits=Limits()) as pool:
            with pytest.raises(ChildFailed, match=f"cannot run {task}.*{wanted}") as failed:
                await ask(pool, "echo")
            assert failed.value.code == "crashed"
    assert child_processes() == []


async def test_a_system_that_starts_no_process_is_said(
    pool: ChildPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptors = sorted(Path("/proc/self/fd").iterdir())
    with monkeypatch.context() as changed:
        changed.setattr(sys, "executable", "/nonexistent/python")
        with pytest.raises(Unavailable, match="no process can be started: No such file"):
            await ask(pool, "echo")
    assert sorted(Path("/proc/self/fd").iterdir()) == descriptors
    await pid(pool)


EARLIER: set[int] = set()


@pytest.fixture(autouse=True)
def _earlier() -> None:
    """Leave out what other tests have started in this process and keep."""
    EARLIER.clear()
    EARLIER.update(child_processes())


def child_processes() -> list[int]:
    """Return the numbers of this process's children that have not been reaped."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name_and_state = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(name_and_state[1]) == os.getpid():
            found.append(int(stat.parent.name))
    return [number for number in found if number not in EARLIER]
