"""`rag ask --llm`: a model server writes, and what no source supports is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from rag.cli import app, session
from rag.errors import ConfigError, Unavailable
from tests.fakes.faults import Fault
from tests.fakes.serving import Fake, fake_server

TEXT = "The server listens on port 8473 by default. Penguins cannot fly."


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    monkeypatch.setattr(session, "given_data_dir", [])
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("The server listens on port 8473 by default.\n")
    with fake_server("vllm", text=TEXT) as server:
        connection = {"base_url": server.base_url}
        options = {"model": "served-model", "connection": connection, "attempts": 1}
        llms = {"own": {"kind": "openai_compatible", "options": options}}
        monkeypatch.setenv("CUMULO_LLMS", json.dumps(llms))
        monkeypatch.setenv("CUMULO_DEFAULTS__EMBEDDER", "hashing")
        assert rag("ingest", "docs").exit_code == 0
        yield server


def rag(*arguments: str) -> Result:
    """Run a command in this process; its failure is in `exception`."""
    session.given_data_dir.clear()  # every command is a new process
    return CliRunner().invoke(app, list(arguments))


def test_a_model_writes_and_the_server_cites(model: Fake) -> None:
    done = rag("ask", "which port?", "--llm", "own")
    assert done.exit_code == 0
    assert done.stdout.startswith(
        "The server listens on port 8473 by default. [1] Penguins cannot fly.\n"
    )
    assert "\n[1] a.md" in done.stdout
    assert done.stderr == "no source supports: Penguins cannot fly.\n"
    found = json.loads(rag("ask", "which port?", "--llm", "own", "--json").stdout)
    assert found["unsupported"] == [[48, 68]]
    assert (found["model"], found["abstained"]) == ("served-model", False)
    assert found["usage"]["completion_tokens"] == 11


def test_an_answer_that_breaks_off_is_an_error(model: Fake) -> None:
    model.faults.append(Fault(cut=True, after=4))
    done = rag("ask", "which port?", "--llm", "own")
    assert isinstance(done.exception, Unavailable)
    assert done.stdout.startswith("The server")
    assert done.stdout.endswith(" …\n")


def test_an_unknown_model_is_told(model: Fake) -> None:
    done = rag("ask", "which port?", "--llm", "nobody")
    assert isinstance(done.exception, ConfigError)
    assert "no 'nobody' is configured under llms" in str(done.exception)
