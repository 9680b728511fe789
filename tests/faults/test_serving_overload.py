"""More is asked than can be done: what can be done is done, and the rest is told so at once."""

from __future__ import annotations

import asyncio
import time
from itertools import count
from pathlib import Path

from tests.faults.calling import Answered, Caller, calling, paced
from tests.faults.evidence import Lane, lanes
from tests.faults.serving import Process, environment, fill, process

RATE = 40.0
"""Questions each second that the embedder can read."""
SERIAL = '{"kind": "serial", "options": {"text_s": 0.025}}'
CASES = [(factor, deadline) for factor in (2, 5) for deadline in (1.0, 3.0, 30.0)]
NORMAL_S, RECOVERY_S = 0.5, 5.0
SHARE = 0.8
_numbers = count()


def question() -> dict[str, object]:
    """Return a question that nobody else asks: equal ones are read once."""
    n = next(_numbers)
    return {"query": f"what is subject{n % 20} about, asks number {n}", "k": 3}


def good(got: list[tuple[float, Answered | Exception]]) -> list[Answered]:
    """Return the replies that are answers."""
    replies = [one for _, one in got if isinstance(one, Answered)]
    return [one for one in replies if one.status == 200 and one.json()["hits"]]


async def peak(caller: Caller, seconds: float) -> float:
    """Return the answers each second when eight callers ask one after the other."""
    end, answered = time.monotonic() + seconds, 0

    async def ask() -> None:
        nonlocal answered
        while time.monotonic() < end:
            reply = await caller.call("/v1/search", question())
            answered += reply.status == 200

    await asyncio.gather(*(ask() for _ in range(8)))
    return answered / seconds


async def until_normal(caller: Caller) -> float:
    """Ask half as much as is possible until all goes well for a second; return after how long."""
    began = time.monotonic()
    while time.monotonic() - began < 2 * RECOVERY_S:
        got = await paced(caller, question, rate=RATE / 2, seconds=1.0)
        if len(good(got)) == len(got) and max(one.seconds for one in good(got)) < NORMAL_S:
            return max(0.0, time.monotonic() - began - 1.0)
    return float("inf")


async def overloaded(
    server: Process, factor: int, deadline: float, seconds: float
) -> dict[str, float]:
    """Ask `factor` times what is possible for some time; return what was seen."""
    async with calling(server.port) as caller:
        best = await peak(caller, 1.5)
        began = time.monotonic()
        got = await paced(
            caller, question, rate=RATE * factor, seconds=seconds, x_request_timeout=str(deadline)
        )
        took = time.monotonic() - began
        recovery = await until_normal(caller)
    answers = good(got)
    refused = [one for _, one in got if isinstance(one, Answered) and one.status == 503]
    return {
        "peak": best,
        "goodput": len(answers) / took,
        "slowest_answer_s": max(one.seconds for one in answers),
        "refused": len(refused),
        "late": sum(isinstance(one, Answered) and one.status == 504 for _, one in got),
        "other": len(got) - len(answers) - len(refused),
        "refusals_p99_s": sorted(one.seconds for one in refused)[len(refused) * 99 // 100],
        "untold": sum("retry-after" not in one.headers for one in refused),
        "recovery_s": recovery,
    }


@lanes("overload")
async def test_what_can_be_done_is_done(lane: Lane, tmp_path: Path) -> None:
    env = environment(
        tmp_path / "data", embedders=f'{{"serial": {SERIAL}}}', defaults__embedder="serial"
    )
    await fill(
        tmp_path / "data",
        embedders={"serial": {"kind": "hashing"}},
        defaults={"embedder": "serial"},
    )
    figures = []
    async with process(env) as server:
        for trial in lane.run(small=1):
            factor, deadline = CASES[len(lane.rows) % len(CASES)] if lane.full else (5, 3.0)
            trial.fault = f"{factor} times the capacity, callers wait {deadline:g} s"
            seen = await overloaded(server, factor, deadline, 60.0 if lane.full else 2.5)
            trial.fired = seen["refused"] > 0
            trial.check(seen["goodput"] >= SHARE * seen["peak"], f"goodput collapsed: {seen}")
            trial.check(seen["recovery_s"] <= RECOVERY_S, f"no recovery: {seen}")
            trial.check(seen["untold"] == 0, f"refused without Retry-After: {seen}")
            trial.check(seen["slowest_answer_s"] <= deadline + 1.0, f"answered too late: {seen}")
            figures.append({"factor": factor, "deadline_s": deadline, **seen})
            lane.figures["overloads"] = [
                {key: round(value, 3) for key, value in one.items()} for one in figures
            ]
