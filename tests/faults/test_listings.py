"""A source that fails in mid-listing: nothing is deleted that the source did not take away."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from indexers import ingest as job
from indexers.ingest import Listing
from indexers.summary import Summary
from rag.errors import Unavailable
from rag.runtime import Runtime, open_runtime
from rag.types import Collection
from tests.faults.checking import brief, half_visible, leftovers, read_state
from tests.faults.evidence import Lane, Trial, lanes
from tests.faults.paged import FAULTS, PAGE, Paged
from tests.faults.places import Fresh


@lanes("listings")
async def test_broken_listings(lane: Lane, tmp_path: Path) -> None:
    fresh = await Fresh.made(
        tmp_path,
        stores={"memory": {"kind": "memory"}},
        defaults={"embedder": "hashing", "store": "memory"},
        vector_cache={"enabled": False},
    )
    removed = 0
    for trial in lane.run():
        async with open_runtime(fresh.settings()) as runtime:
            removed += await break_listing(runtime, trial)
    assert removed, "no complete listing had anything to delete"


async def break_listing(runtime: Runtime, trial: Trial) -> int:
    """List whole, then broken, then whole again; return how many documents that deleted."""
    rng = trial.random
    before = {f"page {n}": words(rng) for n in range(rng.randint(1, 24))}
    now = {name: text if rng.random() < 0.7 else words(rng) for name, text in before.items()}
    for name in rng.sample(sorted(before), rng.randint(0, len(before) - 1)):
        del now[name]
    now |= {f"new {n}": words(rng) for n in range(rng.randint(0, 4))}
    fault = rng.choice(FAULTS)
    page = rng.randrange((len(now) + PAGE - 1) // PAGE)
    trial.fault = f"the listing {fault} at page {page} of {len(now)} documents"
    collection = await job.open_collection(runtime, "default", "docs")
    await ingest(runtime, collection, Paged(before))

    broken = Paged(now, fault, page)
    summary = None
    if fault in ("ends", "is empty"):
        summary = await ingest(runtime, collection, broken)
    else:
        with pytest.raises((Unavailable, KeyError)):
            await ingest(runtime, collection, broken)
    trial.fired = broken.broke
    found = await texts(runtime)
    lost = before.keys() - found.keys()
    trial.check(not lost, f"deleted: {sorted(lost)}")
    trial.check(summary is None or not summary.removed, "the summary speaks of deletions")
    other = [name for name in found if found[name] not in (before.get(name), now.get(name))]
    trial.check(not other, f"other than ever: {other}")

    summary = await ingest(runtime, collection, Paged(now))
    trial.check(await texts(runtime) == now, "a complete listing did not set it right")
    gone = before.keys() - now.keys()
    trial.check(summary.removed == len(gone), f"{summary.removed} of {len(gone)} were deleted")
    return summary.removed


async def ingest(runtime: Runtime, collection: Collection, source: Paged) -> Summary:
    return await job.ingest(runtime, collection, [Listing(source.kind, source.root, source)])


async def texts(runtime: Runtime) -> dict[str, str]:
    """Return the visible texts by name, after checking all that is there."""
    state = await read_state(runtime)
    wrong = half_visible(state) + leftovers(state)
    assert not wrong, brief(wrong)
    return {
        version.external_id: state.readable[document, version.text_digest]
        for (_, document), version in state.versions.items()
    }


def words(rng: random.Random) -> str:
    return " ".join(f"{rng.getrandbits(32):08x}" for _ in range(rng.randint(1, 12)))
