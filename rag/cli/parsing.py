"""`rag parse`: what an ingest would make of one file, before it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli import session
from rag.cli.session import DataDir, EmbedderName, Json

if TYPE_CHECKING:
    from indexers.inspecting import Inspected
    from rag.settings import Settings


def parse(
    file: Annotated[Path, typer.Argument(help="The file to read.")],
    password: Annotated[
        list[str] | None, typer.Option(help="Try this on encrypted content; may be repeated.")
    ] = None,
    chunks: Annotated[
        bool, typer.Option("--chunks/--no-chunks", help="Cut the text for the embedder.")
    ] = True,
    embedder: EmbedderName = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show the text, structure and chunks that an ingest would make of a file; keep nothing.

    Members of archives and mails are shown one after the other, as documents of their own. The
    result is ok, empty, or why it cannot be read; the exit code is 1 when the file cannot, 3 when
    some members cannot.

    Example: rag parse report.pdf

    Example: rag parse mail.eml --json | jq '.documents[].path'
    """
    from pydantic import SecretStr

    from rag.errors import NotFound, UnreadableDocument

    if not file.is_file():
        raise NotFound(f"there is no file {str(file)!r}")
    settings = session.settings(data_dir)
    passwords = [*map(SecretStr, password or ()), *settings.parsing.passwords]
    settings.parsing = settings.parsing.model_copy(update={"passwords": passwords})
    found: list[dict[str, Any]] = []

    async def work() -> None:
        async for one in _inspected(file, settings, embedder, chunks=chunks):
            if json:
                found.append(_shape(one, chunks=chunks))
            else:
                found.append({"result": one.result})
                _print(one, chunks=chunks)

    try:
        asyncio.run(work())
    except UnreadableDocument as exc:
        if json:
            session.print_json({"file": str(file), "result": exc.code, "error": str(exc)})
            raise typer.Exit(session.FAILED) from None
        session.fail(f"{exc.code}: {exc.message}", exc.hint, session.FAILED)
    if json:
        result = found[0]["result"] if found else "empty"
        session.print_json({"file": str(file), "result": result, "documents": found})
    if any(one["result"] not in ("ok", "empty") for one in found):
        raise typer.Exit(session.INCOMPLETE)


async def _inspected(
    file: Path, settings: Settings, embedder: str | None, *, chunks: bool
) -> AsyncIterator[Inspected]:
    from indexers.ingest import chunk_spec
    from indexers.inspecting import inspect
    from rag.runtime import configured_embedder

    if not chunks:
        async for one in inspect(file, settings.parsing, None):
            yield one
        return
    opened = configured_embedder(settings, embedder or settings.defaults.embedder)
    try:
        cut = opened, chunk_spec(settings.chunking, opened)
        async for one in inspect(file, settings.parsing, cut):
            yield one
    finally:
        await opened.close()


def _shape(one: Inspected, *, chunks: bool) -> dict[str, Any]:
    shape: dict[str, Any] = {"path": list(one.path), "result": one.result}
    document = one.document
    if one.error is not None or document is None:
        return {**shape, "error": str(one.error)}
    shape |= {
        "title": document.title,
        "metadata": dict(one.metadata),
        "text": document.text,
        "blocks": [asdict(block) for block in document.blocks],
        "places": [asdict(place) for place in document.places],
    }
    if chunks:
        shape["chunks"] = [
            {
                "start": span.start,
                "end": span.end,
                "heading": list(span.heading),
                "tokens": span.tokens,
                "location": _location(one, span.start, span.end),
                "text": document.text[span.start : span.end],
                "embedded_text": span.embedded_text,
            }
            for span in one.spans
        ]
    return shape


def _location(one: Inspected, start: int, end: int) -> dict[str, Any] | None:
    from rag.places import locate
    from rag.replies import location_json

    document = one.document
    assert document is not None
    return location_json(locate(document.places, document.text, start, end))


def _print(one: Inspected, *, chunks: bool) -> None:
    """Print a document as its chunks follow each other, each under a line that says where it is."""
    from rag.places import locate

    name = " ! ".join(one.path) or "the file itself"
    document = one.document
    if one.error is not None or document is None:
        typer.secho(f"== {name}: {one.result}: {one.error}", fg=typer.colors.RED)
        return
    title = f", {document.title!r}" if document.title else ""
    typer.secho(f"== {name}: {one.result}{title}", bold=True)
    for field, value in one.metadata.items():
        typer.secho(f"   {field}: {value}", dim=True)
    if not chunks:
        typer.echo(document.text)
        return
    for n, span in enumerate(one.spans, start=1):
        where = locate(document.places, document.text, span.start, span.end)
        place = ", ".join(filter(None, (" > ".join(span.heading), str(where) if where else "")))
        typer.secho(f"-- chunk {n}, {span.tokens} tokens, {place or 'no heading'}", dim=True)
        typer.echo(document.text[span.start : span.end].strip())
