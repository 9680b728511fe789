"""Things that are opened by name on first use, once, whichever threads ask for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """Opens each name once and keeps what came; a failure is tried again."""

    def __init__(self, open_named: Callable[[str], T]) -> None:
        self._open = open_named
        self._opening = threading.Lock()
        self._opened: dict[str, T] = {}

    def __call__(self, name: str) -> T:
        """Return what the name stands for; wait for whoever opens it."""
        if name not in self._opened:
            with self._opening:
                if name not in self._opened:
                    self._opened[name] = self._open(name)
        return self._opened[name]

    def opened(self) -> tuple[T, ...]:
        """Return everything that is open."""
        return tuple(self._opened.values())
