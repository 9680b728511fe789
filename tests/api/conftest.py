"""A served library that the tests of one file share: they read it, none of them writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from tests.api.serving import Served, served, settings_of

PAGES = {
    "deletes.md": (
        "# Deletes\n\nA delete takes the document out of the catalog. "
        "From that commit on no candidate of it passes verification.\n\n"
        "## Outbox\n\nThe outbox removes rows and texts that no reader may see any more.\n"
    ),
    "ports.md": (
        "# Ports\n\nThe server listens on port 8000 of the loopback address. "
        "Another port is chosen with an option of the command.\n"
    ),
    "cats.txt": "Cats sleep for most of the day. A cat that is awake wants to be fed.\n",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def library(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server on `PAGES`. Files that use it say `pytest.mark.asyncio(loop_scope="module")`."""
    place = tmp_path_factory.mktemp("library")
    write_pages(place / "pages")
    async with served(settings_of(place / "data")) as server:
        await server.fill(place / "pages")
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(library: Served) -> AsyncIterator[httpx2.AsyncClient]:
    async with library.client() as opened:
        yield opened


def write_pages(folder: Path) -> None:
    """Write the library's files."""
    folder.mkdir()
    for name, text in PAGES.items():
        (folder / name).write_text(text)
