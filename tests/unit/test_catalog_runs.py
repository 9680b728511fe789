"""Runs that workers take: once each, held by a lease, ended by nobody else. On both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from rag.catalog import collections, reporting, runs, tables
from rag.catalog.collections import Pipeline
from rag.catalog.database import Catalog
from rag.catalog.reporting import Run
from rag.catalog.runs import Claimed, Lease
from rag.errors import NotFound
from rag.types import Pinned, Principal, local_owner

Place: TypeAlias = Path | SecretStr
PINNED = Pinned("part", {}, "fingerprint")
PIPELINE = Pipeline("faiss", chunker=PINNED, embedder=PINNED, sparse=PINNED, dim=4)
OWNER = local_owner()
TENANT = OWNER.tenant
ANN = Principal(TENANT, frozenset({"user:ann", "public"}))


@pytest.fixture
async def catalog(catalog_place: Place) -> AsyncIterator[Catalog]:
    opened = await Catalog.open(catalog_place)
    yield opened
    await opened.close()


@pytest.fixture
async def collection(catalog: Catalog) -> str:
    made = await catalog.write(collections.create_collection, TENANT, "docs", PIPELINE)
    return made.id


async def queue(catalog: Catalog, collection: str, *, who: Principal = OWNER, **task: Any) -> str:
    given = {"kind": "text", "documents": [("d", "a.md")], **task}
    return await catalog.write(runs.queue_run, collection, "text", given, who)


async def claim(catalog: Catalog, lease_s: float = 60.0, place: str = "here") -> Claimed | None:
    return await catalog.write(runs.claim_run, "worker", lease_s=lease_s, place=place)


async def shown(catalog: Catalog, run: str, who: Principal = OWNER) -> Run:
    return await catalog.read(reporting.get_run, run, who)


async def end(catalog: Catalog, lease: Lease, state: runs.Ended = "done") -> bool:
    return await catalog.write(runs.end_run, lease, state, {"added": 1}, [("uri", "why")])


# --- taking --------------------------------------------------------------------------------------


async def test_a_run_is_queued_taken_and_ended(catalog: Catalog, collection: str) -> None:
    run = await queue(catalog, collection)
    assert await catalog.read(runs.is_waiting)
    assert (await shown(catalog, run)).state == "queued"
    claimed = await claim(catalog)
    assert claimed is not None
    assert (claimed.lease.run, claimed.collection, claimed.kind) == (run, "docs", "text")
    assert claimed.principal == OWNER
    assert claimed.task["documents"] == [["d", "a.md"]]
    assert (await shown(catalog, run)).state == "running"
    assert not await catalog.read(runs.is_waiting)
    assert await claim(catalog) is None
    assert await end(catalog, claimed.lease)
    ended = await shown(catalog, run)
    assert (ended.state, ended.counts, ended.ended) == ("done", {"added": 1}, True)
    assert ended.failures == (("uri", "why"),)
    assert ended.documents == (("d", "a.md"),)
    assert not await catalog.read(runs.is_waiting)


async def test_the_longest_waiting_run_comes_first(catalog: Catalog, collection: str) -> None:
    queued = [await queue(catalog, collection) for _ in range(3)]
    taken = [await claim(catalog) for _ in range(3)]
    assert [claimed and claimed.lease.run for claimed in taken] == queued


async def test_of_many_workers_each_run_has_one(
    catalog: Catalog, collection: str, catalog_place: Place
) -> None:
    queued = {await queue(catalog, collection) for _ in range(12)}
    others = [await Catalog.open(catalog_place) for _ in range(4)]

    async def work(other: Catalog) -> list[str]:
        found = []
        while (claimed := await claim(other)) is not None:
            found.append(claimed.lease.run)
        return found

    taken = [run for found in await asyncio.gather(*map(work, others)) for run in found]
    for other in others:
        await other.close()
    assert len(taken) == 12
    assert set(taken) == queued


async def test_what_lies_elsewhere_is_left_alone(catalog: Catalog, collection: str) -> None:
    elsewhere = await queue(catalog, collection, place="there")
    anywhere = await queue(catalog, collection)
    claimed = await claim(catalog)
    assert claimed is not None
    assert claimed.lease.run == anywhere
    assert await claim(catalog) is None
    there = await claim(catalog, place="there")
    assert there is not None
    assert there.lease.run == elsewhere


# --- leases --------------------------------------------------------------------------------------


async def test_a_worker_that_stopped_past_its_lease_has_lost_its_run(
    catalog: Catalog, collection: str
) -> None:
    run = await queue(catalog, collection)
    stopped = await claim(catalog, lease_s=0.05)
    assert stopped is not None
    assert await claim(catalog) is None  # the lease holds
    await asyncio.sleep(0.1)
    assert (await shown(catalog, run)).state == "queued"
    second = await claim(catalog)
    assert second is not None
    assert second.lease.run == run
    standing = await catalog.write(runs.renew_lease, stopped.lease, {"added": 9}, lease_s=60.0)
    assert not standing.mine
    assert not await end(catalog, stopped.lease, "failed")
    assert not await catalog.write(runs.hand_back, stopped.lease)
    now = await shown(catalog, run)
    assert (now.state, now.counts, now.failures) == ("running", {}, ())
    assert await end(catalog, second.lease)
    assert not await end(catalog, second.lease)  # once


async def test_a_lease_that_is_renewed_holds(catalog: Catalog, collection: str) -> None:
    await queue(catalog, collection)
    claimed = await claim(catalog, lease_s=0.05)
    assert claimed is not None
    standing = await catalog.write(runs.renew_lease, claimed.lease, {"added": 3}, lease_s=60.0)
    assert (standing.mine, standing.cancelled) == (True, False)
    await asyncio.sleep(0.1)
    assert await claim(catalog) is None
    assert (await shown(catalog, claimed.lease.run)).counts == {"added": 3}


async def test_a_late_worker_may_go_on_while_nobody_else_did(
    catalog: Catalog, collection: str
) -> None:
    await queue(catalog, collection)
    claimed = await claim(catalog, lease_s=-1.0)
    assert claimed is not None
    standing = await catalog.write(runs.renew_lease, claimed.lease, {}, lease_s=60.0)
    assert standing.mine
    assert await claim(catalog) is None


async def test_what_is_handed_back_is_taken_again(catalog: Catalog, collection: str) -> None:
    run = await queue(catalog, collection)
    for _ in range(5):  # stopping is no try
        claimed = await claim(catalog)
        assert claimed is not None
        assert claimed.task["tries"] == 1
        assert await catalog.write(runs.hand_back, claimed.lease)
        assert (await shown(catalog, run)).state == "queued"


async def test_a_task_that_kills_its_workers_fails(catalog: Catalog, collection: str) -> None:
    run = await queue(catalog, collection)
    for _ in range(runs.TRIES):
        assert await claim(catalog, lease_s=-1.0) is not None
    assert await claim(catalog) is None
    ended = await shown(catalog, run)
    assert ended.state == "failed"
    assert ended.error == "3 workers died or hung over it"
    assert not await catalog.read(runs.is_waiting)


async def test_a_run_whose_collection_goes_is_lost(catalog: Catalog, collection: str) -> None:
    run = await queue(catalog, collection)
    claimed = await claim(catalog)
    assert claimed is not None
    await catalog.write(collections.delete_collection, collection)
    standing = await catalog.write(runs.renew_lease, claimed.lease, {}, lease_s=60.0)
    assert not standing.mine
    assert not await end(catalog, claimed.lease)
    with pytest.raises(NotFound):
        await shown(catalog, run)


# --- cancelling ----------------------------------------------------------------------------------


async def test_what_waits_ends_at_once(catalog: Catalog, collection: str) -> None:
    run = await queue(catalog, collection)
    await catalog.write(runs.request_cancel, run)
    assert (await shown(catalog, run)).state == "interrupted"
    assert await claim(catalog) is None


async def test_what_is_under_way_hears_of_it(catalog: Catalog, collection: str) -> None:
    await queue(catalog, collection)
    claimed = await claim(catalog)
    assert claimed is not None
    await catalog.write(runs.request_cancel, claimed.lease.run)
    now = await shown(catalog, claimed.lease.run)
    assert (now.state, now.cancelled) == ("running", True)
    standing = await catalog.write(runs.renew_lease, claimed.lease, {}, lease_s=60.0)
    assert (standing.mine, standing.cancelled) == (True, True)


async def test_what_has_ended_stays_as_it_is(catalog: Catalog, collection: str) -> None:
    await queue(catalog, collection)
    claimed = await claim(catalog)
    assert claimed is not None
    await end(catalog, claimed.lease)
    await catalog.write(runs.request_cancel, claimed.lease.run)
    now = await shown(catalog, claimed.lease.run)
    assert (now.state, now.cancelled) == ("done", False)


async def test_a_cancelled_run_of_a_dead_worker_is_done_by_nobody(
    catalog: Catalog, collection: str
) -> None:
    await queue(catalog, collection)
    claimed = await claim(catalog, lease_s=60.0)
    assert claimed is not None
    await catalog.write(runs.request_cancel, claimed.lease.run)
    await catalog.write(lambda c: c.execute(tables.runs.update().values(lease_until=1.0)))
    assert await claim(catalog) is None
    assert (await shown(catalog, claimed.lease.run)).state == "interrupted"


# --- commands ------------------------------------------------------------------------------------


async def test_a_command_that_died_is_shown_as_interrupted(
    catalog: Catalog, collection: str
) -> None:
    start = {"holder": "me", "lease_s": 0.05}
    lease = await catalog.write(runs.start_run, collection, "ingest", **start)  # type: ignore[arg-type]
    assert (await shown(catalog, lease.run)).state == "running"
    await asyncio.sleep(0.1)
    assert (await shown(catalog, lease.run)).state == "interrupted"
    assert not await catalog.read(runs.is_waiting)
    assert await claim(catalog) is None  # nobody does a command's work for it
    assert await end(catalog, lease)  # it had only been stopped
    assert (await shown(catalog, lease.run)).state == "done"


async def test_a_run_of_before_there_were_leases_is_interrupted(
    catalog: Catalog, collection: str
) -> None:
    lease = await catalog.write(runs.start_run, collection, "ingest", holder="me", lease_s=60.0)
    clear = tables.runs.update().values(lease_until=sa.null(), worker=sa.null())
    await catalog.write(lambda c: c.execute(clear))
    assert (await shown(catalog, lease.run)).state == "interrupted"


# --- showing -------------------------------------------------------------------------------------


async def test_lists_are_newest_first_in_pages(catalog: Catalog, collection: str) -> None:
    queued = [await queue(catalog, collection) for _ in range(7)]
    seen: list[str] = []
    after = None
    for size in (3, 3, 1):
        page, after = await catalog.read(reporting.list_runs, OWNER, limit=3, after=after)
        assert len(page) == size
        seen += [run.id for run in page]
    assert after is None
    assert seen == queued[::-1]


async def test_pages_are_filled_past_runs_of_others(
    catalog: Catalog, collection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "SLICE", 2)
    mine = []
    for n in range(9):
        run = await queue(catalog, collection, who=ANN if n % 3 else OWNER)
        mine += [] if n % 3 else [run]
    page, after = await catalog.read(reporting.list_runs, OWNER, limit=2)
    rest, end_ = await catalog.read(reporting.list_runs, OWNER, limit=2, after=after)
    assert [run.id for run in (*page, *rest)] == mine[::-1]
    assert end_ is None


async def test_a_run_is_known_to_whoever_asked_for_it(catalog: Catalog, collection: str) -> None:
    run = await queue(catalog, collection, who=ANN)
    assert (await shown(catalog, run, ANN)).id == run
    for stranger in (OWNER, Principal("other", ANN.subjects)):
        with pytest.raises(NotFound):
            await shown(catalog, run, stranger)
    for stranger in (OWNER, Principal("other", ANN.subjects)):
        assert await catalog.read(reporting.list_runs, stranger, limit=9) == ([], None)


async def test_lists_can_be_of_one_collection(catalog: Catalog, collection: str) -> None:
    other = await catalog.write(collections.create_collection, TENANT, "other", PIPELINE)
    run = await queue(catalog, other.id)
    await queue(catalog, collection)
    page, _ = await catalog.read(reporting.list_runs, OWNER, limit=9, collection="other")
    assert [found.id for found in page] == [run]
