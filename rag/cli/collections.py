"""`rag collections`: list and delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli import session
from rag.cli.session import DataDir, Json

if TYPE_CHECKING:
    from rag.runtime import Runtime
    from rag.types import Collection

app = typer.Typer(help="List and delete collections.", no_args_is_help=True)


@app.command("list")
def list_(data_dir: DataDir = None, json: Json = False) -> None:
    """List the collections with their size and what built them."""

    async def work(runtime: Runtime) -> list[Collection]:
        from rag.catalog.collections import list_collections

        return await runtime.catalog.read(list_collections, session.caller().tenant)

    found = session.run(work, data_dir)
    facts = [
        {
            "name": collection.name,
            "documents": collection.documents,
            "chunks": collection.live.chunks,
            "backend": collection.live.store,
            "embedder": collection.live.embedder.name,
            "dim": collection.live.dim,
            "generation": collection.live.id,
        }
        for collection in found
    ]
    if json:
        session.print_json(facts)
        return
    for fact in facts:
        typer.echo(
            f"{fact['name']}: {fact['documents']} documents, {fact['chunks']} chunks "
            f"({fact['backend']}, {fact['embedder']})"
        )
    if not facts:
        session.say("no collections yet; make one with: rag ingest PATH")


@app.command()
def delete(
    name: Annotated[str, typer.Argument(help="The collection.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Delete a collection with all its documents, vectors and texts."""
    if not yes:
        typer.confirm(f"Delete the collection {name!r} and everything in it?", abort=True, err=True)

    async def work(runtime: Runtime) -> int:
        from indexers.removing import remove_collection
        from rag.catalog.collections import get_collection

        found = await runtime.catalog.read(get_collection, session.caller().tenant, name)
        await remove_collection(runtime, found)
        return found.documents

    documents = session.run(work, data_dir)
    if json:
        session.print_json({"deleted": name, "documents": documents})
    else:
        typer.echo(f"deleted {name}: {documents} documents")
