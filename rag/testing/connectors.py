"""What every connector must do, as a suite for pytest with pytest-asyncio in auto mode.

Subclass it as `class TestMine(ConnectorSuite)` and give one fixture, `tree`: an empty source that
the tests fill and change, as `Tree` says.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import pytest

from rag.errors import Unavailable
from rag.ports import Change, Changed, Connector, ListingComplete

FILES = {
    "readme.md": b"# Read me\n",
    "empty.txt": b"",
    "guides/setup.md": b"First, second, third.",
    "guides/deep/er/note.txt": "naïve, 東京".encode(),
    "with space & 100%.txt": b"percent",
    "東京/ノート.txt": "メモ".encode(),
    "data.bin": bytes(range(256)),
}


class Tree(Protocol):
    """A source that tests can change; external ids are paths with slashes."""

    def put(self, external_id: str, content: bytes) -> None:
        """Create or replace a document; replacing must look newer even within one clock tick."""
        ...

    def remove(self, external_id: str) -> None:
        """Delete a document."""
        ...

    def connect(self) -> Connector:
        """Make a connector for the source, with default options."""
        ...


async def listing(connector: Connector) -> list[Change]:
    """Return everything that one listing yields."""
    return [change async for change in connector.changes()]


async def documents(connector: Connector) -> dict[str, Changed]:
    """Return the documents of one listing by external id."""
    return {c.external_id: c for c in await listing(connector) if isinstance(c, Changed)}


def fill(tree: Tree) -> Connector:
    """Put all files into the tree and connect to it."""
    for external_id, content in FILES.items():
        tree.put(external_id, content)
    return tree.connect()


class ConnectorSuite:
    """The meaning of the port `Connector`."""

    async def test_the_listing_is_the_tree(self, tree: Tree) -> None:
        changes = await listing(fill(tree))
        assert sorted(c.external_id for c in changes if isinstance(c, Changed)) == sorted(FILES)
        assert len(changes) == len(FILES) + 1

    async def test_an_empty_source_is_complete(self, tree: Tree) -> None:
        (only,) = await listing(tree.connect())
        assert isinstance(only, ListingComplete)

    async def test_completion_is_said_once_and_last(self, tree: Tree) -> None:
        changes = await listing(fill(tree))
        places = [i for i, c in enumerate(changes) if isinstance(c, ListingComplete)]
        assert places == [len(changes) - 1]

    async def test_a_listing_covers_what_it_names(self, tree: Tree) -> None:
        last = (await listing(fill(tree)))[-1]
        assert isinstance(last, ListingComplete)
        assert [name for name in FILES if not last.covers(name)] == []

    async def test_what_was_removed_is_covered_and_not_named(self, tree: Tree) -> None:
        connector = fill(tree)
        await listing(connector)
        tree.remove("guides/setup.md")
        *named, last = await listing(connector)
        assert "guides/setup.md" not in [c.external_id for c in named if isinstance(c, Changed)]
        assert isinstance(last, ListingComplete)
        assert last.covers("guides/setup.md")

    async def test_listings_repeat(self, tree: Tree) -> None:
        connector = fill(tree)
        first = (await listing(connector))[:-1]
        assert (await listing(connector))[:-1] == first
        assert (await listing(tree.connect()))[:-1] == first

    async def test_listings_run_side_by_side(self, tree: Tree) -> None:
        connector = fill(tree)
        one, other = await asyncio.gather(listing(connector), listing(connector))
        assert one[:-1] == other[:-1]

    async def test_a_listing_can_be_given_up(self, tree: Tree) -> None:
        connector = fill(tree)
        changes = connector.changes()
        first = await anext(changes)
        del changes
        assert (await listing(connector))[0] == first

    async def test_fingerprints_follow_the_content(self, tree: Tree) -> None:
        connector = fill(tree)
        before = await documents(connector)
        tree.put("readme.md", b"# Reed me\n")  # as long as before
        after = await documents(connector)
        changed = [name for name in FILES if after[name].fingerprint != before[name].fingerprint]
        assert changed == ["readme.md"]

    async def test_fetch_gives_the_bytes(self, tree: Tree) -> None:
        connector = fill(tree)
        for name, change in (await documents(connector)).items():
            blob = await connector.fetch(change)
            assert blob.read() == FILES[name]
            assert blob.uri == change.uri
            assert blob.media_type.count("/") == 1

    async def test_fetch_of_what_is_gone_says_so(self, tree: Tree) -> None:
        connector = fill(tree)
        change = (await documents(connector))["readme.md"]
        tree.remove("readme.md")
        with pytest.raises(Unavailable, match=r"readme\.md"):
            await connector.fetch(change)

    async def test_documents_say_where_and_whose_they_are(self, tree: Tree) -> None:
        found = await documents(fill(tree))
        assert len({change.uri for change in found.values()}) == len(FILES)
        for change in found.values():
            assert change.uri.isascii()
            assert " " not in change.uri
            assert change.access, "a document without access is readable by nobody"

    async def test_metadata_can_be_filtered(self, tree: Tree) -> None:
        for change in (await documents(fill(tree))).values():
            for field, value in change.metadata.items():
                assert field.startswith("meta.")
                for element in value if isinstance(value, list) else [value]:
                    assert isinstance(element, (str, int, float, bool))
                    assert "\0" not in str(element)

    def test_a_connector_names_its_source(self, tree: Tree) -> None:
        connector = tree.connect()
        assert connector.kind
        assert connector.root == tree.connect().root != ""
