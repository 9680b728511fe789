"""A real documentation tree, changed in every way at once: the summary is exactly right."""

from __future__ import annotations

import os
import random
import tarfile
from pathlib import Path

import pytest

from indexers import ingest as job
from indexers.summary import Summary
from rag.runtime import Runtime
from rag.types import Query, local_owner

FILES = 300
EACH = 10

pytestmark = pytest.mark.data


@pytest.fixture
def tree(data_folder: Path, tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    with tarfile.open(data_folder / "docs-powershell-en/md.tar.xz") as archive:
        names = sorted(m.name for m in archive if m.isfile() and m.name.endswith(".md"))
        wanted = set(random.Random(5).sample(names, FILES))
        archive.extractall(root, [archive.getmember(n) for n in sorted(wanted)], filter="data")
    return root


async def ingest(runtime: Runtime, root: Path) -> Summary:
    collection = await job.open_collection(runtime, "default", "tree")
    listings = await job.list_paths(runtime, collection, [root], {})
    return await job.ingest(runtime, collection, listings)


async def found_paths(runtime: Runtime, text: str) -> set[object]:
    query = Query(text, "tree", local_owner(), k=50, mode="sparse")
    return {hit.metadata["meta.path"] for hit in (await runtime.retrieval.search(query)).hits}


async def test_every_change_to_a_real_tree_is_told_apart(runtime: Runtime, tree: Path) -> None:
    first = await ingest(runtime, tree)
    assert (first.added, first.failed) == (FILES, 0)
    second = await ingest(runtime, tree)
    assert (second.unchanged, second.chunks, second.tokens) == (FILES, 0, 0)

    pages = sorted(tree.rglob("*.md"))
    random.Random(6).shuffle(pages)
    touched, changed, deleted, renamed = (pages[n * EACH : (n + 1) * EACH] for n in range(4))
    for page in touched:
        os.utime(page, (1, 1))
    for n, page in enumerate(changed):
        page.write_text(f"# Rewritten\n\nOnly here stands xylophonist{n}.\n")
    gone = [page.relative_to(tree).as_posix() for page in deleted]
    for page in deleted:
        page.unlink()
    for page in renamed:
        page.rename(page.with_name(f"renamed-{page.name}"))

    third = await ingest(runtime, tree)
    assert (third.added, third.updated, third.unchanged) == (EACH, EACH, FILES - 3 * EACH)
    assert (third.removed, third.access_changed, third.failed) == (2 * EACH, 0, 0)
    rewritten = runtime.named_embedder("hashing").count_tokens(
        [f"Rewritten\n# Rewritten\n\nOnly here stands xylophonist{n}." for n in range(EACH)]
    )
    assert 0 < third.tokens <= sum(rewritten)  # of the renamed files nothing was embedded
    for n, page in enumerate(changed):
        assert await found_paths(runtime, f"xylophonist{n}") == {page.relative_to(tree).as_posix()}
    for path in gone:
        assert path not in await found_paths(runtime, Path(path).stem.replace("-", " "))
