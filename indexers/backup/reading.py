"""Restoring a backup that was checked: stores and files first, the catalog last, in one step.

What is interrupted before that leaves an empty installation, which can be restored again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from sqlalchemy.engine import Connection

from indexers.backup import manifest as m
from indexers.backup.lines import batch_of, digest_of, lines_of, read_lines, row_of, sum_of
from rag.catalog.dumping import Plain, check_empty, load
from rag.errors import Rejected
from rag.filters import EVERYTHING
from rag.ports import Index, IndexSpec
from rag.runtime import Runtime

ROWS: Final = 1000
"""Rows written at once."""
FILES: Final = 32
"""Files written at once: each waits for the disk."""


async def restore_backup(
    runtime: Runtime, folder: Path, manifest: m.Manifest, report: m.Report
) -> None:
    """Fill an empty installation with a backup; `manifest` comes from `check_backup`.

    Raise `UserError` when it is not empty, `Rejected` when something arrives other than it was.
    """
    await runtime.catalog.read(check_empty)
    for generation in manifest.generations:
        runtime.store(generation.store)  # one that is not configured fails before any work
    attempts = {row["attempt"] for row in _table(folder, manifest, "versions")}
    done, total = 0, sum(generation.rows for generation in manifest.generations)
    for generation in manifest.generations:
        index = await runtime.store(generation.store).create(
            IndexSpec(generation.id, generation.dim)
        )
        try:
            await _check_free(index, generation, attempts)
            lines = _lines(folder, manifest, generation)
            while part := await asyncio.to_thread(list, islice(lines, ROWS)):
                report("restoring rows", done, total)
                await index.upsert(await asyncio.to_thread(batch_of, part))
                done += len(part)
            report("checking rows", done, total)
            await index.optimize()
            await _check_rows(index, generation)
        finally:
            await index.close()
    await _restore_files(runtime, folder, manifest, report)
    report("restoring the catalog", 0, 1)
    await runtime.catalog.write(_load, folder, manifest)


def _load(connection: Connection, folder: Path, manifest: m.Manifest) -> None:
    """Fill the catalog and count its rows, before anybody can see them."""
    counts = load(connection, lambda table: _table(folder, manifest, table), manifest.counters)
    for table, count in counts.items():
        if count != manifest.tables.get(table, 0):
            raise Rejected(
                f"{count} of {manifest.tables.get(table, 0)} rows of {table} arrived",
                hint="nothing was restored; try again",
            )


def _table(folder: Path, manifest: m.Manifest, table: str) -> Iterator[Plain]:
    """Read the rows of a table; an older backup does not have them all."""
    name = f"catalog/{table}.jsonl.gz"
    if name in manifest.files:
        yield from map(row_of, read_lines(folder / name))


def _lines(folder: Path, manifest: m.Manifest, generation: m.Generation) -> Iterator[str]:
    for name in manifest.files:
        if name.startswith(f"rows/{generation.id}-"):
            yield from read_lines(folder / name)


async def _check_free(index: Index, generation: m.Generation, attempts: Collection[int]) -> None:
    """Refuse an index that holds something else; what an interrupted restore left is none."""
    async for batch in index.scan(EVERYTHING):
        if any(chunk.attempt not in attempts for chunk in batch.chunks):
            raise Rejected(
                f"the store {generation.store!r} has rows in {generation.id} that are not of this "
                "backup: another installation may live there",
                hint="configure a store of its own for the restored installation",
            )


async def _check_rows(index: Index, generation: m.Generation) -> None:
    """Read all rows back: they must be as many, and the same bit for bit."""
    total = 0
    async for batch in index.scan(EVERYTHING):
        total += await asyncio.to_thread(lambda b: sum_of(lines_of(b, b.fields)), batch)
    count = await index.count(EVERYTHING)
    if count != generation.rows or digest_of(total) != generation.digest:
        raise Rejected(
            f"the store {generation.store!r} gives {count} rows of {generation.id} back, and "
            f"{'other' if count == generation.rows else f'not {generation.rows}'} ones",
            hint="nothing was restored; try again, or with another store",
        )


async def _restore_files(
    runtime: Runtime, folder: Path, manifest: m.Manifest, report: m.Report
) -> None:
    """Put texts and originals in place and read them back."""

    def restore(name: str) -> None:
        kind, document, digest = name.split("/")
        blobs = runtime.texts if kind == "texts" else runtime.originals
        try:
            content = (folder / name).read_bytes()
        except OSError as exc:
            raise Rejected(f"{name} cannot be read: {exc.strerror}", hint="check the disk") from exc
        blobs.put(document, content)
        blobs.get(document, digest)

    names = [name for name in manifest.files if name.startswith(("texts/", "originals/"))]
    for start in range(0, len(names), FILES):
        report("restoring texts", start, len(names))
        part = names[start : start + FILES]
        await asyncio.gather(*(asyncio.to_thread(restore, name) for name in part))
