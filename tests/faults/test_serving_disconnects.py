"""Callers leave at any moment: what was done for them ends, here and on the model servers."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from tests.fakes.faults import Fault
from tests.faults.calling import Connection
from tests.faults.evidence import Lane, Trial, lanes
from tests.faults.modelled import QUESTION, Modelled, modelled

WITHIN_S = 2.0
LONGEST_S = 0.3
"""Callers leave within; an answer that nobody interrupts takes longer."""
CHAT = {"model": "writer", "messages": [{"role": "user", "content": QUESTION}]}
ROUTES: list[tuple[str, dict[str, Any]]] = [
    ("/v1/search", {"query": QUESTION}),
    ("/v1/answer", {"question": QUESTION, "model": "writer"}),
    ("/v1/answer", {"question": QUESTION, "model": "writer", "stream": True}),
    ("/v1/chat/completions", CHAT),
    ("/v1/chat/completions", {**CHAT, "stream": True}),
]


async def leave(world: Modelled, trial: Trial) -> float:
    """Ask, and leave at some moment; return after how long nothing of it was left."""
    path, body = trial.random.choice(ROUTES)
    after = trial.random.uniform(0, LONGEST_S)
    reset = trial.random.random() < 0.5
    world.embeds.ill = lambda asked: Fault(delay_s=trial.random.uniform(0, LONGEST_S))
    world.chats.ill = lambda asked: Fault(delay_s=trial.random.uniform(0, LONGEST_S / 2))
    trial.fault = f"{'reset' if reset else 'leave'} {path} after {after:.3f} s"
    before = asyncio.all_tasks()
    connection = await Connection.open(world.port)
    connection.send(path, {**body, "stream": True} if body.get("stream") else body)
    reading = asyncio.ensure_future(_whole(connection))
    await asyncio.wait({reading}, timeout=after)
    trial.fired = not reading.done()
    connection.leave(reset=reset)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    began = time.monotonic()
    while time.monotonic() - began < WITHIN_S:
        calls = world.embeds.open + world.chats.open
        tasks = asyncio.all_tasks() - before
        if not calls and not tasks:
            break
        await asyncio.sleep(0.005)
    trial.check(not calls, f"{calls} calls of model servers are still open")
    trial.check(not tasks, f"tasks are left: {tasks}")
    return time.monotonic() - began


async def _whole(connection: Connection) -> None:
    _, headers = await connection.head()
    async for _ in connection.pieces(headers):
        pass


@lanes("disconnects")
async def test_nothing_goes_on_for_a_caller_who_left(lane: Lane, tmp_path: Path) -> None:
    async with modelled(tmp_path, pause_s=0.02) as world:
        slowest = 0.0
        for trial in lane.run(small=15):
            slowest = max(slowest, await leave(world, trial))
            ended = sum(one.abandoned for one in (*world.embeds.requests, *world.chats.requests))
            lane.figures |= {"slowest_end_s": round(slowest, 3), "calls_ended_early": ended}
    assert lane.figures["calls_ended_early"] > 0
