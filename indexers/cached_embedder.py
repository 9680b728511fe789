"""An embedder wrapped so that each distinct text is embedded once.

Knows how a text becomes a key, and what is under way; the vectors are kept by the cache.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from indexers.vector_cache import VectorCache
from rag.ports import Embedder
from rag.vectors import Embedded, Matrix


class CachedEmbedder:
    """Embeds passages through the cache; a text under way elsewhere in this run is awaited.

    The embedder's answers are kept as they are: `rag.embedding` has checked them.
    """

    def __init__(self, embedder: Embedder, cache: VectorCache | None, tenant: str) -> None:
        self._embedder = embedder
        self._cache = cache
        self._prefix = f"{tenant}\0{embedder.fingerprint}\0".encode()
        self._under_way: dict[bytes, asyncio.Future[bytes]] = {}

    async def embed_passages(self, texts: Sequence[str], owners: Sequence[str]) -> Embedded:
        """Return the vectors in order; `tokens` counts what was really embedded now.

        `owners` names the document of each text: with it the cached vector goes.
        """
        keys = [blake2b(self._prefix + t.encode(), digest_size=20).digest() for t in texts]
        wanted = dict(zip(keys, texts, strict=True))
        owned = set(zip(owners, keys, strict=True))
        found = await self._cache.claim(owned) if self._cache is not None else {}
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
