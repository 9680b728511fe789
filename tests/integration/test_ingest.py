"""The main job on a real folder, catalog and store: what is counted is what happened."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from indexers import ingest as job
from indexers.prepared import Progress
from indexers.summary import Summary
from rag.catalog import documents, outbox
from rag.catalog.documents import get_document
from rag.errors import ConfigError, NotFound
from rag.filters import EVERYTHING, Compare, Eq
from rag.runtime import Runtime
from rag.types import Principal, Query, Retrieved, local_owner

COUNTS = ("added", "updated", "unchanged", "removed", "access_changed", "failed")


async def ingest(runtime: Runtime, *paths: Path, **options: object) -> Summary:
    collection = await job.open_collection(runtime, "default", "docs")
    listings = await job.list_paths(runtime, collection, paths, options)
    return await job.ingest(runtime, collection, listings)


def counts(summary: Summary) -> dict[str, int]:
    return {name: getattr(summary, name) for name in COUNTS if getattr(summary, name)}


async def search(runtime: Runtime, text: str, **given: object) -> Retrieved:
    query = Query(text, "docs", local_owner(), **given)  # type: ignore[arg-type]
    return await runtime.retrieval.search(query)


async def texts(runtime: Runtime, text: str, **given: object) -> list[str]:
    return [hit.chunk.text for hit in (await search(runtime, text, **given)).hits]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    root.mkdir()
    for n in range(12):
        (root / f"page{n:02}.md").write_text(
            f"# Page {n}\n\nThe topic{n} word stands only here.\n\n"
            f"## Details\n\nMore about subject{n} and its settings.\n"
        )
    return root


async def test_every_kind_of_change_is_counted_once(runtime: Runtime, folder: Path) -> None:
    assert counts(await ingest(runtime, folder)) == {"added": 12}
    assert counts(await ingest(runtime, folder)) == {"unchanged": 12}

    os.utime(folder / "page00.md", (1, 1))  # touched: another time, the same bytes
    (folder / "page01.md").write_text("# Page 1\n\nRewritten about penguins.\n")
    (folder / "page02.md").unlink()
    (folder / "page03.md").rename(folder / "renamed.md")
    (folder / "new.md").write_text("Fresh words about giraffes.\n")
    (folder / "broken.md").write_bytes(bytes(range(256)) * 4)
    summary = await ingest(runtime, folder)
    assert counts(summary) == {
        "added": 2,
        "updated": 1,
        "unchanged": 9,
        "removed": 2,
        "failed": 1,
    }
    assert summary.failures[0]["uri"].endswith("broken.md")
    assert any("penguins" in text for text in await texts(runtime, "penguins", mode="sparse"))
    assert await texts(runtime, "topic1", mode="sparse") == []  # the old version is gone
    assert await texts(runtime, "topic2", mode="sparse") == []  # so is the deleted file
    hits = (await search(runtime, "topic3", mode="sparse")).hits
    assert [hit.metadata["meta.path"] for hit in hits] == ["renamed.md"]


async def test_a_renamed_file_embeds_nothing(runtime: Runtime, folder: Path) -> None:
    assert (await ingest(runtime, folder)).tokens > 0
    for n in range(12):
        (folder / f"page{n:02}.md").rename(folder / f"moved{n:02}.md")
    summary = await ingest(runtime, folder)
    assert counts(summary) == {"added": 12, "removed": 12}
    assert summary.tokens == 0
    assert summary.chunks == 12


async def test_equal_texts_are_embedded_once(runtime: Runtime, folder: Path) -> None:
    first = (folder / "page00.md").read_text()
    only = await ingest(runtime, folder / "page00.md")
    for n in range(12):
        (folder / f"page{n:02}.md").write_text(first)
    again = await ingest(runtime, folder)
    assert only.tokens > 0
    assert counts(again) == {"added": 11, "unchanged": 1}
    assert again.tokens == 0


async def test_removed_rows_and_texts_leave_the_disk(runtime: Runtime, folder: Path) -> None:
    await ingest(runtime, folder)
    for page in folder.glob("*.md"):
        page.unlink()
    assert counts(await ingest(runtime, folder)) == {"removed": 12}
    collection = await job.open_collection(runtime, "default", "docs")
    index = await runtime.index(collection.live)
    assert await index.count(EVERYTHING) == 0
    pending = await runtime.catalog.read(outbox.pending_deletions, collection.live.id)
    assert pending == []
    assert [p for p in (runtime.settings.data_dir / "texts").rglob("*") if p.is_file()] == []
    assert collection.live.chunks == 0


async def test_an_updated_document_keeps_its_id_and_its_newest_text(
    runtime: Runtime, folder: Path
) -> None:
    await ingest(runtime, folder)
    before = (await search(runtime, "topic5", mode="sparse")).hits[0].chunk.document_id
    (folder / "page05.md").write_text("# Page 5\n\nNow about zebras.\n")
    await ingest(runtime, folder)
    after = (await search(runtime, "zebras", mode="sparse")).hits[0].chunk.document_id
    assert before == after
    stored = await runtime.catalog.read(get_document, after, local_owner())
    text = await runtime.text(stored)
    assert text.strip() == "# Page 5\n\nNow about zebras."


async def test_hits_stand_where_they_say(runtime: Runtime, folder: Path) -> None:
    await ingest(runtime, folder)
    for hit in (await search(runtime, "subject7 settings")).hits:
        stored = await runtime.catalog.read(get_document, hit.chunk.document_id, local_owner())
        text = await runtime.text(stored)
        assert text[hit.chunk.start : hit.chunk.end] == hit.chunk.text


async def test_files_left_out_by_options_stay(runtime: Runtime, folder: Path) -> None:
    await ingest(runtime, folder)
    narrowed = await ingest(runtime, folder, include=("page00.md",))
    assert counts(narrowed) == {"unchanged": 1}
    excluded = await ingest(runtime, folder, exclude=("page0*",))
    assert counts(excluded) == {"unchanged": 2}
    (folder / ".gitignore").write_text("page11.md\n")  # part of the tree: those go
    assert counts(await ingest(runtime, folder)) == {"unchanged": 11, "removed": 1}


async def test_a_path_under_a_known_root_updates_its_documents(
    runtime: Runtime, folder: Path
) -> None:
    (folder / "sub").mkdir()
    (folder / "sub/deep.md").write_text("A deep page about whales.\n")
    assert counts(await ingest(runtime, folder)) == {"added": 13}
    (folder / "sub/deep.md").write_text("A deep page about sharks.\n")
    assert counts(await ingest(runtime, folder / "sub/deep.md")) == {"updated": 1}
    (folder / "sub/deep.md").unlink()
    assert counts(await ingest(runtime, folder / "sub")) == {"removed": 1}
    assert counts(await ingest(runtime, folder)) == {"unchanged": 12}


async def test_a_root_above_a_known_root_takes_nothing_twice(
    runtime: Runtime, folder: Path
) -> None:
    (folder / "sub").mkdir()
    (folder / "sub/deep.md").write_text("A deep page about whales.\n")
    assert counts(await ingest(runtime, folder / "sub")) == {"added": 1}
    assert counts(await ingest(runtime, folder)) == {"added": 12, "unchanged": 1}
    assert len(await texts(runtime, "whales", mode="sparse")) == 1


async def test_one_failing_version_keeps_the_one_before(runtime: Runtime, folder: Path) -> None:
    await ingest(runtime, folder)
    (folder / "page04.md").write_bytes(b"%PDF-1.7 \x00\x00\x00 not text")
    assert counts(await ingest(runtime, folder)) == {"unchanged": 11, "failed": 1}
    assert await texts(runtime, "topic4", mode="sparse") != []


async def test_stopping_leaves_what_is_committed_and_deletes_nothing(
    runtime: Runtime, folder: Path
) -> None:
    await ingest(runtime, folder)
    (folder / "page00.md").unlink()
    collection = await job.open_collection(runtime, "default", "docs")
    listings = await job.list_paths(runtime, collection, [folder], {})
    stop = asyncio.Event()
    stop.set()
    summary = await job.ingest(runtime, collection, listings, stop=stop)
    assert summary.interrupted
    assert summary.removed == 0
    assert await texts(runtime, "topic0", mode="sparse") != []
    assert counts(await ingest(runtime, folder)) == {"unchanged": 11, "removed": 1}


async def test_a_preview_counts_and_changes_nothing(runtime: Runtime, folder: Path) -> None:
    await ingest(runtime, folder)
    os.utime(folder / "page00.md", (1, 1))
    (folder / "page01.md").write_text("changed\n")
    (folder / "page02.md").unlink()
    (folder / "new.md").write_text("new\n")
    collection = await job.open_collection(runtime, "default", "docs")
    listings = await job.list_paths(runtime, collection, [folder], {})
    planned = await job.preview(runtime, collection, listings)
    expected = {"added": 1, "updated": 1, "unchanged": 10, "removed": 1}
    assert counts(planned) == expected
    assert counts(await ingest(runtime, folder)) == expected


async def test_filters_see_current_metadata(runtime: Runtime, folder: Path) -> None:
    (folder / "page00.md").write_text("---\nlang: de\nrank: 7\n---\n# Seite\n\nEin shared Wort.\n")
    (folder / "page01.md").write_text("---\nlang: en\nrank: 3\n---\n# Page\n\nA shared word.\n")
    await ingest(runtime, folder)
    for where, expected in (
        (Eq("meta.lang", "de"), {"page00.md"}),
        (Compare("meta.rank", "lt", 5), {"page01.md"}),
        (Eq("title", "Seite"), {"page00.md"}),
    ):
        hits = (await search(runtime, "shared", where=where)).hits
        assert {hit.metadata["meta.path"] for hit in hits} == expected


async def test_nobody_else_finds_anything(runtime: Runtime, folder: Path) -> None:
    await ingest(runtime, folder)
    stranger = Principal("default", frozenset({"user:stranger", "public"}))
    nobody = Principal("default", frozenset())
    for principal in (stranger, nobody):
        found = await runtime.retrieval.search(Query("topic1", "docs", principal))
        assert found.hits == ()
    other_tenant = Principal("acme", frozenset({"user:owner", "public"}))
    with pytest.raises(NotFound):
        await runtime.retrieval.search(Query("topic1", "docs", other_tenant))
    hit = (await search(runtime, "topic1")).hits[0]
    for principal in (stranger, nobody, other_tenant):
        with pytest.raises(NotFound):
            await runtime.catalog.read(get_document, hit.chunk.document_id, principal)


async def test_a_collection_keeps_what_built_it(runtime: Runtime, folder: Path) -> None:
    await ingest(runtime, folder)
    with pytest.raises(ConfigError, match="built with the embedder 'hashing', not 'minilm'"):
        await job.open_collection(runtime, "default", "docs", embedder="minilm")
    with pytest.raises(ConfigError, match="no 'nowhere' is configured under stores"):
        await job.open_collection(runtime, "default", "other", store="nowhere")


async def test_frequencies_follow_what_is_visible(runtime: Runtime, folder: Path) -> None:
    from rag.catalog import statistics

    await ingest(runtime, folder)
    collection = await job.open_collection(runtime, "default", "docs")
    encoder = runtime.sparse_encoder(collection.live)
    (term,) = encoder.terms("settings").tolist()

    async def frequency() -> int:
        found = await runtime.catalog.read(statistics.frequencies, collection.live.id, [term])
        return found.get(term, 0)

    assert await frequency() == 12
    (folder / "page00.md").unlink()
    (folder / "page01.md").write_text("# Page\n\nNothing of the kind.\n")
    await ingest(runtime, folder)
    assert await frequency() == 10
    for page in folder.glob("*.md"):
        page.unlink()
    await ingest(runtime, folder)
    assert await frequency() == 0


async def test_two_runs_at_once_end_in_one_copy(runtime: Runtime, folder: Path) -> None:
    await job.open_collection(runtime, "default", "docs")
    both = await asyncio.gather(ingest(runtime, folder), ingest(runtime, folder))
    assert sum(summary.added for summary in both) == 12
    assert sum(summary.unchanged for summary in both) == 12
    collection = await job.open_collection(runtime, "default", "docs")
    index = await runtime.index(collection.live)
    await ingest(runtime, folder)  # drains what lost
    assert await index.count(EVERYTHING) == collection.live.chunks == 12


async def test_a_run_leaves_a_record(runtime: Runtime, folder: Path) -> None:
    import sqlalchemy as sa

    from rag.catalog import tables as t

    (folder / "bad.md").write_bytes(b"\x00" * 64)
    summary = await ingest(runtime, folder)
    (run,) = await runtime.catalog.read(lambda c: c.execute(sa.select(t.runs)).all())
    (failure,) = await runtime.catalog.read(lambda c: c.execute(sa.select(t.failures)).all())
    assert run.state == "done"
    assert run.counts["added"] == 12
    assert run.counts["failed"] == 1
    assert failure.uri == summary.failures[0]["uri"]


async def test_progress_adds_up(runtime: Runtime, folder: Path) -> None:
    collection = await job.open_collection(runtime, "default", "docs")
    listings = await job.list_paths(runtime, collection, [folder], {})
    progress = Progress()
    summary = await job.ingest(runtime, collection, listings, progress=progress)
    assert progress.files == progress.files_done == 12
    assert (
        progress.bytes
        == progress.bytes_done
        == sum(page.stat().st_size for page in folder.glob("*.md"))
    )
    assert asdict(summary)["chunks"] == progress.chunks == 12


async def test_known_documents_are_those_of_one_source(runtime: Runtime, folder: Path) -> None:
    await ingest(runtime, folder)
    collection = await job.open_collection(runtime, "default", "docs")
    found = await runtime.catalog.read(
        documents.known_documents, collection.live.id, "00000000-0000-0000-0000-000000000000"
    )
    assert found == {}
