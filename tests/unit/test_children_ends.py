"""How child processes end: on close, on cancellation, with their parent; and that nothing stays."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from rag.children.failures import ChildFailed
from rag.children.limits import MIB, Limits
from rag.children.pool import ChildPool

TASK = "rag.testing.child_tasks:serve"

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="there is no /proc here")


@pytest.fixture(autouse=True)
def _scratch_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scratch folders lie where the tests can see whether they go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
async def pool() -> AsyncIterator[ChildPool]:
    async with ChildPool(TASK, size=2, limits=Limits()) as opened:
        yield opened


async def pid(pool: ChildPool) -> int:
    """Return the number of the process that answers."""
    (reply,) = [reply async for reply in pool.call({"do": "echo"})]
    return int(reply.head["pid"])


async def begun(pool: ChildPool, started: asyncio.Future[int]) -> None:
    """Make a call that rests for ever; tell the process's number."""
    async for reply in pool.call({"do": "rest"}):
        started.set_result(reply.head["pid"])


def is_gone(process: int) -> bool:
    """Whether a process does not exist any more, or is only waited for by its own parent."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def wait_until(is_so: Callable[[], bool], *, seconds: float = 5) -> None:
    """Return when it is so; fail when it takes too long."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def descriptors() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


EARLIER: set[str] = set()


@pytest.fixture(autouse=True)
def _earlier() -> None:
    """Leave out what other tests have started in this process and keep."""
    EARLIER.clear()
    EARLIER.update(children())


def children() -> list[str]:
    """Return the numbers of this process's children, zombies included."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [number for number in found if number not in EARLIER]


async def test_close_leaves_nothing(tmp_path: Path) -> None:
    before = descriptors()
    pool = ChildPool(TASK, size=3, limits=Limits())
    numbers = await asyncio.gather(*(pid(pool) for _ in range(6)))
    assert len(list(tmp_path.glob("cumulo-child-*"))) == len(set(numbers)) == len(children())
    await pool.close()
    await pool.close()
    assert children() == []
    assert descriptors() == before
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RuntimeError, match="the pool of child processes is closed"):
        await pid(pool)


async def test_close_ends_calls(pool: ChildPool) -> None:
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    call = asyncio.create_task(begun(pool, started))
    process = await started
    beginning = asyncio.create_task(pid(pool))
    await asyncio.sleep(0.01)
    await asyncio.gather(pool.close(), pool.close())
    assert is_gone(process)
    for ended in (call, beginning):
        with pytest.raises(ChildFailed, match="the pool was closed during the call"):
            await ended
    assert children() == []


async def test_close_ends_a_call_whose_caller_pauses(pool: ChildPool) -> None:
    before = descriptors()
    async with aclosing(pool.call({"do": "rest"})) as replies:
        process = (await anext(replies)).head["pid"]
        await pool.close()
        assert is_gone(process)
        assert descriptors() == before
        with pytest.raises(ChildFailed, match="the pool was closed"):
            await anext(replies)


async def test_cancelling_a_call_kills_its_process(pool: ChildPool) -> None:
    other = await pid(pool)
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    call = asyncio.create_task(begun(pool, started))
    process = await started
    assert process == other
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.to_thread(wait_until, lambda: is_gone(process))
    assert await pid(pool) != process


async def test_cancelling_a_start_kills_its_process(pool: ChildPool) -> None:
    for pause in (0, 0.001, 0.02, 0.05):
        call = asyncio.create_task(pid(pool))
        await asyncio.sleep(pause)
        call.cancel()
        await asyncio.wait([call])
    await pool.close()
    assert children() == []


@pytest.mark.parametrize("is_closing", [True, False])
async def test_giving_up_a_call_kills_its_process(pool: ChildPool, is_closing: bool) -> None:
    replies = pool.call({"do": "stream", "count": 1000, "size": MIB})
    await anext(replies)
    (process,) = children()
    if is_closing:
        await replies.aclose()
    del replies
    gc.collect()
    await asyncio.sleep(0.01)
    await asyncio.to_thread(wait_until, lambda: is_gone(int(process)))
    assert await pid(pool) != int(process)


@pytest.mark.parametrize("ending", [{}, {"crash": True}])
async def test_programs_do_not_outlive_their_call(pool: ChildPool, ending: dict[str, bool]) -> None:
    async with aclosing(pool.call({"do": "leave_program", **ending})) as replies:
        head = (await anext(replies)).head
        try:
            assert [reply async for reply in replies] == []
        except ChildFailed as exc:
            assert str(exc) == "the process died by SIGABRT"  # noqa: PT017  one way of two
    await asyncio.to_thread(wait_until, lambda: is_gone(head["program"]))
    assert await pid(pool) != head["pid"]


async def test_programs_do_not_outlive_a_cancelled_call(pool: ChildPool) -> None:
    async with aclosing(pool.call({"do": "leave_program", "rest": True})) as replies:
        head = (await anext(replies)).head
    await asyncio.to_thread(wait_until, lambda: is_gone(head["program"]) and is_gone(head["pid"]))


@pytest.mark.parametrize("depth", [0, 3, 1200])
async def test_a_process_that_leaves_files_is_replaced(
    pool: ChildPool, depth: int, tmp_path: Path
) -> None:
    call = pool.call({"do": "leave_files", "depth": depth})
    (reply,) = [reply async for reply in call]
    assert Path(reply.head["folder"]).parent == tmp_path
    assert await pid(pool) != reply.head["pid"]
    await pool.close()
    assert list(tmp_path.iterdir()) == []


async def test_without_files_there_is_no_folder(tmp_path: Path) -> None:
    async with ChildPool(TASK, size=1, limits=Limits(file_bytes=0)) as pool:
        await pid(pool)
        assert list(tmp_path.iterdir()) == []


PARENT = """
import asyncio, json, os, sys
from rag.children.limits import Limits
from rag.children.pool import ChildPool

async def main():
    pool = ChildPool("rag.testing.child_tasks:serve", size=2, limits=Limits())
    idle = [r async for r in pool.call({"do": "echo"})][0].head["pid"]
    async with asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(call(pool))

async def call(pool):
    async for reply in pool.call({"do": "leave_program", "rest": True}):
        print(json.dumps([reply.head["pid"], reply.head["program"]]), flush=True)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can kill a group with its parent")
def test_everything_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    command, variables = [sys.executable, "-c", PARENT], {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=variables) as parent:
        assert parent.stdout is not None
        numbers = [n for _ in range(2) for n in json.loads(parent.stdout.readline())]
        assert not any(is_gone(number) for number in numbers)
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: all(is_gone(number) for number in numbers))


def test_a_loop_in_another_thread_works() -> None:
    found: list[int] = []

    async def two_calls() -> None:
        async with ChildPool(TASK, size=1, limits=Limits()) as pool:
            found.extend([await pid(pool), await pid(pool)])

    thread = threading.Thread(target=asyncio.run, args=(two_calls(),))
    thread.start()
    thread.join()
    assert len(found) == 2
    assert len(set(found)) == 1


async def test_many_calls_leave_nothing(pool: ChildPool) -> None:
    await pid(pool)
    before, memory = descriptors(), _resident()
    for _ in range(200):
        await pid(pool)
    for _ in range(20):
        [_ async for _ in pool.call({"do": "stream", "count": 8, "size": MIB})]
    assert descriptors() == before
    assert _resident() - memory < 16 * MIB


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
