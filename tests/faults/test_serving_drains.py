"""A server is told to end while it is asked: what it has taken on it finishes, then it is gone.

Callers know one address, where the next server comes. All they have to do is to connect again when
a connection is refused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

from tests.faults.calling import Answered, Connection
from tests.faults.evidence import Lane, lanes
from tests.faults.serving import Process, environment, fill, process

CALLERS_OF_A_KIND = 3
GRACE_S = 10.0
DRAIN_S = 5.0
RETRY_S = 0.02
SLOW = '{"slow": {"kind": "serial", "options": {"text_s": 0.02}}}'
_numbers = count()


def asked() -> str:
    n = next(_numbers)
    return f"what is subject{n % 20} about, asks number {n}"


class Load:
    """Callers who ask without a pause until they are told to stop."""

    def __init__(self) -> None:
        self.port = 0
        self.stopped = False
        self.answers = self.refused = self.parted = 0
        self.failures: list[str] = []

    async def ask(self, ask: Callable[[Connection], Any], *, keep: bool) -> None:
        """Ask again and again, over one connection as long as it is kept, or each time anew."""
        connection: Connection | None = None
        while not self.stopped:
            try:
                connection = connection or await Connection.open(self.port)
            except OSError:  # nobody listens
                self.refused += 1
                await asyncio.sleep(RETRY_S)
                continue
            try:
                reply: Answered = await ask(connection)
                self.note(reply)
                parted = reply.headers.get("connection") == "close"
                self.parted += parted
            except (OSError, EOFError) as exc:
                self.failures.append(
                    f"{type(exc).__name__} ({'kept' if connection.used else 'new'})"
                )
                parted = True
            if parted or not keep:
                connection.leave()
                connection = None
        if connection is not None:
            connection.leave()

    def note(self, reply: Answered) -> None:
        """Count a reply, or say what is wrong with it."""
        whole = (
            b"event: done" in reply.body if b"event:" in reply.body else b'"hits":[{' in reply.body
        )
        if reply.status == 200 and whole:
            self.answers += 1
        else:
            self.failures.append(f"{reply.status} {reply.body[-200:]!r}")


async def search(connection: Connection) -> Answered:
    return await connection.call("/v1/search", {"query": asked(), "k": 3}, {})


async def stream(connection: Connection) -> Answered:
    return await connection.call("/v1/answer", {"question": asked(), "stream": True}, {})


async def restart(server: Process) -> tuple[int | None, float]:
    """Tell it to end; return its exit code, None if it did not end in time, and the seconds."""
    began = time.monotonic()
    server.terminate()
    with suppress(TimeoutExpired):
        return await server.ended(GRACE_S), time.monotonic() - began
    return None, time.monotonic() - began


@lanes("drains")
async def test_nothing_is_lost_when_a_server_ends(lane: Lane, tmp_path: Path) -> None:
    env = environment(
        tmp_path / "data",
        embedders=SLOW,
        defaults__embedder="slow",
        serving__drain_s=str(DRAIN_S),
    )
    await fill(
        tmp_path / "data", embedders={"slow": {"kind": "hashing"}}, defaults={"embedder": "slow"}
    )
    load, slowest = Load(), 0.0
    kinds = ((search, True), (search, False), (stream, True))
    asking = [
        asyncio.ensure_future(load.ask(ask, keep=keep)) for ask, keep in kinds * CALLERS_OF_A_KIND
    ]
    try:
        for trial in lane.run(small=1):
            before = load.answers
            async with process(env, port=load.port) as server:
                load.port = server.port
                await asyncio.sleep(trial.random.uniform(0.5, 1.5))
                trial.exit, seconds = await restart(server)
            slowest = max(slowest, seconds)
            trial.fault = f"SIGTERM after {load.answers - before} answers"
            trial.fired = load.answers > before
            trial.check(not load.failures, f"{len(load.failures)} failed: {load.failures[:3]}")
            trial.check(trial.exit == 0, f"exit code {trial.exit} after {seconds:.1f} s")
            load.failures.clear()
            lane.figures |= {
                "answers": load.answers,
                "told_to_reconnect": load.parted,
                "refused_and_retried": load.refused,
                "slowest_end_s": round(slowest, 2),
            }
    finally:
        load.stopped = True
        await asyncio.gather(*asking)
