"""`rag documents`: list, show, delete, and the receipts of deletions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli import session
from rag.cli.session import CollectionName, DataDir, Json

if TYPE_CHECKING:
    from rag.catalog.receipts import Receipt
    from rag.runtime import Runtime

app = typer.Typer(help="List, show and delete documents.", no_args_is_help=True)

DocumentId = Annotated[str, typer.Argument(help="Id, from: rag documents list.")]


@app.command("list")
def list_(
    collection: CollectionName = "default",
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 1000,
    after: Annotated[str, typer.Option(help="Id of the last document of the page before.")] = "",
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List the documents of a collection in the order of their addresses."""

    async def work(runtime: Runtime) -> list[dict[str, Any]]:
        from rag.catalog.collections import get_collection
        from rag.catalog.documents import get_document, list_documents

        caller = session.caller()
        found = await runtime.catalog.read(get_collection, caller.tenant, collection)
        cursor = ("", "")
        if after:
            last = await runtime.catalog.read(get_document, after, caller)
            cursor = (last.uri, last.id)
        rows = await runtime.catalog.read(
            list_documents, found.live.id, caller, limit=limit, after=cursor
        )
        return [asdict(row) for row in rows]

    rows = session.run(work, data_dir)
    if json:
        session.print_json(rows)
        return
    for row in rows:
        typer.echo(f"{row['id']}  {row['chunks']:>5} chunks  {row['uri']}")
    if len(rows) == limit:
        session.say(f"more may follow: --after {rows[-1]['id']}")


@app.command()
def show(document_id: DocumentId, data_dir: DataDir = None, json: Json = False) -> None:
    """Show a document: where it came from, who may read it, its parsed text."""

    async def work(runtime: Runtime) -> dict[str, Any]:
        from rag.catalog.documents import get_document

        stored = await runtime.catalog.read(get_document, document_id, session.caller())
        text = await runtime.text(stored)
        return {**asdict(stored), "text": text}

    found = session.run(work, data_dir)
    if json:
        session.print_json(found)
        return
    for key in ("uri", "title", "collection", "chunks", "access", "metadata"):
        typer.secho(f"{key}: {found[key]}", dim=True)
    typer.echo(f"\n{found['text']}")


@app.command()
def delete(document_id: DocumentId, data_dir: DataDir = None, json: Json = False) -> None:
    """Delete a document from its collection, and print the receipt; its file stays where it is.

    The next ingest of a folder that still has the file adds it again.
    """

    async def work(runtime: Runtime) -> tuple[Receipt, Sequence[str]]:
        from indexers.removing import not_covered, remove_document
        from rag.catalog.documents import get_document

        stored = await runtime.catalog.read(get_document, document_id, session.caller())
        receipt = await remove_document(runtime, session.caller().tenant, stored)
        return receipt, not_covered(runtime.settings)

    receipt, not_covered = session.run(work, data_dir)
    if json:
        session.print_json({**asdict(receipt), "not_covered": not_covered})
        return
    typer.echo(f"deleted {receipt.document} ({receipt.uri}): receipt {receipt.id}")
    typer.echo(f"  {_times(receipt)}")
    typer.echo(f"  not covered: {'; '.join(not_covered)}")


@app.command()
def receipts(
    document: Annotated[str | None, typer.Option(help="Of this document id only.")] = None,
    run: Annotated[str | None, typer.Option(help="Of this ingestion run only.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 1000,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List what was deleted, newest first: since when unfindable, since when physically gone.

    What is not gone yet goes with the next ingest or delete in its collection.
    """

    async def work(runtime: Runtime) -> list[Receipt]:
        from rag.catalog.receipts import list_receipts

        tenant = session.caller().tenant
        return await runtime.catalog.read(
            list_receipts, tenant, document_id=document, run_id=run, limit=limit
        )

    rows = session.run(work, data_dir)
    if json:
        session.print_json([asdict(row) for row in rows])
        return
    for row in rows:
        typer.echo(f"{row.document}  {row.uri}  ({row.reason})")
        typer.echo(f"  {_times(row)}")


def _times(receipt: Receipt) -> str:
    since = datetime.fromtimestamp(receipt.unfindable, UTC).isoformat(" ", "seconds")
    if receipt.gone is None:
        return f"unfindable since {since}, not yet gone from the disk"
    later = receipt.gone - receipt.unfindable
    return (
        f"unfindable since {since}, physically gone {later:.1f} s later "
        f"({receipt.chunks} chunks in {receipt.generations} generations, texts, cached vectors)"
    )
