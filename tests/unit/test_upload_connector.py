"""A document handed over once: named, fetched as it was given, never the end of another."""

from __future__ import annotations

from typing import Any

import pytest

from rag.errors import ConfigError
from rag.ports import Changed
from rag.registry import make_plugin


def connect(name: str = "a.md", content: bytes = b"# Text\n") -> Any:
    return make_plugin("connectors", "upload", {"name": name, "content": content}, "upload")


async def test_the_document_is_named_and_handed_over() -> None:
    connector = connect()
    (change,) = [change async for change in connector.changes()]  # and no end of a listing
    assert isinstance(change, Changed)
    assert (change.external_id, change.uri, change.size) == ("a.md", "upload:a.md", 7)
    assert change.access == ("user:owner",)
    assert (await connector.fetch(change)).read() == b"# Text\n"
    assert not connector.repeatable


async def test_another_content_is_a_change() -> None:
    prints = {
        change.fingerprint
        for content in (b"one", b"two", b"one")
        async for change in connect(content=content).changes()
    }
    assert len(prints) == 2


@pytest.mark.parametrize("name", ["", "a\nb", "nul\0", "x" * 1001])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        connect(name)
