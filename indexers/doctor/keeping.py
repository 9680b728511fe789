"""Kept files and cached vectors that nothing needs, and a vector cache that cannot be read."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

from indexers.doctor.checkup import Checkup
from indexers.doctor.findings import DOUBTFUL, Finding
from indexers.sqlite_lane import connect
from indexers.vector_cache import DAMAGED
from rag.blobs import Blobs
from rag.catalog import auditing
from rag.catalog.auditing import Digest, File
from rag.errors import NotFound, Rejected

PAGE = 256


async def check_files(checkup: Checkup, column: Digest, blobs: Blobs, *, trusted: bool) -> None:
    """Find kept files that no version, open attempt or outbox has."""
    what = column.removesuffix("_digest")
    listed = blobs.listed()
    while part := await asyncio.to_thread(lambda: list(islice(listed, PAGE))):
        checkup.report.files += len(part)
        checkup.progress.done += len(part)
        suspects = await checkup.runtime.catalog.read(
            auditing.unneeded, column, [file for file in part if _is_document(file[0])]
        )
        suspects = [file for file in suspects if file[0] not in checkup.spared]
        if trusted:
            unneeded: Sequence[File] = await checkup.runtime.catalog.write(
                auditing.drop_unneeded, column, suspects, blobs.drop
            )
        else:
            unneeded = await asyncio.to_thread(_still_there, blobs, suspects)
        for document_id, digest in unneeded:
            checkup.found(
                Finding(
                    "file_orphaned",
                    f"the {what} {digest[:12]}… of document {document_id} belongs to no version",
                    document=document_id,
                    fixed=trusted,
                    todo=None if trusted or not checkup.fix else DOUBTFUL,
                )
            )


async def is_cache_readable(checkup: Checkup) -> bool:
    """Find a vector cache that cannot be read; nothing is lost with it but time."""
    path = checkup.runtime.settings.data_dir / "cache" / "vectors.sqlite"
    problem = await asyncio.to_thread(_unreadable, path)
    if problem is None:
        return True
    if checkup.fix:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    checkup.found(
        Finding("cache", f"the vector cache cannot be read: {problem}", fixed=checkup.fix)
    )
    return checkup.fix


async def check_cache_owners(checkup: Checkup) -> None:
    """Find cached vectors of documents that are none, unless a run may be bringing them."""
    owners = sorted(await checkup.cache.owners())
    catalog = checkup.runtime.catalog
    if not owners or await catalog.read(auditing.has_unfinished_runs):
        return
    strangers = await catalog.read(auditing.strangers, owners)
    if not strangers:
        return
    if checkup.fix:
        await checkup.cache.forget(strangers)
    checkup.found(
        Finding(
            "cache_orphaned",
            f"the vector cache has vectors of {len(strangers)} documents that are not there",
            fixed=checkup.fix,
        )
    )


def _still_there(blobs: Blobs, files: Sequence[File]) -> list[File]:
    """Return those files that their writers have not removed meanwhile."""
    there = []
    for document_id, digest in files:
        try:
            blobs.get(document_id, digest)
        except NotFound:
            continue
        except Rejected:  # damaged, and there
            pass
        there.append((document_id, digest))
    return there


def _unreadable(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        with closing(connect(path)) as connection:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as exc:
        if getattr(exc, "sqlite_errorcode", 0) & 0xFF not in DAMAGED:
            raise
        return str(exc)
    return None if found == "ok" else str(found)


def _is_document(name: str) -> bool:
    """Tell whether a folder is a document's; others are not ours to judge."""
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False
