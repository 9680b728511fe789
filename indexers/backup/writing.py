"""Writing a backup: one state of the catalog, and the rows and files that belong to it.

Runs may write meanwhile: what is gone before it was copied was replaced, so a newer state of the
catalog is taken and only what changed is copied again. What is visible and cannot be read stops it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from indexers.backup import manifest as m
from indexers.backup.copying import Copy
from indexers.backup.lines import digest_of, line_of, write_lines
from rag import __version__
from rag.catalog.dumping import Plain, Snapshot, VisibleVersion, dump
from rag.catalog.tables import HEAD
from rag.errors import Rejected, Unavailable, UserError
from rag.runtime import Runtime

ROUNDS: Final = 10
"""States of the catalog that are taken while runs are writing; each round has less to copy."""


async def write_backup(runtime: Runtime, folder: Path, report: m.Report) -> m.Manifest:
    """Write a backup into a folder, which is not there before all of it is written.

    Raise `Rejected` when something is damaged, `Unavailable` when runs write faster than it copies.
    """
    created = time.time()
    with _beside(folder) as draft:
        copy = Copy(runtime, draft, report)
        snapshot = await _settled(runtime, draft, copy, report)
        await asyncio.to_thread(copy.prune, snapshot)
        manifest = await asyncio.to_thread(_described, draft, copy, snapshot, created, report)
        m.write_manifest(draft, manifest)
    return manifest


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """Give a hidden folder that takes this name when all went well, and else goes away."""
    try:
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise UserError(f"{folder} is there already", hint="name a new folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
        try:
            yield draft
            os.sync()
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as exc:
        raise Unavailable(
            f"the backup cannot be written: {exc.strerror or exc}",
            hint="is there room, and is the folder yours?",
        ) from exc


async def _settled(runtime: Runtime, draft: Path, copy: Copy, report: m.Report) -> Snapshot:
    """Copy until everything that one state of the catalog shows is here; return that state."""

    def keep(table: str, rows: Iterator[Plain]) -> int:
        path = draft / "catalog" / f"{table}.jsonl.gz"
        path.unlink(missing_ok=True)  # of the round before
        return write_lines(path, map(line_of, rows))

    absent: frozenset[VisibleVersion] = frozenset()
    for _ in range(ROUNDS):
        report("reading the catalog", 0, 1)
        snapshot = await runtime.catalog.read(dump, keep)
        if lost := absent & snapshot.versions:  # visible, so nobody has replaced it
            raise Rejected(
                f"rows or texts of {len(lost)} documents are lost or damaged, "
                f"such as those of {min(version.document for version in lost)}",
                hint="run: rag doctor --fix",
            )
        absent = await copy.take(snapshot)
        if not absent:
            return snapshot
    raise Unavailable(
        "runs are writing faster than a backup can follow", hint="try again when they are done"
    )


def _described(
    draft: Path, copy: Copy, snapshot: Snapshot, created: float, report: m.Report
) -> m.Manifest:
    """Read everything back and say what it is."""
    counts, sums = copy.rows(snapshot)
    files = {}
    found = list(m.files_in(draft))
    for number, (name, path) in enumerate(found):
        report("reading back", number, len(found))
        files[name] = m.fingerprint(path)
    return m.Manifest(
        format=m.FORMAT,
        cumulo=__version__,
        revision=HEAD,
        created=created,
        collections=[
            m.Collection(tenant=tenant, name=name, documents=documents)
            for tenant, name, documents in snapshot.collections
        ],
        tables=dict(snapshot.tables),
        counters=dict(snapshot.counters),
        generations=[
            m.Generation(
                id=id_, store=store, dim=dim, rows=counts[id_], digest=digest_of(sums[id_])
            )
            for id_, store, dim in snapshot.generations
        ],
        files=files,
    )
