"""From a request's options to a query, with names of models checked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from api.schemas.searching import Searching
from rag.errors import NotFound
from rag.filters import EVERYTHING, from_json
from rag.runtime import Runtime
from rag.settings import EXTRACTIVE
from rag.types import Principal, Query

MAX_NAME = 100


def query_of(options: Searching, text: str, caller: Principal, runtime: Runtime) -> Query:
    """Build the query; raise `InvalidFilter`, and `NotFound` for an unknown reranker."""
    settings = runtime.settings
    if options.reranker is not None:
        known("reranker", options.reranker, settings.rerankers)
    return Query(
        text=text,
        collection=options.collection,
        principal=caller,
        k=options.k,
        mode=options.mode,
        where=EVERYTHING if options.filter is None else from_json(options.filter),
        exact=options.exact,
        reranker=options.reranker,
    )


async def writer(name: str | None, runtime: Runtime) -> str:
    """Return the name of what writes an answer, opened; raise `NotFound` for an unknown one."""
    chosen = name or runtime.settings.defaults.llm
    known("model", chosen, [EXTRACTIVE, *runtime.settings.llms])
    if chosen != EXTRACTIVE:
        await asyncio.to_thread(runtime.named_llm, chosen)
    return chosen


def known(what: str, name: str, names: Iterable[str]) -> str:
    """Return a name that is configured; raise `NotFound` that lists those that are."""
    among = sorted(names)
    if name not in among:
        raise NotFound(
            f"there is no {what} {name[:MAX_NAME]!r}", hint=f"configured: {', '.join(among)}"
        )
    return name
