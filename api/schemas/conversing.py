"""Kept answers and conversations."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.schemas.searching import AnswerReply
from api.schemas.shared import Reply


class KeptReply(AnswerReply):
    """An answer that was given before."""

    asked: str = Field(description="The question as it was asked.")
    collection: str
    state: Literal["complete", "abstained", "incomplete", "withdrawn"] = Field(
        description="`incomplete` broke off; of `withdrawn` a source is gone, and so is its text."
    )
    created: float = Field(description="Epoch seconds.")


class ConversationReply(Reply):
    """A conversation, oldest turn first."""

    name: str
    data: list[KeptReply]
