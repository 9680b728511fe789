"""Tasks opened: what was handed over, as a listing that can be ingested.

A URL is fetched to disk first, through the client that reaches public addresses only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from indexers.ingest import Listing, uploads
from indexers.spool import Spool
from indexers.tasks import FilesTask, Task
from rag.errors import Rejected
from rag.http.client import open_client
from rag.http.policy import HttpPolicy
from rag.types import PUBLIC, Principal


@asynccontextmanager
async def taken(
    task: Task, spool: Spool, principal: Principal, http: HttpPolicy | None
) -> AsyncIterator[Listing]:
    """Open a task for whoever asked for it; raise what its document cannot be had for."""
    access = readers_of(principal)
    if isinstance(task, FilesTask):
        yield uploads(await asyncio.to_thread(_spooled, task, spool), access)
        return
    folder = await asyncio.to_thread(spool.open)
    try:
        path = folder / "0"
        async with open_client(http) as client:
            with path.open("wb") as file:
                fetched = await client.save(task.url, file)
        document = {
            "name": task.name,
            "uri": task.url,
            "path": path,
            "media_type": fetched.media_type,
            "metadata": task.metadata,
        }
        yield uploads([document], access)
    finally:
        await asyncio.to_thread(spool.remove, folder)


def readers_of(principal: Principal) -> list[str]:
    """Return who may read what a principal hands over: the caller alone."""
    alone = [subject for subject in principal.subjects if subject.startswith("user:")]
    return sorted(alone or principal.subjects - {PUBLIC})


def _spooled(task: FilesTask, spool: Spool) -> list[dict[str, Any]]:
    folder = spool.folder(task.folder)
    if not all((folder / file.file).is_file() for file in task.files):
        raise Rejected("the files of this run are gone", hint="hand them over again")
    return [
        {
            "name": file.name,
            "path": folder / file.file,
            "digest": file.digest,
            "media_type": file.media_type,
            "metadata": task.metadata,
        }
        for file in task.files
    ]
