"""Every installed connector keeps the contract of its port."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.filesystem import FilesystemConnector
from rag.ports import Connector
from rag.registry import installed
from rag.testing.connectors import ConnectorSuite, Tree


class FolderTree:
    """A folder whose clock moves on by a second with every write."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clock = 1_700_000_000

    def put(self, external_id: str, content: bytes) -> None:
        path = self._folder / external_id
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self._clock += 1
        os.utime(path, (self._clock, self._clock))

    def remove(self, external_id: str) -> None:
        (self._folder / external_id).unlink()

    def connect(self) -> Connector:
        return FilesystemConnector(FilesystemConnector.Options(), str(self._folder))


TREES: dict[str, Callable[[Path], Tree]] = {"filesystem": FolderTree}


@pytest.fixture(params=sorted(TREES))
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Tree:
    return TREES[request.param](tmp_path)


LISTLESS = {"upload"}
"""They hand over one document and list nothing; tested by themselves."""


def test_no_installed_connector_is_left_out() -> None:
    assert set(installed("connectors")) == set(TREES) | LISTLESS, (
        "give each connector of the entry-point group a tree here"
    )


class TestConnectors(ConnectorSuite):
    pass
