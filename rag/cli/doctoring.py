"""`rag doctor`: say what does not agree in a data folder, and make it agree."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli import session
from rag.cli.progress import BAR, COUNT, ELAPSED, live_line
from rag.cli.session import DataDir, Json

if TYPE_CHECKING:
    from indexers.doctor.findings import Finding, Progress, Report
    from rag.runtime import Runtime

SHOWN = 20
LAYOUT = ("{task.description}", BAR, COUNT, ELAPSED)


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended.")] = False,
    collection: Annotated[
        str | None,
        typer.Option("--collection", "-c", help="Look at this one only; by default at all."),
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Compare catalog, indexes, kept texts and caches with each other.

    Whatever can be made again is made again with --fix, without the sources: rows from the kept
    texts, texts from the kept originals, statistics from what is visible. What cannot is said, with
    what to do. Ingestion may run meanwhile.

    Ends with 0 when all is well or mended, with 1 when something is left.

    Example: rag doctor --fix
    """
    from rag.errors import Rejected

    async def work(runtime: Runtime) -> Report:
        from indexers.doctor.examining import examine
        from indexers.doctor.findings import Progress
        from rag.catalog.collections import get_collection

        only = None
        if collection is not None:
            tenant = session.caller().tenant
            only = await runtime.catalog.read(get_collection, tenant, collection)
        progress = Progress()
        async with live_line(LAYOUT, lambda: _state(progress), live=not json):
            return await examine(runtime, only, fix=fix, progress=progress)

    try:
        report = session.run(work, data_dir)
    except Rejected as exc:
        from indexers.doctor.findings import RESTORE

        advice = RESTORE if "rag doctor" in (exc.hint or "") else exc.hint
        raise Rejected(exc.message, hint=advice) from exc
    if json:
        session.print_json(
            {"healthy": not report.findings, "left": len(report.left), **asdict(report)}
        )
    else:
        _print(report)
    if report.left:
        raise typer.Exit(session.FAILED)


def _state(progress: Progress) -> dict[str, Any]:
    return {
        "description": progress.stage,
        "total": progress.total or None,
        "completed": progress.done,
    }


def _print(report: Report) -> None:
    from indexers.doctor.findings import TITLES

    for kind, count in report.counts().items():
        typer.secho(f"{TITLES[kind]}:", bold=True)
        mine = [finding for finding in report.findings if finding.kind == kind]
        for finding in mine[:SHOWN]:
            typer.echo(f"  {_line(finding)}")
        if count > SHOWN:
            typer.echo(f"  … and {count - SHOWN} more; see them all with --json")
    found, left = len(report.findings), len(report.left)
    typer.echo(
        f"looked at {report.documents} documents, {report.rows} rows and {report.files} files in "
        f"{report.collections} collections: "
        + (f"{found} findings, {found - left} fixed, {left} left" if found else "all is well")
    )
    for todo in dict.fromkeys(finding.todo for finding in report.left if finding.todo):
        session.say(f"to do: {todo}")


def _line(finding: Finding) -> str:
    where = ": ".join(filter(None, (finding.collection, finding.uri or finding.document)))
    state = " (fixed)" if finding.fixed else ""
    return f"{where}: {finding.what}{state}" if where else f"{finding.what}{state}"
