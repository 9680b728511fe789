"""Ignore files: what git would ignore is not listed, and counts as gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors.filesystem import FilesystemConnector
from rag.ports import Changed, ListingComplete
from rag.testing.connectors import listing


def connect(root: Path, **options: Any) -> FilesystemConnector:
    return FilesystemConnector(FilesystemConnector.Options(**options), root=str(root))


def grow(root: Path, *names: str) -> None:
    for name in names:
        write(root / name, f"content of {name}")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


async def names(root: Path, **options: Any) -> list[str]:
    return [
        c.external_id for c in await listing(connect(root, **options)) if isinstance(c, Changed)
    ]


async def test_ignored_files_are_not_listed_and_count_as_gone(tmp_path: Path) -> None:
    grow(tmp_path, "a.log", "b.md", "build/c.md", "deep/er/d.log")
    write(tmp_path / ".gitignore", "*.log\n/build/\n")
    *changes, last = await listing(connect(tmp_path))
    assert [c.external_id for c in changes if isinstance(c, Changed)] == ["b.md"]
    assert isinstance(last, ListingComplete)
    assert all(map(last.covers, ["a.log", "build/c.md", "deep/er/d.log"]))
    assert len(await names(tmp_path, ignore_files=False)) == 4


async def test_nested_patterns_hold_below_their_folder_and_win(tmp_path: Path) -> None:
    grow(tmp_path, "a.log", "sub/a.log", "sub/top.md", "sub/x/top.md", "top.md", "sub/keep.log")
    write(tmp_path / ".gitignore", "*.log\n")
    write(tmp_path / "sub/.gitignore", "/top.md\n!keep.log\n")
    assert await names(tmp_path) == ["top.md", "sub/keep.log", "sub/x/top.md"]


async def test_nothing_comes_back_out_of_an_ignored_folder(tmp_path: Path) -> None:
    grow(tmp_path, "build/keep.md", "build/sub/keep.md")
    write(tmp_path / ".gitignore", "build/\n!build/keep.md\n")
    write(tmp_path / "build/.gitignore", "!keep.md\n")
    assert await names(tmp_path) == []


@pytest.mark.parametrize(
    ("patterns", "listed"),
    [
        ("docs/**\n!docs/c.md", ["a.md", "b.txt", "docs/c.md", "docs2/g.md"]),
        ("*\n!*/\n!*.pdf", ["docs/d.pdf"]),
        ("d*\n!docs", ["a.md", "b.txt", "docs/c.md"]),
        ("/*\n!/docs/\n/docs/*\n!/docs/drafts/", ["docs/drafts/f.md"]),
        ("**/drafts/\n**/g.md\ndocs/**/*.pdf", ["a.md", "b.txt", "docs/c.md"]),
    ],
)
async def test_patterns_bring_back_what_git_brings_back(
    tmp_path: Path, patterns: str, listed: list[str]
) -> None:
    grow(tmp_path, "a.md", "b.txt", "docs/c.md", "docs/d.pdf", "docs/drafts/f.md", "docs2/g.md")
    write(tmp_path / ".gitignore", patterns)
    assert await names(tmp_path) == listed


async def test_cumuloignore_adds_to_gitignore_and_has_the_last_word(tmp_path: Path) -> None:
    grow(tmp_path, "code.py", "notes.tmp", "text.md")
    write(tmp_path / ".gitignore", "*.tmp\n")
    write(tmp_path / ".cumuloignore", "*.py\n!notes.tmp\n")
    assert await names(tmp_path) == ["notes.tmp", "text.md"]


async def test_unreadable_lines_of_ignore_files_are_passed_over(tmp_path: Path) -> None:
    grow(tmp_path, "a.log", "b.md", "c.tmp")
    (tmp_path / ".gitignore").write_bytes(b"\xef\xbb\xbf*.log\r\n!\n[z-a]\n\xff\n# note\n*.tmp")
    assert await names(tmp_path) == ["b.md"]


async def test_a_link_is_no_ignore_file(tmp_path: Path) -> None:
    grow(tmp_path / "root", "a.md")
    write(tmp_path / "everything", "*\n")
    (tmp_path / "root/.gitignore").symlink_to(tmp_path / "everything")
    assert await names(tmp_path / "root") == ["a.md"]
