"""A line on a terminal that shows how far long work is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

EVERY_S = 0.2
BAR, COUNT, ELAPSED, LEFT = "bar", "count", "elapsed", "left"


@asynccontextmanager
async def live_line(
    layout: Sequence[str], state: Callable[[], Mapping[str, Any]], *, live: bool
) -> AsyncIterator[None]:
    """Show the line while the work inside runs; nothing where nobody looks at a terminal.

    The layout names columns (`BAR`, `COUNT`, `ELAPSED`, `LEFT`); other texts may have fields in
    braces. `state` gives `total` (None when it is not known), `completed` and the fields.
    """
    if not live or not sys.stderr.isatty():
        yield
        return
    from rich import progress
    from rich.console import Console

    columns = {
        BAR: progress.BarColumn,
        COUNT: progress.MofNCompleteColumn,
        ELAPSED: progress.TimeElapsedColumn,
        LEFT: progress.TimeRemainingColumn,
    }
    bar = progress.Progress(
        *(columns[part]() if part in columns else progress.TextColumn(part) for part in layout),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(**{"description": "", **state()})

    async def refresh() -> None:
        while True:
            bar.update(task, **state())
            await asyncio.sleep(EVERY_S)

    with bar:
        refreshing = asyncio.create_task(refresh())
        try:
            yield
        finally:
            refreshing.cancel()
