"""Which paths of a folder tree a listing looks at: ignore files and the restrictions of one run.

Paths are relative to the root, with slashes; patterns have gitignore syntax. The two differ in
what absence means: an ignored file is gone, a file outside a run's restrictions stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from pathspec import GitIgnoreSpec

IGNORE_FILES = (".gitignore", ".cumuloignore")
"""Read in this order; the last pattern that matches decides."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """The patterns that hold in a folder: its own and those of the folders above it."""

    layers: tuple[tuple[str, GitIgnoreSpec], ...] = ()
    """Folder (empty or ending in a slash) and its patterns, outermost first."""

    def below(self, folder: str, lines: Sequence[str]) -> Ignored:
        """Add a folder's own patterns."""
        spec = GitIgnoreSpec.from_lines([line for line in lines if _valid(line)])
        return Ignored((*self.layers, (f"{folder}/" if folder else "", spec)))

    def __contains__(self, path: str) -> bool:
        """Decide about one file, or a folder when the path ends in a slash.

        As in git, the folder nearest to the path decides, and nothing inside an ignored folder
        is asked about again.
        """
        for folder, spec in reversed(self.layers):
            verdict = spec.check_file(path.removeprefix(folder)).include
            if verdict is not None:
                return verdict
        return False


@dataclass(frozen=True, slots=True)
class Scope:
    """The restrictions of one run; what it leaves out is not asked about, so it is not absent."""

    only: tuple[str, ...] = ()
    """Files and folders to look at; everything when empty."""
    skip: frozenset[str] = frozenset()
    """Folders that belong to other sources."""
    hidden: bool = False
    include: GitIgnoreSpec | None = None
    exclude: GitIgnoreSpec = field(default_factory=lambda: GitIgnoreSpec.from_lines([]))

    def covers(self, path: str) -> bool:
        """Decide whether a listing would name this file, if it existed and were not ignored."""
        *folders, _ = accumulate(path.split("/"), lambda above, name: f"{above}/{name}")
        return all(self.enters(folder) for folder in folders) and self.takes(path)

    def enters(self, folder: str) -> bool:
        """Decide whether to list a folder, all folders above it having been entered."""
        wanted = self._chosen(folder) or any(_inside(path, folder) for path in self.only)
        return (
            wanted
            and folder not in self.skip
            and self._shown(folder)
            and not self.exclude.match_file(f"{folder}/")
        )

    def takes(self, path: str) -> bool:
        """Decide whether to name a file, all folders above it having been entered."""
        return (
            self._chosen(path)
            and self._shown(path)
            and not self.exclude.match_file(path)
            and (self.include is None or self.include.match_file(path))
        )

    def _chosen(self, path: str) -> bool:
        return not self.only or any(_inside(path, chosen) for chosen in self.only)

    def _shown(self, path: str) -> bool:
        """Leave out names with a leading dot, unless they were chosen by name."""
        if self.hidden or not path.rpartition("/")[2].startswith("."):
            return True
        return any(_inside(chosen, path) for chosen in self.only)


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def patterns(lines: Iterable[str]) -> GitIgnoreSpec:
    """Compile patterns that must all be readable; raise `ValueError` naming the first bad one."""
    lines = list(lines)
    for line in lines:
        if not _valid(line):
            raise ValueError(f"{line!r} is not a pattern in gitignore syntax")
    return GitIgnoreSpec.from_lines(lines)


def _valid(line: str) -> bool:
    """Git passes over lines of ignore files that it cannot read, so they harm nobody."""
    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True
