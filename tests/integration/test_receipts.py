"""Deletes that delete: nothing of a document is left anywhere, and a receipt says since when."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from indexers import ingest as job
from indexers.prepared import Progress
from indexers.removing import not_covered, remove_collection, remove_document
from indexers.summary import Summary
from rag.catalog import receipts, tables
from rag.catalog.documents import get_document, list_documents
from rag.catalog.receipts import Receipt
from rag.errors import RagError
from rag.filters import EVERYTHING
from rag.runtime import Runtime, open_runtime
from rag.settings import Settings, load_settings
from rag.types import Collection, Query, local_owner

SECRET = "The mandrake recipe of the secret kitchen."
WORDS = (b"mandrake", b"secret kitchen")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pages"
    root.mkdir()
    for n in range(30):
        (root / f"{n}.md").write_text(f"# Page {n}\n\nOrdinary text number {n}.\n")
    (root / "hidden.md").write_text(f"# A page\n\n{SECRET}\n")
    return root


async def ingest(runtime: Runtime, folder: Path) -> tuple[Collection, Summary]:
    collection = await job.open_collection(runtime, "default", "docs")
    listings = await job.list_paths(runtime, collection, [folder], {})
    return collection, await job.ingest(runtime, collection, listings)


async def upload(runtime: Runtime, name: str, text: str) -> str:
    collection = await job.open_collection(runtime, "default", "docs")
    listing = job.upload(name, text.encode())
    await job.ingest(runtime, collection, [listing], progress=Progress())
    stored = await runtime.catalog.read(
        list_documents, collection.live.id, local_owner(), limit=100
    )
    return next(document.id for document in stored if document.external_id == name)


async def listed(runtime: Runtime) -> list[Receipt]:
    return await runtime.catalog.read(receipts.list_receipts, "default")


async def find(runtime: Runtime, words: str) -> list[str]:
    query = Query(words, "docs", local_owner(), mode="sparse")
    return [hit.chunk.text for hit in (await runtime.retrieval.search(query)).hits]


def holding(folder: Path, words: tuple[bytes, ...]) -> list[str]:
    """Name the files below a folder that hold one of the words."""
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(word in path.read_bytes() for word in words)
    ]


def vectors(folder: Path, row: bytes) -> list[str]:
    return holding(folder, (row,))


async def test_nothing_is_left_of_a_deleted_document(settings: Settings, folder: Path) -> None:
    async with open_runtime(settings) as runtime:
        collection, _ = await ingest(runtime, folder)
        index = await runtime.index(collection.live)
        await find(runtime, "mandrake")
        (folder / "hidden.md").write_text(f"# A page\n\n{SECRET} Another version of it.\n")
        await ingest(runtime, folder)  # the first version has left its traces too
        ((document, row),) = [
            (chunk.document_id, part.dense[i].tobytes())
            async for part in index.scan(EVERYTHING)
            for i, chunk in enumerate(part.chunks)
            if "mandrake" in chunk.text
        ]
        assert len(holding(settings.data_dir, WORDS)) >= 2
        assert len(vectors(settings.data_dir, row)) >= 2, "store and vector cache"
        stored = await runtime.catalog.read(get_document, document, local_owner())
        receipt = await remove_document(runtime, "default", stored)
        assert await find(runtime, "mandrake") == []
        assert await index.count(EVERYTHING) == 30
        # While the stores are still open: not a byte, also not in their logs.
        assert holding(settings.data_dir, WORDS) == []
        assert vectors(settings.data_dir, row) == []
    assert receipt.gone is not None
    assert receipt.gone >= receipt.unfindable
    assert (receipt.document, receipt.uri, receipt.reason) == (document, stored.uri, "request")
    assert (receipt.chunks, receipt.generations, receipt.run) == (1, 1, None)


async def test_a_file_that_went_leaves_a_receipt_with_its_run(
    runtime: Runtime, folder: Path
) -> None:
    await ingest(runtime, folder)
    (folder / "hidden.md").unlink()
    _, summary = await ingest(runtime, folder)
    (receipt,) = await listed(runtime)
    assert (receipt.reason, receipt.run) == ("source", summary.run)
    assert receipt.uri.endswith("hidden.md")
    assert receipt.gone is not None
    assert holding(runtime.settings.data_dir, WORDS) == []
    assert await runtime.catalog.read(receipts.list_receipts, "default", run_id=summary.run) == [
        receipt
    ]
    assert await runtime.catalog.read(receipts.list_receipts, "default", run_id="none") == []
    assert await runtime.catalog.read(receipts.list_receipts, "other") == []


async def test_what_could_not_go_yet_is_said_and_goes_later(
    runtime: Runtime, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection, _ = await ingest(runtime, folder)
    (stored, *_) = await runtime.catalog.read(
        list_documents, collection.live.id, local_owner(), limit=1
    )
    index = await runtime.index(collection.live)

    async def fail() -> None:
        raise RagError("the disk is full")

    monkeypatch.setattr(index, "optimize", fail)
    with pytest.raises(RagError, match="disk is full"):
        await remove_document(runtime, "default", stored)
    (receipt,) = await listed(runtime)
    assert receipt.gone is None, "it is promised only when it is true"
    assert len(await find(runtime, "ordinary")) == 10
    monkeypatch.undo()
    await ingest(runtime, folder)  # every writer drains
    (receipt,) = await listed(runtime)
    assert receipt.gone is not None


async def test_an_uploads_original_is_kept_and_goes_with_it(runtime: Runtime) -> None:
    document = await upload(runtime, "note.md", f"# Note\n\n{SECRET}\n")
    stored = await runtime.catalog.read(get_document, document, local_owner())
    assert stored.original_digest is not None
    original = await asyncio.to_thread(runtime.originals.get, document, stored.original_digest)
    assert original == f"# Note\n\n{SECRET}\n".encode()
    await upload(runtime, "note.md", f"# Note\n\nSecond. {SECRET}\n")
    kept = list(runtime.originals.listed())
    assert len(kept) == 1, "the replaced one has gone"
    await remove_document(runtime, "default", stored)
    assert list(runtime.originals.listed()) == []
    assert holding(runtime.settings.data_dir, WORDS) == []


async def test_other_uploads_stay(runtime: Runtime) -> None:
    for name in ("a.md", "b.md"):
        await upload(runtime, name, f"# Note {name}\n\nWords of {name}.\n")
    assert len(await find(runtime, "words")) == 2


async def test_files_that_can_be_read_again_have_no_original(
    runtime: Runtime, folder: Path
) -> None:
    await ingest(runtime, folder)
    assert list(runtime.originals.listed()) == []


async def test_originals_go_after_their_days(tmp_path: Path) -> None:
    given = {"data_dir": tmp_path / "data", "defaults": {"embedder": "hashing"}}
    async with open_runtime(load_settings(**given, blobs={"original_days": 1})) as runtime:
        old = await upload(runtime, "old.md", "# Old\n\nAged words.\n")
        await runtime.catalog.write(
            lambda connection: connection.execute(tables.versions.update().values(updated=1.0))
        )
        new = await upload(runtime, "new.md", "# New\n\nFresh words.\n")
        assert {document for document, _ in runtime.originals.listed()} == {new}
        stored = await runtime.catalog.read(get_document, old, local_owner())
        assert stored.original_digest is None
        assert (await runtime.text(stored)).strip() == "# Old\n\nAged words."
        assert len(await find(runtime, "words")) == 2


async def test_a_deleted_collection_leaves_nothing(runtime: Runtime, folder: Path) -> None:
    collection, _ = await ingest(runtime, folder)
    await remove_collection(runtime, collection)
    assert holding(runtime.settings.data_dir, (*WORDS, b"Ordinary text")) == []


def test_what_is_not_covered_depends_on_the_parts(tmp_path: Path) -> None:
    local = not_covered(load_settings(data_dir=tmp_path))
    spread = not_covered(
        load_settings(
            data_dir=tmp_path,
            catalog_url="postgresql://user:secret@host/name",
            blobs={"url": "s3://bucket/path"},
        )
    )
    assert any("backups" in line for line in local)
    assert {"vacuums", "bucket"} <= {word for line in spread for word in line.split()}
    assert len(spread) == len(local) + 2
