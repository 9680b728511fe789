"""An embedder wrapped so that each distinct text is embedded once.

Vectors are kept by (tenant, embedder fingerprint, embedded text); the text itself is not. Knows
nothing of documents: a renamed or re-chunked one simply finds its vectors.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np

from indexers.sqlite_lane import connect, log_ahead, transaction
from rag.errors import Rejected, Unavailable
from rag.ports import Embedder
from rag.types import Embedded, Matrix, check_unit_rows

P = ParamSpec("P")
T = TypeVar("T")

SLICE = 500
DAY_S = 86_400


class VectorCache:
    """A SQLite file of vectors with their day of last use; losing it costs time only."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._thread = ThreadPoolExecutor(1, "vector-cache")
        self._connection: sqlite3.Connection | None = None

    async def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the vectors that are here, as float32 bytes."""
        return await self._run(self._get, keys)

    async def put(self, vectors: dict[bytes, bytes]) -> None:
        """Keep vectors; evict the longest unused ones when the file grows over its limit."""
        await self._run(self._put, vectors)

    async def close(self) -> None:
        """Close the file; idempotent."""
        if self._connection is not None:
            await self._run(self._connection.close)
            self._connection = None
        self._thread.shutdown()

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        call = partial(work, *args, **kwargs)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except sqlite3.Error as exc:
            raise Unavailable(
                f"the vector cache {self._path} fails: {exc}", hint="delete the file; it is a cache"
            ) from exc

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = connect(self._path, create=True)
            log_ahead(connection)
            connection.execute("PRAGMA synchronous=NORMAL")  # losing the newest costs time only
            with transaction(connection):
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS vectors"
                    " (key BLOB PRIMARY KEY, vector BLOB NOT NULL, used INTEGER NOT NULL)"
                )
                connection.execute("CREATE INDEX IF NOT EXISTS vectors_used ON vectors(used)")
            self._connection = connection
        return self._connection

    def _get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        today = int(time.time() // DAY_S)
        connection = self._open()
        with transaction(connection):
            for start in range(0, len(keys), SLICE):
                part = list(keys[start : start + SLICE])
                marks = ",".join("?" * len(part))
                rows = connection.execute(
                    f"SELECT key, vector FROM vectors WHERE key IN ({marks})",  # noqa: S608
                    part,
                )
                found.update(rows.fetchall())
            connection.executemany(
                "UPDATE vectors SET used = ? WHERE key = ? AND used < ?",
                [(today, key, today) for key in found],
            )
        return found

    def _put(self, vectors: dict[bytes, bytes]) -> None:
        today = int(time.time() // DAY_S)
        connection = self._open()
        with transaction(connection):
            connection.executemany(
                "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)",
                [(key, vector, today) for key, vector in vectors.items()],
            )
            self._evict(connection)

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


class CachedEmbedder:
    """Embeds passages through the cache; a text under way elsewhere in this run is awaited."""

    def __init__(self, embedder: Embedder, cache: VectorCache | None, tenant: str) -> None:
        self._embedder = embedder
        self._cache = cache
        self._prefix = f"{tenant}\0{embedder.fingerprint}\0".encode()
        self._under_way: dict[bytes, asyncio.Future[bytes]] = {}

    async def embed_passages(self, texts: Sequence[str]) -> Embedded:
        """Return the vectors in order; `tokens` counts what was really embedded now."""
        keys = [blake2b(self._prefix + t.encode(), digest_size=20).digest() for t in texts]
        wanted = dict(zip(keys, texts, strict=True))
        found = await self._cache.get(list(wanted)) if self._cache is not None else {}
        awaited = {
            key: self._under_way[key]
            for key in wanted
            if key not in found and key in self._under_way
        }
        missing = [key for key in wanted if key not in found and key not in awaited]
        tokens = await self._embed_missing(missing, [wanted[key] for key in missing], found)
        for key, future in awaited.items():
            found[key] = await asyncio.shield(future)  # a waiter that gives up ends only itself
        return Embedded(self._stack([found[key] for key in keys]), tokens)

    async def _embed_missing(
        self, keys: Sequence[bytes], texts: Sequence[str], found: dict[bytes, bytes]
    ) -> int:
        """Embed the texts, add their vectors to `found` and to the cache; return the tokens."""
        if not keys:
            return 0
        promises = {key: asyncio.get_running_loop().create_future() for key in keys}
        self._under_way.update(promises)
        try:
            embedded = await self._embedder.embed(texts, "passage")
            if embedded.vectors.shape != (len(texts), self._embedder.dim):
                raise Rejected(
                    f"the embedder gave vectors of shape {embedded.vectors.shape} for "
                    f"{len(texts)} texts and dimension {self._embedder.dim}"
                )
            check_unit_rows(embedded.vectors)
            fresh = {
                key: vector.tobytes() for key, vector in zip(keys, embedded.vectors, strict=True)
            }
            if self._cache is not None:
                await self._cache.put(fresh)
        except BaseException as exc:
            for promise in promises.values():
                promise.set_exception(exc)
                promise.exception()  # retrieved: nobody may be waiting for it
            raise
        finally:
            for key in keys:
                del self._under_way[key]
        for key, promise in promises.items():
            promise.set_result(fresh[key])
        found.update(fresh)
        return embedded.tokens

    def _stack(self, vectors: Sequence[bytes]) -> Matrix:
        joined = np.frombuffer(b"".join(vectors), np.float32)
        return joined.reshape(len(vectors), self._embedder.dim)
