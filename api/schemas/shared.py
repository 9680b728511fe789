"""What several schemas are made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field


class Request(BaseModel):
    """A body that is sent to us: unknown keys are refused by name, and 0 is not `false`."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Reply(BaseModel):
    """A body that we send."""

    model_config = ConfigDict(extra="forbid")


CollectionName: TypeAlias = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Name of a collection.",
        examples=["default"],
    ),
]
Question: TypeAlias = Annotated[str, Field(min_length=1, max_length=20_000, pattern=r"\S")]
FilterTree: TypeAlias = Annotated[
    dict[str, Any],
    Field(
        description="Filter over `uri`, `title` and `meta.*`, see docs/filters.md.",
        examples=[{"eq": {"meta.ext": ".md"}}],
    ),
]


class Location(Reply):
    """Where in its file a text stands, for people."""

    kind: Literal["page", "slide", "sheet"]
    number: int
    last: int
    label: str = ""
    cells: str = ""


class Citation(Reply):
    """A quote and where it stands: `quote` is `text[start:end]` of the document's text."""

    n: int
    document_id: str
    uri: str
    title: str
    heading: list[str]
    start: int
    end: int
    quote: str
    location: Location | None = None


class Usage(Reply):
    """Tokens that a language model read and wrote, and what they cost where prices are set."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cost: float | None = None


class Problem(Reply):
    """What went wrong (RFC 9457); `type` names the kind of failure and never changes."""

    type: str = Field(examples=["https://cumulo.dev/problems/not-found"])
    title: str
    status: int
    detail: str
    hint: str | None = None
    instance: str | None = Field(default=None, description="Id of the request.")
    errors: list[dict[str, Any]] | None = Field(
        default=None, description="Of a body that cannot be read: place and message of each."
    )
    error: dict[str, Any] | None = Field(
        default=None, description="On the routes of the OpenAI wire: the same in OpenAI's words."
    )
