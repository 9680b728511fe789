"""How fakes judge passages: by the words that they share with the question, best first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tests.fakes.serving import Refused


@dataclass(frozen=True, slots=True)
class Ranking:
    """How a fake ranks; the fields are what servers differ in."""

    max_batch: int | None = None
    """Passages of one request; more are refused."""
    too_large: int = 400
    """Status of that refusal."""
    usage: bool = True
    """Whether token counts are told."""


def judged(query: str, passages: Sequence[str], how: Ranking) -> list[float]:
    """Return a score from 0 to 1 for each passage, in their order."""
    if how.max_batch is not None and len(passages) > how.max_batch:
        raise Refused(
            how.too_large,
            f"batch size {len(passages)} > maximum allowed batch size {how.max_batch}",
            "validation",
        )
    asked = _words(query)
    return [
        len(asked & (words := _words(passage))) / (len(asked | words) or 1) for passage in passages
    ]


def best_first(scores: Sequence[float], top_n: int | None = None) -> list[int]:
    """Return the numbers of the passages, best first."""
    return sorted(range(len(scores)), key=lambda i: -scores[i])[:top_n]


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))
