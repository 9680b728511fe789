"""A catalog that is gone while its documents are there: refused, never begun anew beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexers import ingest as job
from rag.errors import DataFolderError
from rag.runtime import open_runtime
from rag.settings import Settings


async def fill(settings: Settings) -> None:
    async with open_runtime(settings) as runtime:
        collection = await job.open_collection(runtime, "default", "docs")
        await job.ingest(runtime, collection, [job.upload("a.md", b"# A\n\nText.\n")])


@pytest.mark.parametrize("lost", [Path.unlink, lambda path: path.write_bytes(b"")])
async def test_documents_without_a_catalog_are_not_begun_anew(
    settings: Settings, lost: object
) -> None:
    await fill(settings)
    lost(settings.data_dir / "catalog.sqlite")  # type: ignore[operator]
    with pytest.raises(DataFolderError, match="is lost"):
        async with open_runtime(settings):
            pass
    assert list((settings.data_dir / "originals").rglob("*"))


async def test_an_empty_folder_begins_anew(settings: Settings) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / "catalog.sqlite").write_bytes(b"")
    (settings.data_dir / "stores").mkdir()
    await fill(settings)
    async with open_runtime(settings):
        pass
