"""What every SQLite file of ours needs when it is opened, whichever driver opens it."""

from __future__ import annotations

import sqlite3
import time
from typing import Final

from rag.errors import Unavailable

BUSY_TIMEOUT_S: Final = 30.0
"""How long a writer waits for another."""
LOG_TURN_S: Final = 1.0
"""How long emptying the log keeps writers out while it waits for readers, before they go on."""


def log_ahead(connection: sqlite3.Connection) -> None:
    """Let readers and a writer work at the same time: the file stays in WAL mode.

    Of two that switch a new file at once, SQLite refuses one at once instead of letting it wait.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def empty_log(connection: sqlite3.Connection, what: str) -> None:
    """Move what the log holds into the file, and leave nothing in it of what was deleted.

    Raise `Unavailable` while others go on reading older states. While another process does the
    same, SQLite refuses at once instead of letting us wait.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    connection.execute(f"PRAGMA busy_timeout={int(1000 * LOG_TURN_S)}")
    try:
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"deleted content is still in the log of {what}: others read old states of it",
                    hint="try again when the other processes are done",
                )
            time.sleep(LOG_TURN_S / 10)
    finally:
        connection.execute(f"PRAGMA busy_timeout={int(1000 * BUSY_TIMEOUT_S)}")
