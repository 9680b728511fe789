"""How a mirror follows its file: from a snapshot or from all rows, then what changed.

Knows the order of rows and removals, and when a newer snapshot is worth reading; knows no scores.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from indexers.sqlite_lane import DOCTOR, identity, snapshot
from indexers.stores.faiss_file import snapshot_path
from indexers.stores.faiss_mirror import Mirror
from indexers.stores.faiss_rows import PAGE, SELECT
from indexers.stores.faiss_snapshots import stored_for, thawed
from indexers.stores.row_codec import F4, Row, sound
from rag.ports import Candidates
from rag.vectors import Search

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sizes:
    """From how many rows on something is worth its cost; see `docs/decisions/011-*`."""

    tail_rows: int = 5_000
    """So many rows beside a snapshot are read at once, and scanned in no time."""
    tail_share: float = 0.1
    graph_rows: int = 50_000

    def worth(self, tail: int, rows: int) -> bool:
        """Tell whether so many rows beside a snapshot of so many call for a new one."""
        return tail > max(self.tail_rows, self.tail_share * rows)


SIZES: Final = Sizes()


class LiveMirror:
    """The mirror as the file is now; belongs to one thread and its connection."""

    def __init__(self, path: Path, dim: int, sizes: Sizes) -> None:
        self._path = path
        self._dim = dim
        self._sizes = sizes
        self._mirror: Mirror | None = None
        self._seen: tuple[object, ...] = ()
        """The connection, and what it said about the file when the mirror was last advanced."""
        self._tried: tuple[int, int] | None = None
        """The last snapshot that was looked at."""
        self._warned = False

    def search(self, connection: sqlite3.Connection, search: Search) -> Candidates:
        """Search what is committed; the first call reads all rows, later ones what changed."""
        seen = (connection, connection.execute("PRAGMA data_version").fetchone()[0])
        mirror = self._mirror
        if mirror is None or seen != self._seen:
            if mirror is None or self._seen[0] is not connection:  # or that of another file
                mirror = self._tried = None
            self._mirror = None  # a failure half way must leave none rather than half of one
            mirror = self._mirror = self._advanced(connection, mirror)
            self._seen = seen
            self._warn(mirror)
        return mirror.search(search)

    def _advanced(self, connection: sqlite3.Connection, mirror: Mirror | None) -> Mirror:
        if mirror is None or self._behind(connection, mirror):
            mirror = self._untried(connection) or mirror
        with snapshot(connection):
            if mirror is None or not follow(connection, mirror):
                mirror = Mirror(self._dim, removal=last_removal(connection))
                follow(connection, mirror)
        return mirror.compacted() if mirror.crumbling else mirror

    def _behind(self, connection: sqlite3.Connection, mirror: Mirror) -> bool:
        """Tell whether a newer snapshot would spare much."""
        newer = last_seq(connection) - mirror.seq
        return forgotten(connection, mirror.removal) or self._sizes.worth(
            len(mirror) - mirror.stored + newer, mirror.stored
        )

    def _untried(self, connection: sqlite3.Connection) -> Mirror | None:
        found = identity(snapshot_path(self._path))
        if found is None or found == self._tried:
            return None
        self._tried = found
        stored = stored_for(connection, self._path, self._dim)
        return None if stored is None else thawed(stored, self._path)

    def _warn(self, mirror: Mirror) -> None:
        if mirror.lost and not self._warned:
            self._warned = True
            logger.warning(
                "%s: %d rows are damaged and left out; %s", self._path, len(mirror.lost), DOCTOR
            )


def follow(connection: sqlite3.Connection, mirror: Mirror) -> bool:
    """Bring the mirror to the state that the connection reads.

    False, and nothing done, when that needs removals that are forgotten.
    """
    removed = removals(connection, mirror.removal)
    if removed is None:
        return False
    mirror.forget(removed)
    for seqs, rows, lost in newer(connection, mirror):
        mirror.lost.update(lost)
        if rows:
            mirror.add(seqs, rows)
    return True


def newer(
    connection: sqlite3.Connection, mirror: Mirror
) -> Iterator[tuple[list[int], list[Row], list[int]]]:
    """Yield the rows that the mirror has not, in order and in pages: numbers, rows, damaged ones.

    A row out of its place in the file counts as damaged.
    """
    seq, last = mirror.seq, last_seq(connection)
    with closing(connection.execute(f"{SELECT} WHERE seq > ? ORDER BY seq", (seq,))) as cursor:
        while values := cursor.fetchmany(PAGE):
            seqs, rows, lost = [], [], []
            for number, *columns in values:
                row = sound(columns) if seq < number <= last else None
                if row is not None and len(row.dense) == F4.itemsize * mirror.dim:
                    seqs.append(number)
                    rows.append(row)
                    seq = number
                else:
                    lost.append(number)
            yield seqs, rows, lost


def last_seq(connection: sqlite3.Connection) -> int:
    """Return the number of the newest row, 0 without rows."""
    return int(connection.execute("SELECT coalesce(max(seq), 0) FROM rows").fetchone()[0])


def last_removal(connection: sqlite3.Connection) -> int:
    """Return the number of the newest removal, 0 when there was none."""
    return int(connection.execute("SELECT coalesce(max(n), 0) FROM removed").fetchone()[0])


def removals(connection: sqlite3.Connection, after: int) -> list[tuple[int, int]] | None:
    """Return (n, seq) of the removals after that one; None when some of them are forgotten."""
    if forgotten(connection, after):
        return None
    found: list[tuple[Any, Any]] = connection.execute(
        "SELECT n, seq FROM removed WHERE n > ? ORDER BY n", (after,)
    ).fetchall()
    return found if all(type(seq) is int for _, seq in found) else None


def forgotten(connection: sqlite3.Connection, after: int) -> bool:
    """Tell whether removals after that one are not in the log any more."""
    oldest = connection.execute("SELECT min(n) FROM removed").fetchone()[0]
    return oldest is not None and bool(oldest > after + 1)
