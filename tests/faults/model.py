"""A folder of files, and what a run over it must make of a collection: the dict model.

The model knows files, readers, scopes and filters, and nothing of attempts, chunks or outboxes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from indexers.chunking import ChunkSpec, chunk
from indexers.parsing import parse
from rag.catalog.statistics import pack_terms
from rag.embedders.bm25 import Bm25Encoder
from rag.embedders.hashing import HashingEmbedder
from rag.types import LOCAL_OWNER, Blob, Document

PATHS = ("a.txt", "b.md", "f/c.txt", "f/d.md", "g/e.txt", "g/i.md", "g/h/j.txt", "g/h/k.md")
"""All that a folder may have; no two files of one name."""
SCOPES = ("", "f", "g", "g/h", "f/c.txt")
"""What a run may be given, relative to the folder."""
SUBJECTS = (LOCAL_OWNER, "group:a", "group:b")
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""For data of tests in which no power is lost: nobody waits there for a disk."""
COUNTS = ("added", "updated", "unchanged", "removed", "access_changed", "failed")

NUMBERS = 32
"""Contents there are, apart from their lengths; each has a word of its own."""
COMMON = "everywhere"
CHUNKING = {"target_tokens": 16, "min_tokens": 1}
"""So small that a paragraph is a chunk."""
UNREADABLE = b"\x7fELF\0\0\0\1" * 20

FILTERS: dict[str, tuple[dict[str, Any], Callable[[str], bool]]] = {
    "all": ({}, lambda path: True),
    "only md": ({"include": ("*.md",)}, lambda path: path.endswith(".md")),
    "no md": ({"exclude": ("*.md",)}, lambda path: not path.endswith(".md")),
    "no c, no k": ({"exclude": ("c.*", "k.*")}, lambda path: Path(path).stem not in "ck"),
}
"""Options of a listing, and which files it then looks at; patterns without folders, since they are
relative to each source.
"""


def word(number: int) -> str:
    return f"u{number:04}"


def text(number: int, paragraphs: int) -> bytes:
    """Return a content: each paragraph is a chunk and has the number's word."""
    parts = [
        f"{word(number)} {COMMON} " + " ".join(f"w{number % 7}x{i}x{j}" for j in range(14))
        for i in range(paragraphs)
    ]
    return "\n\n".join(parts).encode()


@dataclass(frozen=True, slots=True)
class File:
    """What stands on the disk, or stood there when it was indexed."""

    content: bytes
    modified: int
    readers: frozenset[str] = frozenset({LOCAL_OWNER})

    @property
    def sign(self) -> tuple[int, int]:
        """What a listing can see of the content."""
        return len(self.content), self.modified

    @property
    def readable(self) -> bool:
        return self.content != UNREADABLE

    @property
    def words(self) -> set[str]:
        """The content's own word, if it has any text."""
        return {self.content.split()[0].decode()} if self.content and self.readable else set()


Files: TypeAlias = Mapping[str, File]


class Folder:
    """A folder on the disk, and the same as a dict."""

    def __init__(self, root: Path) -> None:
        for name in ("f", "g/h"):
            (root / name).mkdir(parents=True)
        self.root = root.resolve()
        self.files: dict[str, File] = {}
        self._clock = 1_700_000_000

    def path(self, uri: str) -> str:
        """Return the path of a file's address, relative to the folder."""
        return uri.removeprefix(self.root.as_uri() + "/")

    def write(self, path: str, given: bytes) -> None:
        readers = self.files[path].readers if path in self.files else frozenset({LOCAL_OWNER})
        (self.root / path).write_bytes(given)
        self.files[path] = File(given, 0, readers)
        self.touch(path)

    def touch(self, path: str) -> None:
        """Give a file a time that nothing else ever had."""
        if path in self.files:
            self._clock += 1
            os.utime(self.root / path, (self._clock, self._clock))
            self.files[path] = replace(self.files[path], modified=self._clock)

    def delete(self, path: str) -> None:
        if self.files.pop(path, None) is not None:
            (self.root / path).unlink()

    def rename(self, path: str, to: str) -> None:
        if path in self.files and path != to:
            (self.root / path).replace(self.root / to)
            self.files[to] = self.files.pop(path)

    def share(self, path: str, readers: Iterable[str]) -> None:
        if path in self.files:
            self.files[path] = replace(self.files[path], readers=frozenset(readers))

    def has(self, scope: str) -> bool:
        """Tell whether a path can be given to a run: folders always stand, files come and go."""
        return scope in self.files or not PurePosixPath(scope).suffix


def foretell(files: Files, indexed: Files, scope: str, only: str = "all") -> dict[str, File]:
    """Return what is indexed after a run that goes through."""
    after = dict(indexed)
    for path in _covered(scope, only):
        file = files.get(path)
        if file is None:
            after.pop(path, None)
        elif file.readable:
            after[path] = file
    return after


def foretell_counts(
    files: Files, indexed: Files, scope: str, only: str
) -> tuple[dict[str, int], int]:
    """Return the counts of such a run, and how many files no parser can read.

    Those fail, or are in quarantine; a dry run that parses nothing may count them otherwise.
    """
    counts, unreadable = dict.fromkeys(COUNTS, 0), 0
    for path in _covered(scope, only):
        file, known = files.get(path), indexed.get(path)
        if file is None:
            counts["removed"] += known is not None
        elif not file.readable:
            unreadable += 1
        elif known is None:
            counts["added"] += 1
        elif known.content != file.content:
            counts["updated"] += 1
        elif known.readers != file.readers:
            counts["access_changed"] += 1
        else:
            counts["unchanged"] += 1
    return counts, unreadable


def between(before: File | None, after: File | None) -> list[File | None]:
    """Return the states in which a run that breaks off may leave a document."""
    states = [before, after]
    if before is not None and after is not None and before.content == after.content:
        states += [replace(before, modified=after.modified), replace(before, readers=after.readers)]
    return states


def _covered(scope: str, only: str) -> list[str]:
    chosen = FILTERS[only][1]
    return [
        path
        for path in PATHS
        if (scope in ("", path) or path.startswith(f"{scope}/")) and chosen(path)
    ]


@dataclass(frozen=True, slots=True)
class Cut:
    """What must stand in store and catalog of a content."""

    spans: Sequence[tuple[int, int, str]]
    terms: bytes


@cache
def cut(given: bytes, suffix: str) -> Cut:
    """Parse, chunk and encode a content by the plain functions, without a pipeline."""
    embedder = HashingEmbedder(HashingEmbedder.Options())
    (document,) = parse(Blob(f"file:///x{suffix}", "", content=given))
    assert isinstance(document, Document)
    spans = chunk(
        document, ChunkSpec(max_tokens=embedder.max_tokens, **CHUNKING), embedder.count_tokens
    )
    encoder = Bm25Encoder(Bm25Encoder.Options())
    return Cut(
        [(span.start, span.end, document.text[span.start : span.end]) for span in spans],
        pack_terms(encoder.encode([span.embedded_text for span in spans])),
    )


def lasting(found: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what depends on the way: times (see test_a_touched_file_has_its_new_time), and the
    readers in the store, who may be more than may read: the catalog decides.
    """
    passing = {"meta.modified", "subjects"}
    kept: dict[str, Any] = {"": found.get("")}
    for name in found.keys() - {""}:
        digest, title, metadata, access, rows = found[name]
        rest = [(*row, _without(fields, passing)) for *row, fields in rows]
        kept[name] = digest, title, _without(metadata, passing), access, rest
    return kept


def _without(fields: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}
