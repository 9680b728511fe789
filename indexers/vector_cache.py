"""Vectors kept by their text's key, so that no text is embedded twice.

The text itself is not kept. A renamed or re-chunked document finds its vectors; they go with the
last document that had them. Knows keys and owners; knows no embedder.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import ParamSpec, TypeVar

from indexers.sqlite_lane import connect, transaction
from rag.errors import Unavailable
from rag.settings import Settings
from rag.sqlite import empty_log, log_ahead

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

SLICE = 500
DAY_S = 86_400
SIGN = 8
"""Bytes before each vector, in which a flipped bit shows."""
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

KNOWN = "SELECT 1 FROM sqlite_schema WHERE name = 'owners'"
SCHEMA = (
    "CREATE TABLE vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL, used INTEGER NOT NULL)",
    "CREATE INDEX vectors_used ON vectors (used)",
    """
    CREATE TABLE owners (document TEXT, key BLOB, PRIMARY KEY (document, key)) WITHOUT ROWID
    """,
    "CREATE INDEX owners_key ON owners (key)",
    """
    CREATE TRIGGER vectors_gone AFTER DELETE ON vectors
    BEGIN DELETE FROM owners WHERE key = old.key; END
    """,
)
ORPHANED = """
DELETE FROM vectors WHERE key IN (
    SELECT mine.key FROM owners AS mine WHERE mine.document = ? AND NOT EXISTS (
        SELECT 1 FROM owners AS other WHERE other.key = mine.key AND other.document <> ?
    )
)
"""


def open_cache(settings: Settings) -> VectorCache:
    """Open the vector cache of a data folder; nothing is created before the first use."""
    return VectorCache(
        settings.data_dir / "cache" / "vectors.sqlite", settings.vector_cache.max_bytes
    )


class VectorCache:
    """A SQLite file of vectors with their owners and day of last use; losing it costs time only."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._thread = ThreadPoolExecutor(1, "vector-cache")
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    async def claim(self, owned: Collection[tuple[str, bytes]]) -> dict[bytes, bytes]:
        """Return the vectors that are here, as float32 bytes; note which documents need them.

        `owned` are pairs of a document's id and a key.
        """
        return await self._run(self._claim, owned)

    async def put(self, vectors: dict[bytes, bytes]) -> None:
        """Keep vectors; evict the longest unused ones when the file grows over its limit."""
        await self._run(self._put, vectors)

    async def forget(self, document_ids: Collection[str]) -> None:
        """Delete the vectors that these documents had and no other one has, for good."""
        if self._path.exists():
            await self._run(self._forget, document_ids)

    async def owners(self) -> set[str]:
        """Return the ids of all documents that have vectors here."""
        return await self._run(self._owners) if self._path.exists() else set()

    async def close(self) -> None:
        """Close the file; idempotent."""
        if not self._closed:
            self._closed = True
            await self._run(self._disconnect)
            self._thread.shutdown()

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        call = partial(self._healing, partial(work, *args, **kwargs))
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except (sqlite3.Error, OSError) as exc:
            raise Unavailable(
                f"the vector cache {self._path} fails: {exc}", hint="delete the file; it is a cache"
            ) from exc

    def _healing(self, work: Callable[[], T]) -> T:
        """Do the work; with a damaged file, do it again with a new one."""
        try:
            return work()
        except sqlite3.DatabaseError as exc:
            if getattr(exc, "sqlite_errorcode", 0) & 0xFF not in DAMAGED:
                raise
            logger.warning("the vector cache %s is damaged (%s): starting anew", self._path, exc)
            self._disconnect()
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            return work()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = self._connection = connect(self._path, create=True)
            log_ahead(connection)
            connection.execute("PRAGMA synchronous=NORMAL")  # losing the newest costs time only
            connection.execute("PRAGMA secure_delete=ON")
            with transaction(connection):
                if not connection.execute(KNOWN).fetchone():
                    # A file of before there were owners: nobody could say whose vectors these are.
                    connection.execute("DROP TABLE IF EXISTS vectors")
                    for statement in SCHEMA:
                        connection.execute(statement)
        return self._connection

    def _claim(self, owned: Collection[tuple[str, bytes]]) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        keys = list({key for _, key in owned})
        today = int(time.time() // DAY_S)
        connection = self._open()
        with transaction(connection):
            for start in range(0, len(keys), SLICE):
                part = keys[start : start + SLICE]
                marks = ",".join("?" * len(part))
                rows = connection.execute(
                    f"SELECT key, vector FROM vectors WHERE key IN ({marks})",  # noqa: S608
                    part,
                )
                for key, kept in rows:
                    if kept[:SIGN] == _sign(key, kept[SIGN:]):
                        found[key] = kept[SIGN:]
            connection.executemany(
                "UPDATE vectors SET used = ? WHERE key = ? AND used < ?",
                [(today, key, today) for key in found],
            )
            connection.executemany("INSERT OR IGNORE INTO owners VALUES (?, ?)", owned)
        return found

    def _put(self, vectors: dict[bytes, bytes]) -> None:
        today = int(time.time() // DAY_S)
        connection = self._open()
        with transaction(connection):
            connection.executemany(
                "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)",
                [(key, _sign(key, vector) + vector, today) for key, vector in vectors.items()],
            )
            self._evict(connection)

    def _forget(self, document_ids: Collection[str]) -> None:
        connection = self._open()
        with transaction(connection):
            for document_id in document_ids:
                connection.execute(ORPHANED, (document_id, document_id))
                connection.execute("DELETE FROM owners WHERE document = ?", (document_id,))
        empty_log(connection, "the vector cache")

    def _owners(self) -> set[str]:
        rows = self._open().execute("SELECT DISTINCT document FROM owners")
        return {document for (document,) in rows}

    def _evict(self, connection: sqlite3.Connection) -> None:
        """Delete the longest unused tenth while the vectors take more than the limit."""
        with closing(connection.execute("SELECT max(rowid) FROM vectors")) as cursor:
            (rows,) = cursor.fetchone()
        (size,) = connection.execute("SELECT length(vector) FROM vectors LIMIT 1").fetchone() or (
            0,
        )
        if (rows or 0) * size <= self._max_bytes:
            return
        (count,) = connection.execute("SELECT count(*) FROM vectors").fetchone()
        if count * size > self._max_bytes:
            connection.execute(
                "DELETE FROM vectors WHERE rowid IN"
                " (SELECT rowid FROM vectors ORDER BY used, rowid LIMIT ?)",
                (count - int(self._max_bytes * 0.9) // size,),
            )


def _sign(key: bytes, vector: bytes) -> bytes:
    return blake2b(key + vector, digest_size=SIGN).digest()
