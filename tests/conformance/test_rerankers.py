"""Every installed reranker keeps the contract of its port; the one on torch has its own file."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from rag.openai_client import Connection
from rag.ports import Folders, Reranker
from rag.registry import installed
from rag.rerankers.http import HttpReranker
from rag.rerankers.late_interaction import LateInteractionReranker
from rag.settings import load_settings
from rag.testing.rerankers import RerankerFactory, RerankerSuite
from tests.fakes.serving import fake_server

FOLDERS = Folders(load_settings().model_dir, Path(tempfile.gettempdir()) / "cumulo-test-cache")
ELSEWHERE = {"cross_encoder"}


@pytest.fixture(scope="module")
def on_openvino() -> RerankerFactory:
    """Run the default model, which `make setup` has pulled; load it once for all tests."""
    shared = LateInteractionReranker(LateInteractionReranker.Options(), FOLDERS)

    def make(fresh: bool = True) -> Reranker:
        if not fresh:
            return shared
        return LateInteractionReranker(LateInteractionReranker.Options(), FOLDERS)

    return make


@pytest.fixture(scope="module")
def over_http() -> Iterator[RerankerFactory]:
    with fake_server("tei") as server:
        connection = Connection(base_url=server.root)
        options = HttpReranker.Options(connection=connection, flavour="tei")
        yield lambda: HttpReranker(options, FOLDERS)


@pytest.fixture(params=["over_http", "on_openvino"])
def reranker_factory(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
async def reranker(reranker_factory: Any, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    if "on_openvino" in request.node.name:
        yield reranker_factory(fresh=False)
        return
    made = reranker_factory()
    yield made
    await made.close()


def test_no_installed_reranker_is_left_out() -> None:
    assert set(installed("rerankers")) == {"http", "late_interaction", *ELSEWHERE}


class TestRerankers(RerankerSuite):
    pass
