"""Every installed embedder keeps the contract of its port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from rag.embedders.hashing import HashingEmbedder
from rag.ports import Embedder
from rag.registry import installed
from rag.testing.embedders import EmbedderFactory, EmbedderSuite

FACTORIES: dict[str, EmbedderFactory] = {
    "hashing": lambda: HashingEmbedder(HashingEmbedder.Options()),
}
NEED_MODEL_FILES = {"openvino"}


@pytest.fixture(scope="module", params=sorted(FACTORIES))
def embedder_factory(request: pytest.FixtureRequest) -> EmbedderFactory:
    return FACTORIES[request.param]


@pytest.fixture(scope="module")
def embedder(embedder_factory: EmbedderFactory) -> Iterator[Embedder]:
    with closing(embedder_factory()) as made:
        yield made


def test_no_installed_embedder_is_left_out() -> None:
    assert set(installed("embedders")) == set(FACTORIES) | NEED_MODEL_FILES, (
        "give each embedder of the entry-point group a factory here"
    )


class TestEmbedders(EmbedderSuite):
    pass
