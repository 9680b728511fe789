"""What a queued run is to do, as the catalog keeps it: plain JSON, read back strictly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from rag.errors import Rejected
from rag.filters import Value


class _Task(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    tries: int = 0
    """Times that a worker took it up; counted by the catalog."""
    documents: tuple[tuple[str, str], ...] = ()
    """Ids and names of the documents that it is about, for those who watch the run."""
    metadata: dict[str, Value] | None = None
    """Fields for every document of it; None leaves what they have."""


class SpooledFile(BaseModel):
    """A file that lies in the spool."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """The caller's name of the document."""
    file: str = Field(pattern=r"^[0-9]+$")
    """Name in the spool."""
    digest: str
    media_type: str = ""


class FilesTask(_Task):
    """Ingest files out of the spool."""

    kind: Literal["files", "text"]
    place: str
    """The spool that has them."""
    folder: str
    files: tuple[SpooledFile, ...]


class UrlTask(_Task):
    """Fetch a document and ingest it."""

    kind: Literal["url"]
    url: str
    name: str


Task: TypeAlias = FilesTask | UrlTask
_TASKS: TypeAdapter[Task] = TypeAdapter(Annotated[Task, Field(discriminator="kind")])


def read_task(stored: Mapping[str, Any]) -> Task:
    """Read a task; raise `Rejected` when it is none."""
    try:
        return _TASKS.validate_python(dict(stored))
    except ValidationError as exc:
        raise Rejected("the run's task cannot be read; was it made by another version?") from exc
