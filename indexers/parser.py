"""Files parsed in child processes, with all that is inside them.

Knows how containers unfold (archives, mails, files too long for one document), how deep and how
much, and that a parser which dies gets a second try. Nothing of formats, nothing of the catalog.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing, closing
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

from indexers.opening import Opened, open_blob
from indexers.parsing.child import TASK
from rag.children.failures import ChildFailed, TaskFailed
from rag.children.limits import Limits
from rag.children.pool import ChildPool, Reply
from rag.errors import UnreadableDocument
from rag.parsed import unpack_document
from rag.settings import Parsing
from rag.types import Blob, Document, Metadata

MAX_DEPTH = 6
"""Files in files in files …"""
MAX_MEMBERS = 10_000
MAX_UNPACKED = 2**30
"""Bytes of all members of one file, at every depth."""
STRIKES = 2
"""Times that a parser may die of a file."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document of a file, or why a member of it is none."""

    path: tuple[str, ...]
    """Names of the members that lead to it; empty for the file itself."""
    document: Document | None
    packed: bytes
    """The document as it is kept."""
    digest: str
    """Of the bytes that it was made of."""
    metadata: Metadata = field(default_factory=dict)
    """What the container says of the member."""
    error: UnreadableDocument | None = None
    reached: int = 0
    """Bytes up to which the file has been read: for a progress bar."""


@dataclass(slots=True)
class _Unfolding:
    """What has been taken out of one file so far."""

    members: int = 0
    unpacked: int = 0
    done: set[tuple[str, ...]] = field(default_factory=set)
    """Paths that were given away, so that a second try does not give them again."""

    def first(self, path: tuple[str, ...]) -> bool:
        """Whether a path comes for the first time."""
        if path in self.done:
            return False
        self.done.add(path)
        return True

    def count(self, path: tuple[str, ...], size: int) -> None:
        """Count a member; raise `UnreadableDocument` when it goes beyond the limits."""
        self.members += 1
        self.unpacked += size
        if len(path) > MAX_DEPTH:
            raise UnreadableDocument(
                f"it lies {len(path)} files deep, the limit is {MAX_DEPTH}", code="too_deep"
            )
        if self.members > MAX_MEMBERS or self.unpacked > MAX_UNPACKED:
            raise UnreadableDocument(
                f"the file around it unpacks to more than {MAX_MEMBERS:,} files or "
                f"{MAX_UNPACKED >> 20:,} MiB",
                code="too_large",
            )


class Parser:
    """Parses with a limited number of processes; opened and closed by whoever runs a job."""

    def __init__(self, settings: Parsing) -> None:
        self._settings = settings
        self._turn = asyncio.Semaphore(settings.workers)
        self._pool = ChildPool(
            TASK,
            size=settings.workers * (MAX_DEPTH + 2),  # a container waits while members are read
            limits=Limits(
                memory_bytes=settings.memory_mb * 2**20,
                cpu_s=settings.cpu_s,
                wall_s=settings.wall_s,
            ),
        )

    @property
    def workers(self) -> int:
        """How many files are parsed at once."""
        return self._settings.workers

    @property
    def exposed(self) -> tuple[str, ...]:
        """What this system does not keep from the processes, of those that have started."""
        found = self._pool.protections
        return () if found is None else tuple(k for k, v in found._asdict().items() if not v)

    async def parse(self, file: Opened) -> AsyncGenerator[Parsed, None]:
        """Yield the documents of a file and of all that is inside, the file's own one first.

        Raise `UnreadableDocument` when the file itself cannot be read; a member that cannot is
        yielded with its error.
        """
        async with self._turn:
            unfolding = _Unfolding()
            async with aclosing(self._tried(file, (), unfolding)) as found:
                async for parsed in found:
                    yield parsed

    async def close(self) -> None:
        """End the processes; idempotent."""
        await self._pool.close()

    async def _tried(
        self, file: Opened, path: tuple[str, ...], unfolding: _Unfolding
    ) -> AsyncGenerator[Parsed, None]:
        """Parse a file; once more when the process died of it."""
        for strike in range(1, STRIKES + 1):
            try:
                async with aclosing(self._once(file, path, unfolding)) as found:
                    async for parsed in found:
                        yield parsed
                return
            except ChildFailed as failure:
                if strike == STRIKES or isinstance(failure, TaskFailed):
                    raise UnreadableDocument(
                        failure.message, code=failure.code, hint=failure.hint
                    ) from failure

    async def _once(
        self, file: Opened, path: tuple[str, ...], unfolding: _Unfolding
    ) -> AsyncGenerator[Parsed, None]:
        count, names = 0, Counter[str]()
        async with aclosing(self._pool.call(self._request(file), file.descriptor)) as replies:
            async for reply in replies:
                kind = reply.head["kind"]
                if kind == "pulse":
                    continue
                if kind == "document":
                    count += 1
                    here = path if count == 1 else (*path, f"#{count}")
                    digest = file.digest if count == 1 else sha256(reply.body).hexdigest()
                    found = _document(here, reply.body, digest, int(reply.head["reached"]))
                    if unfolding.first(here):
                        yield found
                    continue
                name = str(reply.head["name"])
                names[name] += 1
                inside = (*path, name if names[name] == 1 else f"{name} ({names[name]})")
                if unfolding.first(inside):
                    async with aclosing(self._member(reply, inside, unfolding)) as members:
                        async for parsed in members:
                            yield parsed
        file.check()

    async def _member(
        self, reply: Reply, path: tuple[str, ...], unfolding: _Unfolding
    ) -> AsyncGenerator[Parsed, None]:
        """Parse a file inside a file, and say of each document in it where it comes from."""
        metadata: Metadata = reply.head["metadata"]
        if (error := reply.head["error"]) is not None:
            refused = UnreadableDocument(str(error["message"]), code=str(error["code"]))
            yield Parsed(path, None, b"", "", metadata, refused)
            return
        blob = Blob(
            uri=PurePosixPath(path[-1]).name,
            media_type=str(reply.head["media_type"]),
            content=reply.body,
            title=reply.head["title"],
        )
        try:
            unfolding.count(path, len(reply.body))
            with closing(open_blob(blob)) as file:
                unfolding.done.discard(path)  # its own document has the same path
                async with aclosing(self._tried(file, path, unfolding)) as found:
                    async for parsed in found:
                        yield replace(parsed, metadata={**metadata, **parsed.metadata}, reached=0)
        except UnreadableDocument as error:
            yield Parsed(path, None, b"", "", metadata, error)

    def _request(self, file: Opened) -> dict[str, Any]:
        settings, blob = self._settings, file.blob
        return {
            "name": PurePosixPath(blob.uri).name,
            "media_type": blob.media_type,
            "title": blob.title,
            "passwords": [password.get_secret_value() for password in settings.passwords],
            "parsers": settings.parsers,
            "ocr": settings.ocr,
            "ocr_languages": settings.ocr_languages,
        }


def _document(path: tuple[str, ...], packed: bytes, digest: str, reached: int) -> Parsed:
    try:
        return Parsed(path, unpack_document(packed), packed, digest, reached=reached)
    except (ValueError, TypeError, LookupError) as exc:
        raise UnreadableDocument("its parser answered nonsense", code="crashed") from exc
