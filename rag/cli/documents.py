"""`rag documents`: list, show, delete."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli import session
from rag.cli.session import CollectionName, DataDir, Json

if TYPE_CHECKING:
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
        text = await asyncio.to_thread(runtime.blobs.get, stored.id, stored.text_digest)
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
    """Delete a document from its collection; its file stays where it is.

    The next ingest of a folder that still has the file adds it again.
    """

    async def work(runtime: Runtime) -> str:
        from indexers.removing import remove_document
        from rag.catalog.documents import get_document

        stored = await runtime.catalog.read(get_document, document_id, session.caller())
        await remove_document(runtime, session.caller().tenant, stored)
        return stored.uri

    uri = session.run(work, data_dir)
    if json:
        session.print_json({"deleted": document_id, "uri": uri})
    else:
        typer.echo(f"deleted {document_id} ({uri})")
