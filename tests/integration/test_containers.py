"""Archives, mails and long tables: what is taken out of a file lives and dies with it."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from pathlib import Path

import pytest

from indexers import ingest as job
from indexers.prepared import Progress
from indexers.retrying import list_failures
from indexers.summary import Summary
from rag.catalog import documents
from rag.catalog.documents import Stored
from rag.errors import Rejected
from rag.runtime import Runtime
from rag.types import DEFAULT_TENANT, LOCAL_OWNER, Query, Role, local_owner
from rag.vectors import Embedded

NAME = "docs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    return folder


def archive(members: Mapping[str, str | bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        for name, text in members.items():
            opened.writestr(name, text)
    return stream.getvalue()


async def ingest(runtime: Runtime, folder: Path, *, stop: asyncio.Event | None = None) -> Summary:
    collection = await job.open_collection(runtime, DEFAULT_TENANT, NAME)
    listings = await job.list_paths(runtime, collection, [folder], {})
    return await job.ingest(runtime, collection, listings, stop=stop, progress=Progress())


def counts(summary: Summary) -> tuple[int, int, int, int, int]:
    return (summary.added, summary.updated, summary.unchanged, summary.removed, summary.failed)


async def listed(runtime: Runtime) -> dict[str, Stored]:
    collection = await job.open_collection(runtime, DEFAULT_TENANT, NAME)
    rows = await runtime.catalog.read(
        documents.list_documents, collection.live.id, local_owner(), limit=1000
    )
    return {row.external_id: row for row in rows}


async def found(runtime: Runtime, word: str) -> list[str]:
    hits = (await runtime.retrieval.search(Query(word, NAME, local_owner(), mode="sparse"))).hits
    return [hit.uri.rpartition("/docs/")[2] for hit in hits]


async def test_members_are_documents_of_their_own(runtime: Runtime, folder: Path) -> None:
    inner = archive({"deep.md": "# Deep\n\nword3 in the depth"})
    (folder / "a.zip").write_bytes(
        archive({"x.md": "# X\n\nword1", "b c/y.txt": "word2 here", "inner.zip": inner})
    )
    assert counts(await ingest(runtime, folder)) == (5, 0, 0, 0, 0)
    rows = await listed(runtime)
    assert set(rows) == {
        "a.zip",
        "a.zip!/x.md",
        "a.zip!/b c/y.txt",
        "a.zip!/inner.zip",
        "a.zip!/inner.zip!/deep.md",
    }
    deep = rows["a.zip!/inner.zip!/deep.md"]
    assert deep.title == "Deep"
    assert deep.metadata["meta.container"] == "a.zip"
    assert deep.metadata["meta.ext"] == ".md"
    assert rows["a.zip!/b c/y.txt"].uri.endswith("/a.zip!/b%20c/y.txt")
    assert deep.access == (LOCAL_OWNER,)
    assert await found(runtime, "word2") == ["a.zip!/b%20c/y.txt"]
    assert await found(runtime, "word3") == ["a.zip!/inner.zip!/deep.md"]
    assert counts(await ingest(runtime, folder)) == (0, 0, 5, 0, 0)


async def test_a_changed_container_changes_what_changed_inside(
    runtime: Runtime, folder: Path
) -> None:
    path = folder / "a.zip"
    path.write_bytes(archive({"stays.md": "word1", "changes.md": "word2", "goes.md": "word3"}))
    await ingest(runtime, folder)
    before = await listed(runtime)
    path.write_bytes(archive({"stays.md": "word1", "changes.md": "word4", "comes.md": "word5"}))
    # the container itself and one member are updated, one is new, one is gone
    assert counts(await ingest(runtime, folder)) == (1, 2, 1, 1, 0)
    assert [await found(runtime, f"word{n}") for n in (2, 3)] == [[], []]
    assert await found(runtime, "word4") == ["a.zip!/changes.md"]
    assert await found(runtime, "word5") == ["a.zip!/comes.md"]
    after = await listed(runtime)
    assert after["a.zip!/stays.md"] == before["a.zip!/stays.md"]
    assert counts(await ingest(runtime, folder)) == (0, 0, 4, 0, 0)
    path.unlink()
    assert counts(await ingest(runtime, folder)) == (0, 0, 0, 4, 0)
    assert await listed(runtime) == {}


async def test_a_bad_member_costs_no_other_and_is_tried_when_the_container_changes(
    runtime: Runtime, folder: Path
) -> None:
    runtime.settings.parsing.parsers = {".exits": "rag.testing.poison:exits"}
    path = folder / "a.zip"
    path.write_bytes(archive({"bad.exits": "x", "good.md": "word1", "worse.md": b"%PDF-nothing"}))
    assert counts(await ingest(runtime, folder)) == (2, 0, 0, 0, 2)
    entries = [e.refused for e in await list_failures(runtime, DEFAULT_TENANT, NAME)]
    assert [(e.external_id, e.container) for e in entries] == [
        ("a.zip!/bad.exits", "a.zip"),
        ("a.zip!/worse.md", "a.zip"),
    ]
    summary = await ingest(runtime, folder)
    assert (*counts(summary), summary.quarantined) == (0, 0, 2, 0, 0, 2)
    path.write_bytes(archive({"bad.exits": "x", "good.md": "word1", "worse.md": "word2"}))
    await ingest(runtime, folder)
    assert await found(runtime, "word2") == ["a.zip!/worse.md"]
    entries = [e.refused for e in await list_failures(runtime, DEFAULT_TENANT, NAME)]
    assert [e.external_id for e in entries] == ["a.zip!/bad.exits"]


async def test_a_member_that_cannot_be_taken_out_is_in_quarantine(
    runtime: Runtime, folder: Path
) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("good.md", "word1")
        opened.writestr("bomb.txt", bytes(100 * 2**20))
    (folder / "a.zip").write_bytes(stream.getvalue())
    assert counts(await ingest(runtime, folder)) == (2, 0, 0, 0, 1)
    ((entry),) = await list_failures(runtime, DEFAULT_TENANT, NAME)
    assert (entry.refused.external_id, entry.refused.code) == ("a.zip!/bomb.txt", "too_large")


async def test_a_container_counts_as_read_only_when_all_of_it_is_stored(
    runtime: Runtime, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member that the embedder refuses leaves the container to be read again next time."""
    (folder / "a.zip").write_bytes(archive({"x.md": "word1", "y.md": "word2 refused"}))
    await job.open_collection(runtime, DEFAULT_TENANT, NAME)
    embedder = runtime.named_embedder("hashing")
    embed = embedder.embed

    async def refusing(texts: Sequence[str], role: Role) -> Embedded:
        if any("refused" in text for text in texts):
            raise Rejected("not this one")
        return await embed(texts, role)

    monkeypatch.setattr(embedder, "embed", refusing)
    assert (await ingest(runtime, folder)).failed == 1
    assert set(await listed(runtime)) == {"a.zip!/x.md"}
    monkeypatch.setattr(embedder, "embed", embed)
    assert counts(await ingest(runtime, folder)) == (2, 0, 1, 0, 0)
    assert set(await listed(runtime)) == {"a.zip", "a.zip!/x.md", "a.zip!/y.md"}


