"""The embedder on torch keeps the contract of its port, with the default model."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from rag.embedders.sentence_transformers import SentenceTransformersEmbedder
from rag.ports import Embedder, Folders
from rag.settings import load_settings
from rag.testing.embedders import EmbedderFactory, EmbedderSuite

OPTIONS = SentenceTransformersEmbedder.Options(device="cpu")


@pytest.fixture(scope="module")
def embedder_factory() -> EmbedderFactory:
    folders = Folders(load_settings().model_dir, Path(tempfile.gettempdir()))
    return lambda: SentenceTransformersEmbedder(OPTIONS, folders)


@pytest.fixture(scope="module")
def embedder(embedder_factory: EmbedderFactory) -> Embedder:
    return embedder_factory()


class TestEmbeddersOnTorch(EmbedderSuite):
    pass
