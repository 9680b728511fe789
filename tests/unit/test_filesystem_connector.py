"""The filesystem connector: what is listed, what is only reported, and what absence means."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.filesystem import FilesystemConnector
from rag.errors import NotFound, Unavailable
from rag.ports import Change, Changed, Failed, ListingComplete
from rag.testing.connectors import listing


def connect(root: Path, **options: Any) -> FilesystemConnector:
    return FilesystemConnector(FilesystemConnector.Options(**options), root=str(root))


def grow(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content of " + os.fsencode(name))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def dig(root: Path, name: str, levels: int) -> None:
    """Nest folders, also beyond the length that a path may have."""
    start = Path.cwd()
    try:
        os.chdir(root)
        for _ in range(levels):
            Path(name).mkdir()
            os.chdir(name)
    finally:
        os.chdir(start)


async def names(root: Path, **options: Any) -> list[str]:
    return [
        c.external_id for c in await listing(connect(root, **options)) if isinstance(c, Changed)
    ]


def covered(changes: list[Change], *names: str) -> list[str]:
    last = changes[-1]
    assert isinstance(last, ListingComplete)
    return [name for name in names if last.covers(name)]


def failures(changes: list[Change]) -> dict[str, str]:
    return {c.external_id: c.error for c in changes if isinstance(c, Failed)}


# --- the listing ---------------------------------------------------------------------------------


async def test_files_come_by_name_and_before_the_folders(tmp_path: Path) -> None:
    grow(tmp_path, "b/y.md", "z.md", "a/2.md", "a/b/3.md", "A.md", "a/10.md")
    assert await names(tmp_path) == ["A.md", "z.md", "a/10.md", "a/2.md", "a/b/3.md", "b/y.md"]


async def test_a_change_describes_its_file(tmp_path: Path) -> None:
    path = tmp_path / "100% näher" / "Read me.MD"
    write(path, "twelve bytes")
    os.utime(path, (0, 1_700_000_000))
    change, _ = await listing(connect(tmp_path))
    assert change == Changed(
        external_id="100% näher/Read me.MD",
        uri=f"file://{tmp_path}/100%25%20n%C3%A4her/Read%20me.MD",
        fingerprint="12-1700000000000000000",
        access=("user:owner",),
        metadata={
            "meta.path": "100% näher/Read me.MD",
            "meta.ext": ".md",
            "meta.modified": 1_700_000_000,
        },
        size=12,
    )


async def test_an_edit_within_a_millisecond_is_seen(tmp_path: Path) -> None:
    grow(tmp_path, "a.md")
    prints = set()
    for nanoseconds in (1_700_000_000_000_000_000, 1_700_000_000_000_001_000):
        os.utime(tmp_path / "a.md", ns=(0, nanoseconds))
        (change, _) = await listing(connect(tmp_path))
        assert isinstance(change, Changed)
        prints.add(change.fingerprint)
    assert len(prints) == 2


async def test_links_are_never_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    grow(root, "real.md", "folder/inner.md")
    grow(outside, "secret.md")
    (root / "file-link.md").symlink_to(root / "real.md")
    (root / "folder-link").symlink_to(outside)
    (root / "loop").symlink_to(root)
    (root / "dangling").symlink_to(root / "nothing")
    changes = await listing(connect(root))
    assert [c.external_id for c in changes if isinstance(c, Changed)] == [
        "real.md",
        "folder/inner.md",
    ]
    assert isinstance(changes[-1], ListingComplete)


async def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    grow(tmp_path / "real", "a.md")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    connector = connect(tmp_path / "link")
    assert connector.root == str(tmp_path / "real")
    change, _ = await listing(connector)
    assert isinstance(change, Changed)
    assert (await connector.fetch(change)).read() == b"content of a.md"


async def test_what_is_no_file_is_passed_over(tmp_path: Path, monkeypatch: Any) -> None:
    grow(tmp_path, "real.md")
    os.mkfifo(tmp_path / "pipe.md")
    monkeypatch.chdir(tmp_path)  # paths of sockets are limited to some 100 bytes
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.md")
        changes = await listing(connect(tmp_path))
    assert len(changes) == 2
    assert covered(changes, "pipe.md") == ["pipe.md"]


async def test_large_files_are_reported_with_the_option_that_helps(tmp_path: Path) -> None:
    write(tmp_path / "large.md", "x" * 11)
    write(tmp_path / "small.md", "x" * 10)
    changes = await listing(connect(tmp_path, max_bytes=10))
    assert failures(changes) == {
        "large.md": "the file has 11 bytes, the limit is 10; raise max_bytes to read it"
    }
    assert covered(changes, "large.md", "small.md") == ["large.md", "small.md"]


async def test_names_that_are_not_unicode_are_reported(tmp_path: Path) -> None:
    grow(tmp_path, os.fsdecode(b"caf\xe9.md"), os.fsdecode(b"fold\xe9r/inner.md"))
    changes = await listing(connect(tmp_path))
    assert sorted(failures(changes)) == ["caf\\xe9.md", "fold\\xe9r"]
    assert "UTF-8" in failures(changes)["caf\\xe9.md"]
    assert next(c.uri for c in changes if isinstance(c, Failed)).endswith("/caf%E9.md")
    assert isinstance(changes[-1], ListingComplete)


async def test_strange_names_are_names(tmp_path: Path) -> None:
    strange = ["-rf", "a\\b", "new\nline.md", "tab\t", "%2e%2e", "file:", "\u202efdp.txt", "a!"]
    grow(tmp_path, *strange)
    connector = connect(tmp_path)
    changes = await listing(connector)
    assert sorted(c.external_id for c in changes if isinstance(c, Changed)) == sorted(strange)
    for change in changes:
        if isinstance(change, Changed):
            content = (await connector.fetch(change)).read().decode()
            assert content == f"content of {change.external_id}"


# --- absence -------------------------------------------------------------------------------------


async def test_a_folder_that_vanishes_while_listing_prevents_completion(tmp_path: Path) -> None:
    grow(tmp_path, "first.md", "gone/inner.md", "stays/inner.md")
    changes = connect(tmp_path).changes()
    assert await anext(changes)
    (tmp_path / "gone/inner.md").unlink()
    (tmp_path / "gone").rmdir()
    rest = [change async for change in changes]
    assert list(failures(rest)) == ["gone"]
    assert "No such file" in failures(rest)["gone"]
    assert [c.external_id for c in rest if isinstance(c, Changed)] == ["stays/inner.md"]
    assert not any(isinstance(c, ListingComplete) for c in rest)


async def test_a_folder_replaced_by_a_link_while_listing_is_not_entered(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    grow(root, "first.md")
    (root / "folder").mkdir()
    grow(outside, "secret.md")
    changes = connect(root).changes()
    assert await anext(changes)
    (root / "folder").rmdir()
    (root / "folder").symlink_to(outside)
    rest = [change async for change in changes]
    assert failures(rest) == {
        "folder": "the folder cannot be listed: it was replaced by a link",
    }
    assert len(rest) == 1


async def test_a_tree_deeper_than_paths_can_name_is_reported(tmp_path: Path) -> None:
    grow(tmp_path, "top.md")
    dig(tmp_path, "d" * 200, levels=25)
    changes = await listing(connect(tmp_path))
    assert isinstance(changes[0], Changed)
    assert len(failures(changes)) == 1
    assert "too long" in next(iter(failures(changes).values()))
    assert not isinstance(changes[-1], ListingComplete)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
async def test_a_forbidden_folder_prevents_completion(tmp_path: Path) -> None:
    grow(tmp_path, "open.md", "closed/inner.md")
    (tmp_path / "closed").chmod(0)
    try:
        changes = await listing(connect(tmp_path))
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert list(failures(changes)) == ["closed"]
    assert not isinstance(changes[-1], ListingComplete)


def test_a_missing_root_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"there is no folder .*nothing"):
        connect(tmp_path / "nothing")
    grow(tmp_path, "file.md")
    with pytest.raises(NotFound, match=r"there is no folder .*file\.md"):
        connect(tmp_path / "file.md")


async def test_a_root_that_vanished_is_no_empty_listing(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    connector = connect(root)
    root.rmdir()
    with pytest.raises(Unavailable, match="cannot be listed"):
        await listing(connector)


# --- restrictions of one run ---------------------------------------------------------------------

TREE = (
    "a.md",
    "b.txt",
    ".hidden.md",
    "docs/c.md",
    "docs/d.pdf",
    "docs/.git/e.md",
    "docs/drafts/f.md",
    "docs2/g.md",
)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["a.md", "b.txt", "docs/c.md", "docs/d.pdf", "docs/drafts/f.md", "docs2/g.md"]),
        ({"hidden": True}, sorted(TREE)),
        ({"only": ["docs"]}, ["docs/c.md", "docs/d.pdf", "docs/drafts/f.md"]),
        ({"only": ["docs/c.md", "./b.txt", "no"]}, ["b.txt", "docs/c.md"]),
        ({"only": ["docs/.git", ".hidden.md"]}, [".hidden.md", "docs/.git/e.md"]),
        ({"only": [".", "docs"], "include": ["*.txt"]}, ["b.txt"]),
        ({"include": ["*.md"]}, ["a.md", "docs/c.md", "docs/drafts/f.md", "docs2/g.md"]),
        ({"include": ["docs/*.md", "b.*"]}, ["b.txt", "docs/c.md"]),
        ({"include": ["**/drafts/**"]}, ["docs/drafts/f.md"]),
        ({"exclude": ["*.md"]}, ["b.txt", "docs/d.pdf"]),
        ({"exclude": ["docs*/"]}, ["a.md", "b.txt"]),
        ({"exclude": ["drafts/", "!drafts/f.md"], "only": ["docs"]}, ["docs/c.md", "docs/d.pdf"]),
        ({"exclude": ["docs/**", "!docs/c.md"]}, ["a.md", "b.txt", "docs/c.md", "docs2/g.md"]),
        ({"skip": ["docs"]}, ["a.md", "b.txt", "docs2/g.md"]),
        ({"skip": ["docs/drafts"], "include": ["docs/"]}, ["docs/c.md", "docs/d.pdf"]),
    ],
)
async def test_a_run_lists_and_covers_the_same(
    tmp_path: Path, options: dict[str, Any], expected: list[str]
) -> None:
    grow(tmp_path, *TREE)
    changes = await listing(connect(tmp_path, **options))
    assert sorted(c.external_id for c in changes if isinstance(c, Changed)) == sorted(expected)
    assert covered(changes, *sorted(TREE)) == sorted(expected)


async def test_only_also_covers_what_was_deleted(tmp_path: Path) -> None:
    grow(tmp_path, "docs/kept.md", "other.md")
    changes = await listing(connect(tmp_path, only=["docs", "gone.md"]))
    gone = ["docs/gone.md", "docs/deep/gone.md", "gone.md"]
    assert covered(changes, *gone, "other.md", "docs2/gone.md") == gone


@pytest.mark.parametrize(
    "options",
    [
        {"only": ["/etc"]},
        {"only": ["docs/../../etc"]},
        {"skip": [".."]},
        {"include": ["!"]},
        {"exclude": ["[z-a]"]},
        {"max_bytes": -1},
        {"follow_links": True},
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        connect(tmp_path, **options)


# --- fetching ------------------------------------------------------------------------------------


async def fetched(connector: FilesystemConnector, name: str) -> bytes:
    change = Changed(name, uri=f"file:///{name}", fingerprint="1-1", access=())
    return (await connector.fetch(change)).read()


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.md", "text/markdown"),
        ("A.PDF", "application/pdf"),
        ("notes", "application/octet-stream"),
        ("x.unheard", "application/octet-stream"),
    ],
)
async def test_the_media_type_follows_the_extension(
    tmp_path: Path, name: str, media_type: str
) -> None:
    grow(tmp_path, name)
    change, _ = await listing(connector := connect(tmp_path))
    assert isinstance(change, Changed)
    blob = await connector.fetch(change)
    assert (blob.media_type, blob.path, blob.title) == (media_type, tmp_path / name, None)


async def test_links_that_appear_after_the_listing_are_refused(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    grow(root, "a.md", "folder/b.md")
    grow(outside, "secret.md", "b.md")
    connector = connect(root)
    assert await fetched(connector, "folder/b.md")
    (root / "a.md").unlink()
    (root / "a.md").symlink_to(outside / "secret.md")
    (root / "folder").rename(root / "moved")
    (root / "folder").symlink_to(outside)
    (root / "self").symlink_to(root / "self")
    for name in ("a.md", "folder/b.md", "self"):
        with pytest.raises(Unavailable, match=f"{name}.*cannot be read"):
            await fetched(connector, name)


@pytest.mark.parametrize("name", ["../secret.md", "a/../../secret.md", "..", "", "a\0b", "folder"])
async def test_fetch_never_leaves_the_root_nor_opens_folders(tmp_path: Path, name: str) -> None:
    grow(tmp_path, "secret.md", "root/folder/a.md", "root/a/b.md")
    with pytest.raises(Unavailable, match="cannot be read"):
        await fetched(connect(tmp_path / "root"), name)


async def test_a_file_that_became_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    with pytest.raises(Unavailable, match="not a regular file"):
        await fetched(connect(tmp_path), "pipe.md")