async def test_members_of_the_same_name_are_all_kept(runtime: Runtime, folder: Path) -> None:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "Two notes", "a@example.org", "b@example.org"
    mail.set_content("See the attached.")
    for word in ("word1", "word2"):
        mail.add_attachment(word, filename="note.txt")
    (folder / "m.eml").write_bytes(mail.as_bytes())
    assert counts(await ingest(runtime, folder)) == (3, 0, 0, 0, 0)
    assert set(await listed(runtime)) == {"m.eml", "m.eml!/note.txt", "m.eml!/note.txt (2)"}
    assert await found(runtime, "word2") == ["m.eml!/note.txt%20%282%29"]


async def test_a_long_text_is_continued_in_further_documents(
    runtime: Runtime, folder: Path
) -> None:
    rows = [f"{n},name {n},some words to make the row longer" for n in range(60_000)]
    (folder / "long.csv").write_text("\n".join(["id,name,remark", *rows]) + "\n")
    summary = await ingest(runtime, folder)
    assert summary.failed == 0
    parts = await listed(runtime)
    assert set(parts) == {"long.csv", *(f"long.csv!/#{n}" for n in range(2, len(parts) + 1))}
    assert len(parts) > 2
    ((hit, *_),) = [
        (await runtime.retrieval.search(Query("name 54321", NAME, local_owner(), k=1))).hits
    ]
    assert "\n54321,name 54321," in hit.chunk.text
    assert counts(await ingest(runtime, folder)) == (0, 0, len(parts), 0, 0)
    (folder / "long.csv").write_text("\n".join(["id,name,remark", *rows[:10]]) + "\n")
    assert counts(await ingest(runtime, folder)) == (0, 1, 0, len(parts) - 1, 0)
    assert set(await listed(runtime)) == {"long.csv"}


async def test_new_readers_of_a_container_read_its_members(runtime: Runtime, folder: Path) -> None:
    (folder / "a.zip").write_bytes(archive({"x.md": "word1"}))
    await ingest(runtime, folder)
    collection = await job.open_collection(runtime, DEFAULT_TENANT, NAME)
    (listing,) = await job.list_paths(runtime, collection, [folder], {})
    changes = listing.connector.changes

    async def shared():  # type: ignore[no-untyped-def]
        from dataclasses import replace

        from rag.ports import Changed

        async for change in changes():
            if isinstance(change, Changed):
                yield replace(change, access=("group:x",))
            else:
                yield change

    listing.connector.changes = shared  # type: ignore[method-assign]
    summary = await job.ingest(runtime, collection, [listing])
    assert summary.access_changed == 2
    assert await listed(runtime) == {}
