"""`rag backup` and `rag restore`: everything an installation cannot make again, in one folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli import session
from rag.cli.session import DataDir, Json

if TYPE_CHECKING:
    from indexers.backup.manifest import Manifest, Report
    from rag.runtime import Runtime


def backup(
    folder: Annotated[Path, typer.Argument(help="New folder for the backup.")],
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Write a backup of all collections: catalog, rows with vectors, texts, kept originals.

    Runs may write meanwhile: a backup is one consistent state. It has no models, settings and
    caches. An interrupted one leaves nothing under this name.

    Example: rag backup /mnt/backups/2026-11-23
    """

    async def work(runtime: Runtime) -> Manifest:
        from indexers.backup.writing import write_backup

        with _shown(live=not json) as report:
            return await write_backup(runtime, folder, report)

    _print("backed up", session.run(work, data_dir), folder, json)


def restore(
    folder: Annotated[Path, typer.Argument(help="Folder of the backup.")],
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Restore a backup into an installation that has never held anything.

    Every file of the backup is checked first, and everything restored is read back and compared.
    The documents are there when all of that succeeded; an interrupted restore is done again by the
    same command.

    Example: rag restore /mnt/backups/2026-11-23 --data-dir new
    """
    from indexers.backup.manifest import check_backup

    with _shown(live=not json) as report:
        manifest = check_backup(folder, report)  # before anything is made for it

    async def work(runtime: Runtime) -> Manifest:
        from indexers.backup.reading import restore_backup

        with _shown(live=not json) as report:
            await restore_backup(runtime, folder, manifest, report)
        return manifest

    _print("restored", session.run(work, data_dir, create=True), folder, json)


@contextmanager
def _shown(*, live: bool) -> Iterator[Report]:
    """Give a function that shows how far the work is, on a terminal."""
    if not live or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def report(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield report


def _print(verb: str, manifest: Manifest, folder: Path, json: bool) -> None:
    facts: dict[str, Any] = {
        "folder": str(folder),
        "created": manifest.created,
        "collections": [collection.model_dump() for collection in manifest.collections],
        "documents": manifest.tables["documents"],
        "chunks": sum(generation.rows for generation in manifest.generations),
        "files": len(manifest.files),
        "bytes": manifest.bytes,
    }
    if json:
        session.print_json(facts)
        return
    typer.echo(
        f"{verb} {facts['documents']} documents of {len(manifest.collections)} collections"
        f" ({facts['chunks']} chunks, {facts['bytes'] / 1e6:,.1f} MB)"
    )
