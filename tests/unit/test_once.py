"""What is opened by name is opened once, even when many threads ask for it at the same time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from rag.once import Once


def test_threads_that_ask_at_once_share_what_one_of_them_opens() -> None:
    opened: list[str] = []

    def open_named(name: str) -> list[str]:
        time.sleep(0.02)
        opened.append(name)
        return [name]

    once = Once(open_named)
    with ThreadPoolExecutor(8) as threads:
        given = list(threads.map(once, ["a", "b"] * 8))
    assert sorted(opened) == ["a", "b"]
    assert all(one is given[n % 2] for n, one in enumerate(given))
    assert once.opened() == (once(opened[0]), once(opened[1]))


def test_what_fails_is_tried_again() -> None:
    tries: list[str] = []

    def open_named(name: str) -> str:
        tries.append(name)
        if len(tries) == 1:
            raise ValueError("not yet")
        return name

    once = Once(open_named)
    with pytest.raises(ValueError, match="not yet"):
        once("a")
    assert once.opened() == ()
    assert once("a") == "a"
    assert tries == ["a", "a"]
