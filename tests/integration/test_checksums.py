"""A bit flipped in the catalog: what it touched is left out, never shown as something else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from indexers import ingest as job
from rag.catalog import tables as t
from rag.catalog.checksums import computed, intact, seal
from rag.catalog.documents import get_document, list_documents
from rag.catalog.writing import set_access, touch
from rag.errors import Rejected
from rag.runtime import Runtime
from rag.types import Query, Retrieved, local_owner


@pytest.fixture
async def filled(runtime: Runtime, tmp_path: Path) -> Runtime:
    folder = tmp_path / "pages"
    folder.mkdir()
    for name in ("apple", "pear", "plum"):
        (folder / f"{name}.md").write_text(f"---\nlang: en\n---\n# {name}\n\nFruit: {name}.\n")
    collection = await job.open_collection(runtime, "default", "docs")
    listings = await job.list_paths(runtime, collection, [folder], {})
    await job.ingest(runtime, collection, listings)
    return runtime


async def search(runtime: Runtime) -> Retrieved:
    return await runtime.retrieval.search(Query("fruit", "docs", local_owner()))


def damaged(connection: Connection) -> list[str]:
    ids = list(connection.execute(sa.select(t.documents.c.id)).scalars())
    return [row.external_id for row, due in computed(connection, ids) if not intact(row, due)]


def apple(connection: Connection) -> str:
    where = t.documents.c.external_id == "apple.md"
    document: str = connection.execute(sa.select(t.documents.c.id).where(where)).scalar_one()
    return document


def version(**values: object) -> Callable[[Connection], None]:
    def change(connection: Connection) -> None:
        mine = t.versions.c.document == apple(connection)
        connection.execute(t.versions.update().where(mine).values(**values))

    return change


def uri(connection: Connection) -> None:
    mine = t.documents.c.id == apple(connection)
    connection.execute(t.documents.update().where(mine).values(uri="file:///elsewhere"))


def reader(connection: Connection) -> None:
    connection.execute(
        t.document_access.insert().values(document=apple(connection), subject="user:mallory")
    )


@pytest.mark.parametrize(
    "flip",
    [
        version(title="Apply"),
        version(metadata={"meta.lang": "fr"}),
        version(chunks=2),
        version(digest="0" * 64),
        version(text_digest="0" * 64),
        version(original_digest="0" * 64),
        version(checksum=b"\0" * 16),
        uri,
        reader,
    ],
)
async def test_what_is_not_as_written_is_left_out(
    filled: Runtime, flip: Callable[[Connection], None]
) -> None:
    before = await search(filled)
    assert (len(before.hits), before.partial) == (3, False)
    await filled.catalog.write(flip)
    after = await search(filled)
    assert {hit.title for hit in after.hits} == {"pear", "plum"}
    assert after.partial, "fewer than there are, and it says so"
    assert await filled.catalog.read(damaged) == ["apple.md"]
    listed = await filled.catalog.read(list_documents, after.generation.id, local_owner(), limit=10)
    assert {document.external_id for document in listed} == {"pear.md", "plum.md"}
    with pytest.raises(Rejected, match="rag doctor --fix"):
        await filled.catalog.read(get_document, await filled.catalog.read(apple), local_owner())


async def test_ordinary_changes_keep_it_intact(filled: Runtime) -> None:
    document = await filled.catalog.read(apple)
    await filled.catalog.write(set_access, document, ["user:owner", "group:cooks"])
    generation = (await search(filled)).generation
    await filled.catalog.write(touch, generation.id, {document: (1, "newer")})
    assert await filled.catalog.read(damaged) == []
    assert len((await search(filled)).hits) == 3


async def test_sealing_accepts_what_is_there(filled: Runtime) -> None:
    await filled.catalog.write(version(title="Renamed"))
    await filled.catalog.write(seal, [await filled.catalog.read(apple)])
    assert "Renamed" in {hit.title for hit in (await search(filled)).hits}


async def test_versions_of_before_checksums_are_taken_as_they_are(filled: Runtime) -> None:
    await filled.catalog.write(version(checksum=None))
    assert len((await search(filled)).hits) == 3
