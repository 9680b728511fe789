"""`rag failures`: files that could not be parsed, and another try."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli import session
from rag.cli.session import DataDir, Json

if TYPE_CHECKING:
    from indexers.summary import Summary
    from rag.catalog.quarantine import Quarantined
    from rag.runtime import Runtime

app = typer.Typer(help="List files in quarantine, and retry them.", no_args_is_help=True)

Of = Annotated[str | None, typer.Option("--collection", "-c", help="Of this collection only.")]


@app.command("list")
def list_(collection: Of = None, data_dir: DataDir = None, json: Json = False) -> None:
    """List the files that could not be parsed, with the reason.

    They are passed over until they change, until another version of the program comes, or until
    they are retried. What was indexed of them before stays.
    """

    async def work(runtime: Runtime) -> list[Quarantined]:
        from indexers.retrying import list_failures

        return await list_failures(runtime, session.caller().tenant, collection)

    entries = session.run(work, data_dir)
    if json:
        session.print_json([_shape(entry) for entry in entries])
        return
    for entry in entries:
        typer.echo(f"{entry.id}  {entry.refused.code}  {entry.refused.uri}")
        since = datetime.fromtimestamp(entry.since, UTC).isoformat(" ", "seconds")
        typer.echo(f"   {entry.collection}, since {since}: {entry.refused.reason}")
    if not entries:
        session.say("nothing is in quarantine")


@app.command()
def retry(
    ids: Annotated[
        list[int] | None, typer.Argument(help="Numbers, from: rag failures list.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are listed.")] = False,
    collection: Of = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Read files in quarantine again, now.

    Useful after a program was installed that they need, or a password or a limit was changed. A
    document that came through a pipe must be handed over again.

    Example: rag failures retry --all
    """
    from rag.errors import UserError

    if bool(ids) == everything:
        raise UserError("say which to retry", hint="give numbers, or --all")

    async def work(runtime: Runtime) -> list[Summary]:
        from indexers.retrying import retry_failures

        tenant = session.caller().tenant
        return await retry_failures(runtime, tenant, collection, None if everything else ids)

    summaries = session.run(work, data_dir)
    failures = [failure for summary in summaries for failure in summary.failures]
    counts = {
        name: sum(getattr(summary, name) for summary in summaries)
        for name in ("added", "updated", "unchanged", "failed")
    }
    if json:
        session.print_json({**counts, "failures": failures})
    else:
        typer.echo(", ".join(f"{count} {name}" for name, count in counts.items()))
        for failure in failures:
            session.say(f"failed: {failure['uri']}: {failure['error']}")
    if failures:
        raise typer.Exit(session.INCOMPLETE)


def _shape(entry: Quarantined) -> dict[str, Any]:
    shape = asdict(entry)
    return {**shape.pop("refused"), **shape}
