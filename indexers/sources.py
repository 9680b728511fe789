"""From paths on a command line to sources: which root each belongs to, and how it is restricted.

A path under a known root updates that root's documents; a known root under a new one keeps its
own. Knows folders and files, not what is in them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.errors import NotFound
from rag.ports import Change, Changed, ListingComplete
from rag.types import Blob


@dataclass(frozen=True, slots=True)
class Scope:
    """One listing to make: a root, and the parts of it to list or to leave out."""

    root: str
    only: tuple[str, ...] = ()
    """Relative paths; empty is everything."""
    skip: tuple[str, ...] = ()
    """Relative folders that are roots of their own."""
    gone: bool = False
    """The root was a folder of a path that is there, and is not there any more."""


@dataclass(slots=True)
class Emptied:
    """The connector of a folder that went: a complete listing of nothing."""

    root: str
    kind: str = "filesystem"
    repeatable: bool = True

    async def changes(self) -> AsyncIterator[Change]:
        """Say that nothing is left."""
        yield ListingComplete(covers=lambda external_id: True)

    async def fetch(self, change: Changed) -> Blob:
        """Raise `NotFound`: nothing was listed."""
        raise NotFound(f"the folder {self.root} is gone")


def plan_scopes(paths: Sequence[Path], known_roots: Sequence[str]) -> list[Scope]:
    """Assign each path to a root; raise `NotFound` for a path that does not exist."""
    check_paths(paths)
    wanted = _outermost([path.resolve() for path in paths])
    known = [Path(root) for root in known_roots]
    parts: dict[Path, set[str]] = {}
    for path in wanted:
        above = [root for root in known if path.is_relative_to(root)]
        if above:
            root = max(above, key=lambda p: len(p.parts))
        else:
            root = path if path.is_dir() else path.parent
        parts.setdefault(root, set()).add(path.relative_to(root).as_posix())
        if path.is_dir():
            for below in known:
                if below != root and below.is_relative_to(path):
                    parts.setdefault(below, set()).add(".")
    roots = [*known, *(root for root in parts if root not in known)]
    return [
        Scope(
            root=str(root),
            gone=not root.exists(),
            only=() if "." in only else tuple(sorted(only)),
            skip=tuple(
                sorted(
                    other.relative_to(root).as_posix()
                    for other in roots
                    if other != root and other.is_relative_to(root)
                )
            ),
        )
        for root, only in sorted(parts.items())
    ]


def check_paths(paths: Sequence[Path]) -> None:
    """Raise `NotFound` for the first path that does not exist."""
    for path in paths:
        if not path.exists():
            raise NotFound(
                f"there is no file or folder {str(path)!r}",
                hint="a document whose file is gone is removed when its folder is ingested again",
            )


def _outermost(paths: Sequence[Path]) -> list[Path]:
    distinct = sorted(set(paths))
    return [p for p in distinct if not any(p != q and p.is_relative_to(q) for q in distinct)]
