"""`rag ask --llm`: a model server writes, and what no source supports is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.faults import Fault
from tests.fakes.serving import Fake, fake_server

TEXT = "The server listens on port 8473 by default. Penguins cannot fly."


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("The server listens on port 8473 by default.\n")
    with fake_server("vllm", text=TEXT) as server:
        options = {
            "model": "served-model",
            "connection": {"base_url": server.base_url},
            "attempts": 1,
        }
        llms = {"own": {"kind": "openai_compatible", "options": options}}
        monkeypatch.setenv("CUMULO_LLMS", json.dumps(llms))
        monkeypatch.setenv("CUMULO_DEFAULTS__EMBEDDER", "hashing")
        assert rag("ingest", "docs").returncode == 0
        yield server


def rag(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from rag.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=dict(os.environ),
    )


def test_a_model_writes_and_the_server_cites(model: Fake) -> None:
    done = rag("ask", "which port?", "--llm", "own")
    assert done.returncode == 0, done.stderr
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
    assert done.returncode == 1
    assert done.stdout.startswith("The server")
    assert done.stdout.endswith(" …\n")
    assert "error" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_model_is_told(model: Fake) -> None:
    done = rag("ask", "which port?", "--llm", "nobody")
    assert done.returncode != 0
    assert "no 'nobody' is configured under llms" in done.stderr
