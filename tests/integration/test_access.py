"""Readers that change at the source: counted as such, and true for every search from then on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest

from indexers import ingest as job
from indexers.ingest import Listing
from indexers.summary import Summary
from rag.filters import EVERYTHING
from rag.ports import Change, Changed, ListingComplete
from rag.runtime import Runtime
from rag.types import Blob, Principal, Query

State = Mapping[str, tuple[str, str, tuple[str, ...]]]
"""Name to (text, fingerprint, readers)."""


class Shared:
    """A source whose documents say who may read them."""

    kind = "shared"
    repeatable = True
    root = "/shared"

    def __init__(self, state: State) -> None:
        self._state = state

    async def changes(self) -> AsyncIterator[Change]:
        for name, (_, fingerprint, access) in self._state.items():
            yield Changed(name, f"shared:{name}", fingerprint, access)
        yield ListingComplete(covers=lambda _: True)

    async def fetch(self, change: Changed) -> Blob:
        text, _, _ = self._state[change.external_id]
        return Blob(change.uri, "text/plain", content=text.encode())


async def sync(runtime: Runtime, state: State) -> Summary:
    collection = await job.open_collection(runtime, "default", "docs")
    connector = Shared(state)
    listings = [Listing(connector.kind, connector.root, connector)]
    planned = await job.preview(runtime, collection, listings)
    done = await job.ingest(runtime, collection, listings)
    for name in ("added", "updated", "unchanged", "removed", "access_changed", "failed"):
        assert getattr(planned, name) == getattr(done, name), name
    return done


async def readable(runtime: Runtime, subject: str) -> set[str]:
    principal = Principal("default", frozenset({subject}))
    found = await runtime.retrieval.search(Query("page words", "docs", principal))
    return {hit.uri for hit in found.hits}


async def stored_readers(runtime: Runtime) -> dict[str, object]:
    collection = await job.open_collection(runtime, "default", "docs")
    index = await runtime.index(collection.live)
    return {
        str(fields["uri"]): fields["subjects"]
        async for batch in index.scan(EVERYTHING)
        for fields in batch.fields
    }


START: State = {
    "a": ("page words a", "1", ("group:staff",)),
    "b": ("page words b", "1", ("group:staff", "user:ada")),
}


@pytest.mark.parametrize("fingerprint", ["1", "2"], ids=["same fingerprint", "touched as well"])
async def test_an_access_change_needs_no_new_version(runtime: Runtime, fingerprint: str) -> None:
    assert (await sync(runtime, START)).added == 2
    assert await readable(runtime, "group:staff") == {"shared:a", "shared:b"}
    moved = {**START, "a": ("page words a", fingerprint, ("user:bob",))}
    summary = await sync(runtime, moved)
    assert (summary.access_changed, summary.unchanged, summary.chunks) == (1, 1, 0)
    assert await readable(runtime, "group:staff") == {"shared:b"}
    assert await readable(runtime, "user:bob") == {"shared:a"}
    assert (await stored_readers(runtime))["shared:a"] == ["user:bob"]
    assert (await sync(runtime, moved)).unchanged == 2


async def test_changed_bytes_come_before_changed_readers(runtime: Runtime) -> None:
    await sync(runtime, START)
    summary = await sync(runtime, {**START, "a": ("other page words", "2", ("user:bob",))})
    assert (summary.updated, summary.access_changed, summary.unchanged) == (1, 0, 1)
    assert await readable(runtime, "user:bob") == {"shared:a"}
    assert await readable(runtime, "user:ada") == {"shared:b"}


async def test_a_document_without_readers_is_read_by_nobody(runtime: Runtime) -> None:
    await sync(runtime, START)
    summary = await sync(runtime, {**START, "b": ("page words b", "1", ())})
    assert summary.access_changed == 1
    assert await readable(runtime, "group:staff") == {"shared:a"}
    assert await readable(runtime, "user:ada") == set()
