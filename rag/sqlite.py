"""What every SQLite file of ours needs when it is opened, whichever driver opens it."""

from __future__ import annotations

import sqlite3
import time
from typing import Final

BUSY_TIMEOUT_S: Final = 30.0
"""How long a writer waits for another."""


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


def empty_log(connection: sqlite3.Connection) -> bool:
    """Fold the log into the file and cut it to nothing; say whether others let us in time.

    What was deleted stands in the log until then. While another process does the same, SQLite
    refuses at once instead of letting us wait.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
