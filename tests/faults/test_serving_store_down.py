"""The store or the catalog goes away under load: errors are quick and honest, and then it is over.

Fifty questions come each second all the while. None of them gets a wrong or an empty answer.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rag.testing.postgres import PostgresServer
from tests.faults.calling import Answered, Caller, calling, paced
from tests.faults.evidence import Lane, Trial, lanes
from tests.faults.serving import Process, environment, fill, process
from tests.faults.toxic import Proxy, proxied

RATE = 50.0
BEFORE_S, AFTER_S = 0.5, 2.5
OPENING_S = 1.0
"""The breaker opens within; from then on errors are quick."""
ERROR_P99_S = 0.1
RECOVERY_S = 2.0
QUESTION = {"query": "what is subject3 about", "k": 3, "mode": "sparse"}
RIGHT = "The page 3 is about subject3."


class Store:
    """The embedded store, behind a file that says that it is down."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "down"
        self.settings = {
            "stores": json.dumps(
                {"failing": {"kind": "failing", "options": {"down": str(self._file)}}}
            ),
            "defaults__store": "failing",
        }
        self.filling: dict[str, Any] = {
            "stores": {"failing": {"kind": "faiss"}},
            "defaults": {"store": "failing", "embedder": "hashing"},
        }

    async def fail(self) -> None:
        self._file.touch()

    async def heal(self) -> None:
        self._file.unlink()


class Catalog:
    """Postgres, behind a proxy that can tear its connections and refuse new ones."""

    def __init__(self, proxy: Proxy, url: str) -> None:
        self._proxy = proxy
        database = url.partition("@/")[2].partition("?")[0]
        self.filling: dict[str, Any] = {"catalog_url": url, "defaults": {"embedder": "hashing"}}
        self.settings = {"catalog_url": f"postgresql://postgres@127.0.0.1:{proxy.port}/{database}"}

    async def fail(self) -> None:
        await self._proxy.poison(down=True)

    async def heal(self) -> None:
        await self._proxy.heal()


@asynccontextmanager
async def catalog(server: PostgresServer) -> AsyncIterator[Catalog]:
    """Make a database that is reached through a proxy."""
    with server.database() as url:
        socket = str(server.folder / ".s.PGSQL.5432")
        async with proxied(lambda: asyncio.open_unix_connection(socket)) as proxy:
            yield Catalog(proxy, url)


async def watch(caller: Caller, path: str, seen: list[tuple[float, int]]) -> None:
    """Ask for health again and again; note when and what came."""
    while True:
        seen.append((time.monotonic(), (await caller.call(path)).status))
        await asyncio.sleep(0.1)


def right(one: Answered) -> bool:
    return bool(one.json()["hits"]) and one.json()["hits"][0]["text"] == RIGHT


async def outage(
    server: Process, part: Store | Catalog, seconds: float, trial: Trial
) -> dict[str, float]:
    """Ask all the while; let the part fail and heal; check what came."""
    lives: list[tuple[float, int]] = []
    ready: list[tuple[float, int]] = []
    async with calling(server.port) as caller, calling(server.port) as watcher:
        while not right(await caller.call("/v1/search", QUESTION)):
            pass
        watching = [
            asyncio.ensure_future(watch(watcher, "/healthz", lives)),
            asyncio.ensure_future(watch(watcher, "/readyz", ready)),
        ]
        began = time.monotonic()
        asking = asyncio.ensure_future(
            paced(caller, lambda: QUESTION, rate=RATE, seconds=BEFORE_S + seconds + AFTER_S)
        )
        await asyncio.sleep(BEFORE_S)
        down = time.monotonic() - began
        await part.fail()
        await asyncio.sleep(seconds)
        await part.heal()
        up = time.monotonic() - began
        got = await asking
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    replies = [(at, one) for at, one in got if isinstance(one, Answered)]
    errors = [(at, one) for at, one in replies if one.status != 200]
    quick = sorted(one.seconds for at, one in errors if at > down + OPENING_S)
    slowest = quick[len(quick) * 99 // 100] if quick else 0.0
    last = max((at for at, _ in errors), default=0.0)
    trial.fired = len(errors) > seconds * RATE / 2
    trial.check(len(replies) == len(got), f"{len(got) - len(replies)} connections broke")
    trial.check(all(right(one) for _, one in replies if one.status == 200), "a wrong answer")
    statuses = {one.status for _, one in errors}
    trial.check(statuses <= {503}, f"errors were {statuses}")
    trial.check(all("retry-after" in one.headers for _, one in errors), "no Retry-After")
    early = sum(at + one.seconds < down for at, one in errors)
    trial.check(early == 0, f"{early} errors before the outage")
    trial.check(slowest < ERROR_P99_S, f"p99 of errors {slowest:.3f} s")
    trial.check(last - up < RECOVERY_S, f"errors until {last - up:.2f} s after the outage")
    trial.check({status for _, status in lives} == {200}, "liveness failed")
    during = {status for at, status in ready if down + OPENING_S < at - began < up - 0.5}
    trial.check(during == {503}, f"readiness was {during}")
    return {"errors": len(errors), "p99_s": slowest, "recovery_s": max(0.0, last - up)}


async def trials(lane: Lane, part: Store | Catalog, tmp_path: Path) -> None:
    """Run a server on the part, and the lane's outages."""
    env = environment(tmp_path / "data", **part.settings)
    await fill(tmp_path / "data", **part.filling)
    outages: list[dict[str, float]] = []
    async with process(env) as server:
        for trial in lane.run(small=1):
            seconds = 60.0 if lane.full else 2.0
            trial.fault = f"{seconds:g} s at {RATE:g} requests/s"
            seen = await outage(server, part, seconds, trial)
            outages.append({key: round(value, 4) for key, value in seen.items()})
            lane.figures["outages"] = outages


@lanes("store-down")
async def test_a_store_that_is_down(lane: Lane, tmp_path: Path) -> None:
    await trials(lane, Store(tmp_path), tmp_path)


@lanes("catalog-down")
async def test_a_catalog_that_is_down(
    lane: Lane, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    async with catalog(postgres_server) as part:
        await trials(lane, part, tmp_path)
