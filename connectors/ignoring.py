"""Which paths of a folder tree a listing looks at: ignore files and the restrictions of one run.

Paths are relative to the root, with slashes; patterns have gitignore syntax. The two differ in
what absence means: an ignored file is gone, a file outside a run's restrictions stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

from pathspec import GitIgnoreSpec

IGNORE_FILES = (".gitignore", ".cumuloignore")
"""Read in this order; the last pattern that matches decides."""

_FOLDER_MARK = "(?P<ps_d>/)"  # how pathspec's expressions end where a folder may match

Rule: TypeAlias = tuple[bool, re.Pattern[str]]
"""Whether what matches is ignored, and what matches."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """The patterns that hold in a folder: its own and those of the folders above it."""

    layers: tuple[tuple[str, Sequence[Rule]], ...] = ()
    """Folder (empty or ending in a slash) and its rules, last line first; outermost first."""

    def below(self, folder: str, lines: Sequence[str]) -> Ignored:
        """Add a folder's own patterns; lines that cannot be read ignore nothing, as in git."""
        rules = [rule for line in reversed(lines) for rule in _rules(line)]
        return Ignored((*self.layers, (f"{folder}/" if folder else "", rules)))

    def __contains__(self, path: str) -> bool:
        """Decide about one file, or a folder when the path ends in a slash.

        As in git, the folder nearest to the path decides, and nothing inside an ignored folder
        is asked about again.
        """
        for folder, rules in reversed(self.layers):
            below = path.removeprefix(folder)
            for ignores, pattern in rules:
                if pattern.search(below):
                    return ignores
        return False


def _rules(line: str) -> list[Rule]:
    """Compile a line of an ignore file: to one rule, or to none when it says nothing."""
    try:
        spec = GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return []
    return [
        (pattern.include, _itself(pattern.regex.pattern))
        for pattern in spec.patterns
        if pattern.include is not None and pattern.regex is not None
    ]


def _itself(regex: str) -> re.Pattern[str]:
    """Narrow a pattern's expression from a path and all inside it to the path itself.

    A walk asks about every folder before what is inside. Asked again through its content, `!a`
    would bring back what `b*` ignores in `a`, and `a/**` would ignore `a` in spite of `!a/b`.
    """
    if regex.endswith(f"(?:{_FOLDER_MARK}|$)"):
        regex = regex.removesuffix(f"(?:{_FOLDER_MARK}|$)") + r"/?\Z"
    elif regex.endswith(_FOLDER_MARK):
        regex = regex.removesuffix(_FOLDER_MARK) + r"/\Z"
    elif regex.endswith("/"):
        regex += "."
    return re.compile(regex, re.DOTALL)


@dataclass(frozen=True, slots=True)
class Scope:
    """The restrictions of one run; what it leaves out is not asked about, so it is not absent."""

    only: tuple[str, ...] = ()
    """Files and folders to look at; everything when empty."""
    skip: frozenset[str] = frozenset()
    """Folders that belong to other sources."""
    hidden: bool = False
    include: GitIgnoreSpec | None = None
    exclude: Ignored = Ignored()

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
            and f"{folder}/" not in self.exclude
        )

    def takes(self, path: str) -> bool:
        """Decide whether to name a file, all folders above it having been entered."""
        return (
            self._chosen(path)
            and self._shown(path)
            and path not in self.exclude
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


def check_patterns(lines: Iterable[str]) -> None:
    """Raise `ValueError` naming the first line that git would not understand as a pattern."""
    for line in lines:
        if not _rules(line):
            raise ValueError(f"{line!r} is not a pattern in gitignore syntax")
