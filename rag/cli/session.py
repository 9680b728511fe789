"""What every command shares: settings, one event loop, one way to print and to fail."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from rag.runtime import Runtime
    from rag.settings import Settings
    from rag.types import Principal

T = TypeVar("T")

OK, FAILED, USAGE, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130
GO_ON = "what is committed stays; run the same command to go on"

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Data folder. [env: CUMULO_DATA_DIR; default: ./.cumulo]"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
CollectionName = Annotated[str, typer.Option("--collection", "-c", help="Collection to use.")]
Backend = Annotated[
    str | None,
    typer.Option("--backend", help="Store of a new collection, by its configured name."),
]
EmbedderName = Annotated[
    str | None,
    typer.Option("--embedder", help="Embedder of a new collection, by its configured name."),
]

given_data_dir: list[Path] = []
"""The `--data-dir` that stood before the command."""


def settings(data_dir: Path | None) -> Settings:
    """Read the settings; a data folder given after the command beats one given before it."""
    from rag.settings import load_settings

    before = given_data_dir[-1] if given_data_dir else None
    return load_settings(data_dir=data_dir or before)


def caller() -> Principal:
    """Return who the command line acts as: the local owner."""
    from rag.types import local_owner

    return local_owner()


def run(
    work: Callable[[Runtime], Awaitable[T]], data_dir: Path | None, *, create: bool = False
) -> T:
    """Open the data folder, do the work, close. Only commands that write may create the folder."""
    from rag.errors import NotFound
    from rag.runtime import open_runtime

    configured = settings(data_dir)
    here = configured.catalog_url is None  # else what is in the database decides
    if here and not create and not (configured.data_dir / "catalog.sqlite").is_file():
        raise NotFound(
            f"there is no data folder at {configured.data_dir}",
            hint="make one with: rag ingest PATH, or name another with --data-dir",
        )

    async def main() -> T:
        async with open_runtime(configured) as runtime:
            return await work(runtime)

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        fail("interrupted", GO_ON, INTERRUPTED)


def stop_on_interrupt(say: Callable[[str], None]) -> asyncio.Event:
    """Return an event that the first Ctrl-C sets; the second cancels the task at once."""
    stop, loop, task = asyncio.Event(), asyncio.get_running_loop(), asyncio.current_task()

    def interrupt() -> None:
        if stop.is_set() and task is not None:
            task.cancel()
        else:
            say("finishing what is under way; press Ctrl-C again to stop at once")
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    return stop


def print_json(value: Any) -> None:
    """Print a value as one JSON document."""
    import orjson

    plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    sys.stdout.write(orjson.dumps(plain, option=orjson.OPT_INDENT_2).decode() + "\n")


def say(text: str) -> None:
    """Print a remark for people; it never mixes with the output."""
    typer.echo(text, err=True)


def fail(message: str, hint: str | None, code: int) -> NoReturn:
    """Print one line of error, a line of advice, and leave."""
    typer.secho(f"error: {message}", err=True, fg=typer.colors.RED)
    if hint:
        typer.echo(f"  {hint}", err=True)
    raise SystemExit(code)
