"""Fixtures that several lanes share: real parts, small data."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from pydantic import SecretStr

from rag.errors import MissingExtra, Unavailable
from rag.runtime import Runtime, open_runtime
from rag.settings import Settings, load_settings
from rag.testing.postgres import PostgresServer, running

# Full counts look for new cases, the small ones of every run are always the same.
hypothesis_settings.register_profile(
    "cumulo",
    deadline=None,
    database=None,
    derandomize="CUMULO_TEST_EXAMPLES" not in os.environ,
    print_blob=True,
)
hypothesis_settings.load_profile("cumulo")

DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine leaks into a test; the working folder is the test's own."""
    for name in list(os.environ):
        if name.startswith("CUMULO_") and not name.startswith("CUMULO_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A data folder of its own and the embedder that needs no model files."""
    return load_settings(data_dir=tmp_path / "data", defaults={"embedder": "hashing"})


@pytest.fixture
async def runtime(settings: Settings) -> AsyncIterator[Runtime]:
    async with open_runtime(settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One Postgres for all tests; where it cannot run, those that need it are skipped."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running())
        except (MissingExtra, Unavailable) as exc:
            pytest.skip(str(exc))
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of an empty database of the test's own."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def catalog_place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | SecretStr:
    """Where a new catalog can be opened, on both databases."""
    if request.param == "sqlite":
        return tmp_path / "data" / "catalog.sqlite"
    return SecretStr(request.getfixturevalue("postgres_url"))


@pytest.fixture
def data_folder() -> Path:
    """The folder of real data sets; tests that need it are skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip("no ../shared/data")
    return DATA
