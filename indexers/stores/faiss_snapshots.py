"""The snapshot of an index's mirror: whose it is, how it is put in place and taken away.

Knows which state of the SQLite file a snapshot belongs to; knows nothing of what is in it.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
from pathlib import Path
from typing import Final

from indexers.sqlite_lane import transaction
from indexers.stores.faiss_file import has_table, snapshot_path, temporary_path
from indexers.stores.faiss_mirror import Mirror
from indexers.stores.snapshot_file import (
    Snapshot,
    UnusableSnapshot,
    read_snapshot,
    write_snapshot,
)
from rag.durable import sync_folder

TOKENS_KEPT: Final = 2
logger = logging.getLogger(__name__)


def stored_for(connection: sqlite3.Connection, path: Path, dim: int) -> Snapshot | None:
    """Read the snapshot of this file; None, and a warning, when there is one of no use."""
    found = snapshot_path(path)
    if not found.exists():
        return None
    try:
        stored = read_snapshot(found)
        # A token is written after what the snapshot shows: a file that has it comes after that.
        if stored.facts["token"] not in _tokens(connection) or stored.facts["dim"] != dim:
            raise UnusableSnapshot("it belongs to another state of the index")
    except UnusableSnapshot as exc:
        _warn_of(found, exc)
        return None
    return stored


def thawed(stored: Snapshot, path: Path) -> Mirror | None:
    """Make the mirror; None, and a warning, when this FAISS cannot read its part."""
    try:
        return Mirror.thawed(stored)
    except RuntimeError as exc:
        _warn_of(snapshot_path(path), exc)
        return None


def _warn_of(path: Path, reason: Exception) -> None:
    logger.warning("%s is not used, the rows are read instead: %s", path, reason)


def put_snapshot(connection: sqlite3.Connection, mirror: Mirror, path: Path) -> None:
    """Write the mirror as the file's snapshot; the one before it stays usable until then."""
    token = secrets.token_hex(16)
    frozen = mirror.frozen()
    _note_token(connection, token)
    write_snapshot(
        snapshot_path(path),
        Snapshot({**frozen.facts, "token": token}, frozen.arrays),
        temporary=temporary_path(path, token),
    )
    _trim_tokens(connection)


def discard_snapshot(path: Path) -> None:
    """Remove the snapshot, if there is one."""
    found = snapshot_path(path)
    if found.exists():
        found.unlink(missing_ok=True)
        sync_folder(path.parent)


# --- tokens --------------------------------------------------------------------------------------


def _tokens(connection: sqlite3.Connection) -> list[object]:
    """Return the tokens of the snapshots that this file has seen, newest last."""
    if not has_table(connection, "snapshots"):
        return []
    return [token for (token,) in connection.execute("SELECT token FROM snapshots ORDER BY n")]


def _note_token(connection: sqlite3.Connection, token: str) -> None:
    """Let the file know a snapshot before it is put in place."""
    with transaction(connection):
        connection.execute(
            "CREATE TABLE IF NOT EXISTS snapshots (n INTEGER PRIMARY KEY AUTOINCREMENT, token TEXT)"
        )
        connection.execute("INSERT INTO snapshots (token) VALUES (?)", (token,))


def _trim_tokens(connection: sqlite3.Connection) -> None:
    """Forget the snapshots before the last that was put in place, and the one before it.

    This also tells other processes that there is a new one.
    """
    with transaction(connection):
        connection.execute(
            "DELETE FROM snapshots WHERE n <= (SELECT max(n) FROM snapshots) - ?", (TOKENS_KEPT,)
        )
