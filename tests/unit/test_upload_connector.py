"""Documents handed over once: named, fetched as they were given, never the end of another."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from rag.errors import ConfigError, Unavailable
from rag.ports import Changed
from rag.registry import make_plugin


def connect(*documents: dict[str, Any], **more: Any) -> Any:
    return make_plugin("connectors", "upload", {"documents": documents, **more}, "upload")


def text(name: str = "a.md", content: bytes = b"# Text\n", **more: Any) -> dict[str, Any]:
    return {"name": name, "content": content, **more}


async def changes(connector: Any) -> list[Changed]:
    return [change async for change in connector.changes()]


async def test_the_document_is_named_and_handed_over() -> None:
    connector = connect(text())
    (change,) = await changes(connector)  # and no end of a listing
    assert isinstance(change, Changed)
    assert (change.external_id, change.uri, change.size) == ("a.md", "upload:a.md", 7)
    assert change.access == ("user:owner",)
    assert change.metadata == {"meta.path": "a.md", "meta.ext": ".md"}
    assert change.given is None
    assert (await connector.fetch(change)).read() == b"# Text\n"
    assert not connector.repeatable


async def test_several_documents_are_handed_over_at_once(tmp_path: Path) -> None:
    file = tmp_path / "0"
    file.write_bytes(b"from a file")
    connector = connect(
        text("b.txt", b"from memory", media_type="text/plain", metadata={"meta.n": 1}),
        {"name": "sub dir/ö.txt", "path": file, "uri": "https://example.org/x"},
        access=("user:ann",),
    )
    first, second = await changes(connector)
    assert (first.given, first.access) == ({"meta.n": 1}, ("user:ann",))
    assert (await connector.fetch(first)).media_type == "text/plain"
    assert (second.external_id, second.uri) == ("sub dir/ö.txt", "https://example.org/x")
    assert (second.size, second.given) == (11, None)
    assert second.fingerprint == hashlib.sha256(b"from a file").hexdigest()
    blob = await connector.fetch(second)
    assert blob.path == file  # never the whole file in memory
    assert blob.read() == b"from a file"


async def test_a_name_becomes_an_address_that_is_one() -> None:
    (change,) = await changes(connect(text("sub dir/ö 100%.txt")))
    assert change.uri == "upload:sub%20dir/%C3%B6%20100%25.txt"


async def test_another_content_is_a_change() -> None:
    prints = {
        change.fingerprint
        for content in (b"one", b"two", b"one")
        for change in await changes(connect(text(content=content)))
    }
    assert len(prints) == 2


async def test_a_digest_that_is_known_is_not_computed_again(tmp_path: Path) -> None:
    file = tmp_path / "0"
    file.write_bytes(b"content")
    (change,) = await changes(connect({"name": "a", "path": file, "digest": "0" * 64}))
    assert (change.fingerprint, change.size) == ("0" * 64, 7)


async def test_a_file_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"'a\.md' is gone"):
        await changes(connect({"name": "a.md", "path": tmp_path / "nothing"}))


@pytest.mark.parametrize("name", ["", "a\nb", "nul\0", "x" * 1001])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        connect(text(name))


@pytest.mark.parametrize("given", [{}, {"content": b"a", "path": Path("b")}])
def test_content_comes_from_one_place(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="either content or path"):
        connect({"name": "a", **given})
