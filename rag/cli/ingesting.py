"""`rag ingest`: bring a collection level with folders and files, with a live view."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli import session
from rag.cli.progress import BAR, ELAPSED, LEFT, live_line
from rag.cli.session import Backend, CollectionName, DataDir, EmbedderName, Json

if TYPE_CHECKING:
    from indexers.prepared import Progress
    from indexers.summary import Summary
    from rag.runtime import Runtime

SHOWN_FAILURES = 20
LAYOUT = (
    "{task.fields[files]} files",
    BAR,
    "{task.fields[speed]} tokens/s",
    ELAPSED,
    "left",
    LEFT,
    "{task.fields[failed]}",
)

Globs = list[str] | None


def ingest(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Folders and files; - reads one from a pipe."),
    ],
    name: Annotated[
        str | None, typer.Option(help="Name of the document that a pipe gives, with its ending.")
    ] = None,
    collection: CollectionName = "default",
    include: Annotated[Globs, typer.Option(help="Only files matching this glob.")] = None,
    exclude: Annotated[Globs, typer.Option(help="No files matching this glob.")] = None,
    hidden: Annotated[bool, typer.Option("--hidden", help="Hidden files too.")] = False,
    no_ignore: Annotated[
        bool, typer.Option("--no-ignore", help="Do not read .gitignore and .cumuloignore.")
    ] = False,
    max_file_mb: Annotated[
        int, typer.Option("--max-file-mb", min=1, help="Larger files fail.")
    ] = 1024,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")
    ] = False,
    backend: Backend = None,
    embedder: EmbedderName = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Put documents into a collection, and take out those whose files are gone.

    Unchanged files are skipped; each distinct text is embedded once. Files that --include and
    --exclude leave out stay as they are. Ctrl-C finishes the batch under way; the same command
    goes on from there.

    A document from a pipe stays until it is deleted or another one of its name comes; its
    original is kept, because nobody can be asked for it again.

    Example: rag ingest docs notes.md --collection handbook

    Example: curl -s https://example.org/page.html | rag ingest - --name page.html
    """
    from indexers.sources import check_paths

    piped = _read_pipe(paths, name)
    if piped is None:
        check_paths(paths)  # before anything is made for them
    options = {
        "include": include or (),
        "exclude": exclude or (),
        "hidden": hidden,
        "ignore_files": not no_ignore,
        "max_bytes": max_file_mb * 2**20,
    }

    async def work(runtime: Runtime) -> Summary:
        from indexers import ingest as job
        from indexers.prepared import Progress
        from rag.catalog.collections import get_collection

        tenant = session.caller().tenant
        if dry_run:
            found = await runtime.catalog.read(get_collection, tenant, collection)
        else:
            found = await job.open_collection(
                runtime, tenant, collection, store=backend, embedder=embedder
            )
        if piped is None:
            listings = await job.list_paths(runtime, found, paths, options, claim=not dry_run)
        else:
            listings = [job.upload(*piped)]
        if dry_run:
            return await job.preview(runtime, found, listings)
        progress, stop = Progress(), session.stop_on_interrupt(session.say)
        async with shown(progress, live=not json):
            return await job.ingest(runtime, found, listings, progress=progress, stop=stop)

    summary = session.run(work, data_dir, create=not dry_run)
    if json:
        facts = asdict(summary)
        del facts["interrupted"], facts["warnings"]
        session.print_json(facts)
    else:
        _print(summary, collection, dry_run)
    if summary.failed or summary.quarantined:
        session.say("see what cannot be read, and why: rag failures list")
    for warning in summary.warnings:
        session.say(f"warning: {warning}")
    if summary.interrupted:
        session.say(f"interrupted: {session.GO_ON}")
        raise typer.Exit(session.INTERRUPTED)
    if summary.failed:
        raise typer.Exit(session.INCOMPLETE)


def _read_pipe(paths: Sequence[Path], name: str | None) -> tuple[str, bytes] | None:
    """Return name and content of the document on standard input, if that is what was asked for."""
    from rag.errors import UserError

    if Path("-") not in paths:
        if name is not None:
            raise UserError("--name is for a document from a pipe", hint="rag ingest - --name NAME")
        return None
    if len(paths) > 1 or name is None:
        raise UserError(
            "a pipe gives one document, which needs a name", hint="rag ingest - --name NAME.md"
        )
    return name, sys.stdin.buffer.read()


def shown(progress: Progress, *, live: bool) -> AbstractAsyncContextManager[None]:
    """Show files, tokens per second, time left and failures while the work runs."""
    began = time.monotonic()
    return live_line(LAYOUT, lambda: _state(progress, began), live=live)


def _state(progress: Progress, began: float) -> dict[str, Any]:
    speed = progress.tokens / max(time.monotonic() - began, 1e-9)
    return {
        "total": progress.bytes or None,
        "completed": progress.bytes_done,
        "files": f"{progress.files_done}/{progress.files}" if progress.files else "listing",
        "speed": f"{speed:,.0f}",
        "failed": f"{len(progress.failures)} failed" if progress.failures else "",
    }


def _print(summary: Summary, collection: str, dry_run: bool) -> None:
    verb = "would be " if dry_run else ""
    counts = ", ".join(
        f"{getattr(summary, name)} {verb}{name.replace('_', ' ')}"
        for name in (
            "added",
            "updated",
            "unchanged",
            "removed",
            "access_changed",
            "failed",
            "quarantined",
        )
        if getattr(summary, name) or name == "added"
    )
    typer.echo(f"{collection}: {counts}")
    if not dry_run:
        speed = summary.tokens / summary.seconds if summary.seconds else 0
        typer.echo(
            f"{summary.chunks} chunks, {summary.tokens:,} tokens embedded"
            f" in {summary.seconds:.1f} s" + (f" ({speed:,.0f} tokens/s)" if summary.tokens else "")
        )
    for failure in summary.failures[:SHOWN_FAILURES]:
        session.say(f"failed: {failure['uri']}: {failure['error']}")
    if summary.failed > SHOWN_FAILURES:
        session.say(f"… and {summary.failed - SHOWN_FAILURES} more; see them all with --json")
