"""Documents handed over once: through a pipe, or through the query API.

Nobody can be asked for them again, so their originals are kept; they stay until they are deleted.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rag.errors import Unavailable
from rag.filters import Value
from rag.ports import Change, Changed
from rag.types import LOCAL_OWNER, Blob


class Handed(BaseModel):
    """One document: its content, or a file that has it and does not change until it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=1000, pattern=r"^[^\x00\r\n]*$")
    """Names the document; its ending tells the format."""
    content: bytes | None = None
    path: Path | None = None
    digest: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the content, where it is known already."""
    media_type: str = ""
    """Where it is empty, the name and the content tell it."""
    uri: str | None = None
    """Its address, where it has one besides its name."""
    metadata: dict[str, Value] | None = None
    """Fields that a person gave (`meta.…`); None leaves what the document has."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Handed:
        if (self.content is None) == (self.path is None):
            raise ValueError("either content or path")
        return self


class UploadConnector:
    """A source of a few documents; another one of the same name replaces its predecessor."""

    kind = "upload"
    repeatable = False

    class Options(BaseModel):
        """What was handed over, and who may read it."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        documents: tuple[Handed, ...]
        access: tuple[str, ...] = (LOCAL_OWNER,)

    def __init__(self, options: Options, root: str) -> None:
        self.root = root
        self._access = options.access
        self._handed = {handed.name: handed for handed in options.documents}

    async def changes(self) -> AsyncIterator[Change]:
        """Name the documents; others of this source are not spoken of, so they stay."""
        for handed in self._handed.values():
            digest, size = await asyncio.to_thread(_weigh, handed)
            yield Changed(
                external_id=handed.name,
                uri=handed.uri or f"upload:{quote(handed.name)}",
                fingerprint=digest,
                access=self._access,
                metadata={
                    "meta.path": handed.name,
                    "meta.ext": PurePosixPath(handed.name).suffix.lower(),
                },
                size=size,
                given=handed.metadata,
            )

    async def fetch(self, change: Changed) -> Blob:
        """Hand a document over."""
        handed = self._handed[change.external_id]
        return Blob(
            uri=change.uri,
            media_type=handed.media_type,
            path=handed.path,
            content=handed.content,
        )


def _weigh(handed: Handed) -> tuple[str, int]:
    """Return the digest and the size of a document."""
    if handed.path is None:
        content = handed.content or b""
        return hashlib.sha256(content).hexdigest(), len(content)
    try:
        size = handed.path.stat().st_size
        if handed.digest is not None:
            return handed.digest, size
        with handed.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), size
    except OSError as exc:
        raise Unavailable(f"what was handed over as {handed.name!r} is gone") from exc
