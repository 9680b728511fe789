"""One document handed over once, for example through a pipe.

Nobody can be asked for it again, so its original is kept; it stays until it is deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from pydantic import BaseModel, ConfigDict, Field

from rag.ports import Change, Changed
from rag.types import LOCAL_OWNER, Blob


class UploadConnector:
    """A source of one document; another one of the same name replaces it."""

    kind = "upload"
    repeatable = False

    class Options(BaseModel):
        """What was handed over."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        name: str = Field(min_length=1, max_length=1000, pattern=r"^[^\x00\r\n]*$")
        """Names the document; its ending tells the format."""
        content: bytes
        media_type: str = ""
        """Where it is empty, the name and the content tell it."""

    def __init__(self, options: Options, root: str) -> None:
        self.root = root
        self._options = options

    async def changes(self) -> AsyncIterator[Change]:
        """Name the document; others of this source are not spoken of, so they stay."""
        given = self._options
        yield Changed(
            external_id=given.name,
            uri=f"upload:{given.name}",
            fingerprint=hashlib.sha256(given.content).hexdigest(),
            access=(LOCAL_OWNER,),
            size=len(given.content),
        )

    async def fetch(self, change: Changed) -> Blob:
        """Hand the document over."""
        given = self._options
        return Blob(uri=change.uri, media_type=given.media_type, content=given.content)
