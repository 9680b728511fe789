"""What of an installation has been copied into a folder, while runs may replace it.

Knows which versions are here whole, from which round, and what of them was replaced since; knows
neither the catalog's tables nor the manifest.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from indexers.backup.lines import lines_of, read_lines, row_of, sum_of, write_lines
from indexers.backup.manifest import Report, files_in
from rag.catalog.dumping import Snapshot, VisibleVersion
from rag.errors import NotFound
from rag.filters import In
from rag.ports import Index
from rag.runtime import Runtime
from rag.vectors import Batch

SLICE: Final = 256
"""Versions whose rows are asked for at once."""


@dataclass(frozen=True, slots=True)
class _Saved:
    """A version that is here whole: since which round, and what its rows add up to."""

    round: int
    sum: int


@dataclass(frozen=True, slots=True)
class _Part:
    """A file of rows: when it was written, and of which attempts."""

    round: int
    attempts: frozenset[int]


class Copy:
    """The rows, texts and originals that are in the folder so far."""

    def __init__(self, runtime: Runtime, folder: Path, report: Report) -> None:
        self._runtime = runtime
        self._folder = folder
        self._report = report
        self._round = 0
        self._saved: dict[VisibleVersion, _Saved] = {}
        self._parts: dict[str, _Part] = {}

    async def take(self, snapshot: Snapshot) -> frozenset[VisibleVersion]:
        """Copy what is not here yet; return the versions of which something is gone."""
        todo: dict[str, list[VisibleVersion]] = {}
        for version in snapshot.versions - self._saved.keys():
            todo.setdefault(version.generation, []).append(version)
        done, total = 0, sum(map(len, todo.values()))
        for generation, store, _ in snapshot.generations:
            versions = sorted(todo.get(generation, ()), key=lambda version: version.attempt)
            for start in range(0, len(versions), SLICE):
                self._report("copying", done, total)
                part = versions[start : start + SLICE]
                await self._take_part(generation, store, part)
                done += len(part)
        self._round += 1
        return snapshot.versions - self._saved.keys()

    def rows(self, snapshot: Snapshot) -> tuple[Counter[str], Counter[str]]:
        """Return the number of rows, and what they add up to, by generation."""
        counts, sums = Counter[str](), Counter[str]()
        for version in snapshot.versions:
            counts[version.generation] += version.chunks
            sums[version.generation] += self._saved[version].sum
        return counts, sums

    def prune(self, snapshot: Snapshot) -> None:
        """Remove the rows and files that were copied and that this snapshot has no more."""
        current: dict[int, set[int]] = {}
        for version in snapshot.versions:
            current.setdefault(self._saved[version].round, set()).add(version.attempt)
        for name, part in self._parts.items():
            kept = current.get(part.round, set())
            if not part.attempts <= kept:
                _keep_attempts(self._folder / name, kept)
        wanted = {name for version in snapshot.versions for name in _files_of(version)}
        for name, path in list(files_in(self._folder)):
            if name.startswith(("texts/", "originals/")) and name not in wanted:
                path.unlink()

    # --- rows ------------------------------------------------------------------------------------

    async def _take_part(
        self, generation: str, store: str, versions: Sequence[VisibleVersion]
    ) -> None:
        try:
            index = await self._runtime.store(store).open(generation)
            try:
                sums = await self._take_rows(generation, index, versions)
            finally:
                await index.close()
        except NotFound:  # it was dropped with its collection
            return
        whole = await asyncio.to_thread(self._take_files, versions)
        for version in whole:
            if version.attempt in sums:
                self._saved[version] = _Saved(self._round, sums[version.attempt])

    async def _take_rows(
        self, generation: str, index: Index, versions: Sequence[VisibleVersion]
    ) -> dict[int, int]:
        """Copy the rows of versions; return the sums of those attempts that have all theirs."""
        by_attempt = {version.attempt: version for version in versions}
        counts = Counter[int]()
        sums = Counter[int]()
        async for batch in index.scan(In("attempt", list(by_attempt))):
            lines = await asyncio.to_thread(self._write_rows, generation, batch, by_attempt)
            for chunk, line in zip(batch.chunks, lines, strict=True):
                counts[chunk.attempt] += 1
                sums[chunk.attempt] += sum_of([line])
        return {a: sums[a] for a, version in by_attempt.items() if counts[a] == version.chunks}

    def _write_rows(
        self, generation: str, batch: Batch, by_attempt: Mapping[int, VisibleVersion]
    ) -> list[str]:
        """Write a file of rows. Who may read them is what this state of the catalog says."""
        fields = [
            {**fields, "subjects": list(by_attempt[chunk.attempt].access)}
            for chunk, fields in zip(batch.chunks, batch.fields, strict=True)
        ]
        lines = lines_of(batch, fields)
        name = f"rows/{generation}-{len(self._parts)}.jsonl.gz"
        write_lines(self._folder / name, lines)
        self._parts[name] = _Part(self._round, frozenset(c.attempt for c in batch.chunks))
        return lines

    # --- texts and originals ---------------------------------------------------------------------

    def _take_files(self, versions: Sequence[VisibleVersion]) -> list[VisibleVersion]:
        """Copy texts and originals; return the versions that have theirs."""
        whole = []
        for version in versions:
            try:
                for name in _files_of(version):
                    self._take_file(name)
            except NotFound:
                continue
            whole.append(version)
        return whole

    def _take_file(self, name: str) -> None:
        path = self._folder / name
        if path.exists():
            return
        kind, document, digest = name.split("/")
        blobs = self._runtime.texts if kind == "texts" else self._runtime.originals
        content = blobs.get(document, digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _files_of(version: VisibleVersion) -> list[str]:
    names = [f"texts/{version.document}/{version.text_digest}"]
    if version.original_digest is not None:
        names.append(f"originals/{version.document}/{version.original_digest}")
    return names


def _keep_attempts(path: Path, attempts: set[int]) -> None:
    kept = [line for line in read_lines(path) if row_of(line)["attempt"] in attempts]
    path.unlink()
    if kept:
        write_lines(path, kept)
