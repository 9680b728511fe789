"""Looking after an index: its snapshot, its graph, and nothing left of what was deleted.

Knows when a snapshot is written anew; what it holds stands in `faiss_mirror`.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from indexers.sqlite_lane import identity, snapshot, transaction
from indexers.stores.faiss_file import maintained
from indexers.stores.faiss_following import (
    Sizes,
    follow,
    last_removal,
    last_seq,
    removals,
)
from indexers.stores.faiss_mirror import Mirror
from indexers.stores.faiss_rows import count
from indexers.stores.faiss_snapshots import (
    discard_snapshot,
    put_snapshot,
    stored_for,
    thawed,
)
from indexers.stores.snapshot_file import Snapshot
from rag.filters import EVERYTHING
from rag.sqlite import empty_log


def optimize(connection: sqlite3.Connection, *, path: Path, dim: int, sizes: Sizes) -> None:
    """Bring snapshot and graph up to date where that is worth it, and wipe what was deleted.

    One process at a time does so, on a connection of its own; others read and write meanwhile.
    """
    file = identity(path)
    with maintained(path):
        stored = stored_for(connection, path, dim)
        if count(connection, EVERYTHING) <= sizes.tail_rows:
            discard_snapshot(path)  # the rows are read as fast
        elif stored is None or _outdated(connection, stored, sizes):
            mirror = _current(connection, stored, path, dim)
            del stored  # as large as the mirror
            if mirror.alive >= sizes.graph_rows:
                mirror.link()
            put_snapshot(connection, mirror, path)
        _wipe(connection)
        empty_log(connection, path.name)
        if identity(path) != file:
            discard_snapshot(path)  # the index was dropped: what was made of it must not stay


def _outdated(connection: sqlite3.Connection, stored: Snapshot, sizes: Sizes) -> bool:
    """Tell whether rows of the snapshot are gone, or so many are new that it is worth it."""
    facts = stored.facts
    with snapshot(connection):
        removed = removals(connection, facts["removal"])
        fresh = last_seq(connection) - facts["seq"]
    gone = removed is None or any(seq <= facts["seq"] for _, seq in removed)
    return gone or sizes.worth(fresh, len(stored.arrays["seqs"]))


def _current(
    connection: sqlite3.Connection, stored: Snapshot | None, path: Path, dim: int
) -> Mirror:
    """Make a mirror of the file as it is now, from the snapshot where there is one."""
    mirror = None if stored is None else thawed(stored, path)
    with snapshot(connection):
        if mirror is None or not follow(connection, mirror):
            mirror = Mirror(dim, removal=last_removal(connection))
            follow(connection, mirror)
    return mirror.compacted() if mirror.crumbling else mirror


def _wipe(connection: sqlite3.Connection) -> None:
    """Write the file anew if rows were removed since that was last done.

    SQLite overwrites what is deleted, but not the copies that it left when it moved rows from one
    page to another.
    """
    removal = last_removal(connection)
    connection.execute("CREATE TABLE IF NOT EXISTS wiped (removal INTEGER NOT NULL)")
    if (removal,) not in connection.execute("SELECT removal FROM wiped").fetchall():
        if removal:
            connection.execute("VACUUM")
        with transaction(connection):
            connection.execute("DELETE FROM wiped")
            connection.execute("INSERT INTO wiped VALUES (?)", (removal,))
