"""The reranker on torch keeps the contract of its port, with a model that nobody trained."""

from __future__ import annotations

import pytest

from rag.ports import Folders, Reranker
from rag.rerankers.cross_encoder import CrossEncoderReranker
from rag.testing.rerankers import RerankerFactory, RerankerSuite
from tests.unit.torch_models import cross_encoder


@pytest.fixture(scope="module")
def reranker_factory(tmp_path_factory: pytest.TempPathFactory) -> RerankerFactory:
    folder = cross_encoder(tmp_path_factory.mktemp("models") / "tiny-judge")
    options = CrossEncoderReranker.Options(model=str(folder), device="cpu", batch_tokens=256)
    return lambda: CrossEncoderReranker(options, Folders(folder.parent, folder.parent))


@pytest.fixture(scope="module")
def reranker(reranker_factory: RerankerFactory) -> Reranker:
    return reranker_factory()


class TestRerankersOnTorch(RerankerSuite):
    judges = False
