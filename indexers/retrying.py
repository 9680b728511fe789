"""Another try for files in quarantine: their sources are ingested again, for these files alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection as Many
from pathlib import Path

from indexers.ingest import ingest, list_paths
from indexers.summary import Summary
from rag.catalog.collections import get_collection, list_collections
from rag.catalog.quarantine import Quarantined, list_quarantined
from rag.errors import NotFound
from rag.runtime import Runtime

LISTED = "filesystem"
"""Sources that can be listed again."""


async def list_failures(runtime: Runtime, tenant: str, collection: str | None) -> list[Quarantined]:
    """List what is in quarantine, the oldest first; raise `NotFound` for an unknown collection."""
    if collection is not None:
        found = [await runtime.catalog.read(get_collection, tenant, collection)]
    else:
        found = await runtime.catalog.read(list_collections, tenant)
    return await runtime.catalog.read(list_quarantined, [one.id for one in found])


async def retry_failures(
    runtime: Runtime, tenant: str, collection: str | None, ids: Many[int] | None
) -> list[Summary]:
    """Read these entries' files again (all, if `ids` is None); one summary for each collection.

    Raise `NotFound` for a number that is not in quarantine, and for a document whose source
    cannot be asked again.
    """
    entries = await list_failures(runtime, tenant, collection)
    if ids is not None:
        if missing := set(ids) - {entry.id for entry in entries}:
            raise NotFound(f"{min(missing)} is not in quarantine", hint="see: rag failures list")
        entries = [entry for entry in entries if entry.id in ids]
    groups: dict[str, list[Quarantined]] = defaultdict(list)
    for entry in entries:
        if entry.kind == LISTED:
            groups[entry.collection].append(entry)
        elif ids is not None:
            raise NotFound(
                f"{entry.refused.uri} was handed over once and cannot be read again",
                hint="hand it over again: rag ingest - --name NAME",
            )
    summaries = []
    for name, mine in groups.items():
        found = await runtime.catalog.read(get_collection, tenant, name)
        again = {entry.refused.file for entry in mine}
        paths = {Path(entry.root) / entry.refused.file for entry in mine}
        here = sorted(path for path in paths if path.exists())
        listings = await list_paths(runtime, found, here, {"hidden": True, "ignore_files": False})
        summaries.append(await ingest(runtime, found, listings, again=again))
    return summaries
