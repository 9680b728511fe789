"""`rag search` and `rag ask`: hits, and answers with citations."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rag.cli import session
from rag.cli.session import CollectionName, DataDir, Json

if TYPE_CHECKING:
    from rag.runtime import Runtime
    from rag.types import Answer, Location, Query, Retrieved

Text = Annotated[str, typer.Argument(help="The question.")]
K = Annotated[int, typer.Option("-k", "--k", help="How many chunks.")]
ModeOption = Annotated[
    Literal["dense", "sparse", "hybrid"],
    typer.Option(help="By meaning, by words, or by both."),
]
FilterOption = Annotated[
    str | None,
    typer.Option("--filter", help='JSON, like {"eq": {"meta.lang": "en"}}.'),
]
WIDTH = 300


def search(
    text: Text,
    collection: CollectionName = "default",
    k: K = 10,
    mode: ModeOption = "hybrid",
    where: FilterOption = None,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Compare with every chunk: slower, nothing approximate."),
    ] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Find the chunks that match a question best.

    Scores are comparable within one mode only: cosine in dense, BM25 in sparse, fused in hybrid.

    Example: rag search "how do I restore a backup" --filter '{"eq": {"meta.ext": ".md"}}'
    """
    query = replace(_query(text, collection, k, mode, where), exact=exact)

    async def work(runtime: Runtime) -> Retrieved:
        return await runtime.retrieval.search(query)

    found = session.run(work, data_dir)
    from rag.replies import hit_json, locate_hit

    if json:
        session.print_json(
            {"hits": [hit_json(hit) for hit in found.hits], "partial": found.partial}
        )
        return
    for n, hit in enumerate(found.hits, start=1):
        place = _place((hit.title, *hit.chunk.heading), locate_hit(hit))
        typer.secho(f"{n}. {place}  ({hit.score:.3f})", bold=True)
        typer.echo(f"   {hit.uri}#{hit.chunk.start}-{hit.chunk.end}")
        typer.echo(f"   {_short(hit.chunk.text)}\n")
    _remark(found)


def ask(
    text: Text,
    collection: CollectionName = "default",
    k: K = 10,
    mode: ModeOption = "hybrid",
    where: FilterOption = None,
    llm: Annotated[
        str | None,
        typer.Option(
            "--llm", help="Who writes: `extractive` quotes; or a configured language model."
        ),
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Answer a question from the collection, each sentence with its source.

    Example: rag ask "which port does the server listen on?"
    """
    query = _query(text, collection, k, mode, where)

    async def work(runtime: Runtime) -> Answer:
        from rag.answering import Asked, Piece
        from rag.errors import RagError

        asked = Asked(query, model=llm or runtime.settings.defaults.llm)
        begun = False
        try:
            async with aclosing(runtime.answerer.stream(asked)) as parts:
                async for part in parts:
                    if not isinstance(part, Piece):
                        return part
                    if not json:
                        begun = True
                        typer.echo(part.text, nl=False)
        except RagError:
            if begun:
                typer.echo(" …")  # what went wrong stands on a line of its own
            raise
        raise AssertionError("unreachable: a stream ends with its answer")

    answer = session.run(work, data_dir)
    if json:
        from rag.replies import answer_json

        session.print_json(answer_json(answer))
        return
    typer.echo("\n")
    for citation in answer.citations:
        place = _place((citation.title, *citation.heading), citation.location)
        typer.echo(f"[{citation.n}] {place}")
        typer.secho(f"    {citation.uri}#{citation.start}-{citation.end}", dim=True)
    for start, end in answer.unsupported:
        session.say(f"no source supports: {_short(answer.text[start:end])}")


def _short(text: str) -> str:
    """Put a text on one line of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= WIDTH else f"{line[:WIDTH]}…"


def _place(names: Sequence[str], location: Location | None) -> str:
    """Join title and headings; the title once, where the first heading is the title."""
    distinct = names[1:] if names[:1] == names[1:2] else names
    return " > ".join(distinct) + (f", {location}" if location is not None else "")


def _query(text: str, collection: str, k: int, mode: Any, where: str | None) -> Query:
    from rag.filters import EVERYTHING, parse_filter
    from rag.types import Query

    return Query(
        text=text,
        collection=collection,
        principal=session.caller(),
        k=k,
        mode=mode,
        where=EVERYTHING if where is None else parse_filter(where),
    )


def _remark(found: Retrieved) -> None:
    if not found.hits:
        session.say("nothing found")
    if found.partial:
        session.say("partial: more may match than could be verified")
    if found.unread:
        session.say("the embedder cannot read this question; words alone decided")
