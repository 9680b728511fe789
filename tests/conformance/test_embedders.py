"""Every installed embedder keeps the contract of its port."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.embedders.hashing import HashingEmbedder
from rag.embedders.openvino import OpenVinoEmbedder
from rag.ports import Embedder, Folders
from rag.registry import installed
from rag.settings import load_settings
from rag.testing.embedders import EmbedderFactory, EmbedderSuite


def openvino() -> Embedder:
    """Run the default model; `make setup` has pulled it."""
    cache = Path(tempfile.gettempdir()) / "cumulo-test-cache"
    return OpenVinoEmbedder(OpenVinoEmbedder.Options(), Folders(load_settings().model_dir, cache))


FACTORIES: dict[str, EmbedderFactory] = {
    "hashing": lambda: HashingEmbedder(HashingEmbedder.Options()),
    "openvino": openvino,
}


ELSEWHERE = {"openai_compatible", "sentence_transformers"}
"""Embedders whose suites need a server or an extra: test_embedders_*.py beside this file."""


@pytest.fixture(scope="module", params=sorted(FACTORIES))
def embedder_factory(request: pytest.FixtureRequest) -> EmbedderFactory:
    return FACTORIES[request.param]


@pytest.fixture(scope="module")
def embedder(embedder_factory: EmbedderFactory) -> Iterator[Embedder]:
    made = embedder_factory()
    yield made
    asyncio.run(made.close())


def test_no_installed_embedder_is_left_out() -> None:
    assert set(installed("embedders")) <= FACTORIES.keys() | ELSEWHERE, (
        "give each embedder of the entry-point group a factory here"
    )


class TestEmbedders(EmbedderSuite):
    pass
