"""What is said to a language model, and what comes back piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Speaker: TypeAlias = Literal["system", "user", "assistant"]
Finish: TypeAlias = Literal["stop", "length", "content_filter"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Speaker
    content: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What a generation took, as far as the server told."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    """In the currency of the configured prices; None where there is none."""


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of what a model says; the last one says why it ended and what it took."""

    text: str = ""
    finish: Finish | None = None
    usage: Usage | None = None
    model: str = ""
    """Which model speaks; with fallbacks it may not be the first."""
