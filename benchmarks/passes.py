"""Timed passes, and how those of two sides compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(slots=True)
class Passes:
    """The timed passes of one side."""

    seconds: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)

    def add(self, seconds: float, tokens: int) -> None:
        """Note a pass."""
        self.seconds.append(seconds)
        self.tokens.append(tokens)

    @property
    def rates(self) -> list[float]:
        """Tokens per second of each pass."""
        return [tokens / seconds for tokens, seconds in zip(self.tokens, self.seconds, strict=True)]

    def facts(self) -> dict[str, Any]:
        """Return what goes into the report."""
        seconds = [round(s, 3) for s in self.seconds]
        rates = spread(self.rates, digits=1)
        return {"tokens_per_s": rates, "seconds": seconds, "tokens": self.tokens}


def spread(values: Sequence[float], *, digits: int = 3) -> dict[str, float]:
    """Return median, least and greatest."""
    shown = {"median": median(values), "min": min(values), "max": max(values)}
    return {name: round(value, digits) for name, value in shown.items()}


def ratios(of: Passes, to: Passes) -> dict[str, float]:
    """Compare the rates pair by pair."""
    return spread([a / b for a, b in zip(of.rates, to.rates, strict=True)])
