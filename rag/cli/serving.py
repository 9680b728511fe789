"""`rag serve`: the query API on this machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli import session
from rag.cli.session import DataDir

if TYPE_CHECKING:
    from rag.settings import Settings


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address; only this machine's own. [default: 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port; 0 takes any free one. [default: 8000]"),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. [default: 1]")] = None,
    data_dir: DataDir = None,
) -> None:
    """Answer over HTTP: search, cited answers, the OpenAI wire, documents.

    A missing data folder is made. Requests under way are finished when it is told to end. Until
    callers can be authenticated, only this machine is listened to.

    Example: rag serve --port 8000
    """
    from api.serving import address, listen
    from api.serving import serve as run

    settings = _changed(session.settings(data_dir), host=host, port=port, workers=workers)
    with listen(settings.serving) as opened:
        asyncio.run(_opened_once(settings))
        url = address(opened)
        session.say(f"listening on {url}, documentation at {url}/docs")
        session.say(
            f"try: curl -s {url}/v1/answer -H 'content-type: application/json' "
            """-d '{"question": "How are deletes handled?"}'"""
        )
        run(settings, opened)


def _changed(settings: Settings, **given: Any) -> Settings:
    """Return the settings with those options of serving that were given."""
    options = {name: value for name, value in given.items() if value is not None}
    serving = settings.serving.model_copy(update=options)
    return settings.model_copy(update={"serving": serving})


async def _opened_once(settings: Settings) -> None:
    """Open the data folder before any worker does, so that what is wrong is said once."""
    from rag.runtime import open_runtime

    async with open_runtime(settings):
        pass
