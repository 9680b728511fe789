"""`rag backup`, `rag restore` and `rag search --exact` as people and scripts meet them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rag.cli import app, session
from rag.errors import RagError, Rejected, UserError

KEYS = {"folder", "created", "collections", "documents", "chunks", "files", "bytes"}


@pytest.fixture(autouse=True)
def _configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUMULO_DEFAULTS__EMBEDDER", "hashing")
    monkeypatch.setattr(session, "given_data_dir", [])


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup of two documents, made by the command."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "ports.md").write_text("# Ports\n\nThe server listens on port 8473.\n")
    (tmp_path / "docs" / "whales.md").write_text("# Whales\n\nWhales sing under water.\n")
    rag("ingest", tmp_path / "docs", "--data-dir", tmp_path / "data")
    said = rag("backup", tmp_path / "backup", "--data-dir", tmp_path / "data").stdout
    assert said.startswith("backed up 2 documents of 1 collections (2 chunks, ")
    return tmp_path / "backup"


def rag(*arguments: object) -> Result:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None:
        raise done.exception
    assert done.exit_code == 0
    return done


def rag_json(*arguments: object) -> Any:
    return json.loads(rag(*arguments, "--json").stdout)


def refused(error: type[RagError], *arguments: object) -> str:
    with pytest.raises(error) as caught:
        rag(*arguments)
    assert caught.value.hint
    return caught.value.message


def test_a_restored_folder_answers_like_the_first(backup: Path, tmp_path: Path) -> None:
    said = rag("restore", backup, "--data-dir", tmp_path / "new").stdout
    assert said.startswith("restored 2 documents")
    for question in ("which port", "whales"):
        asked = [
            rag_json("search", question, "--exact", "--data-dir", tmp_path / data)
            for data in ("data", "new")
        ]
        assert asked[0]["hits"]
        assert asked[0] == asked[1]


def test_scripts_get_facts(backup: Path, tmp_path: Path) -> None:
    made = rag_json("backup", tmp_path / "second", "--data-dir", tmp_path / "data")
    restored = rag_json("restore", tmp_path / "second", "--data-dir", tmp_path / "new")
    assert made.keys() == restored.keys() == KEYS
    assert made == restored
    assert made["collections"] == [{"tenant": "default", "name": "default", "documents": 2}]
    assert (made["documents"], made["chunks"]) == (2, 2)


def test_a_damaged_backup_writes_nothing(backup: Path, tmp_path: Path) -> None:
    text = next(path for path in (backup / "texts").rglob("*") if path.is_file())
    text.write_bytes(text.read_bytes() + b"x")
    said = refused(Rejected, "restore", backup, "--data-dir", tmp_path / "new")
    assert "is not what was written" in said
    assert not (tmp_path / "new").exists()


def test_refusals_say_what_to_do(backup: Path, tmp_path: Path) -> None:
    said = refused(UserError, "backup", backup, "--data-dir", tmp_path / "data")
    assert "there already" in said
    said = refused(UserError, "restore", backup, "--data-dir", tmp_path / "data")
    assert "not empty" in said
    said = refused(UserError, "restore", tmp_path / "docs", "--data-dir", tmp_path / "new")
    assert "there is no backup in" in said
    said = refused(UserError, "backup", tmp_path / "b", "--data-dir", tmp_path / "nowhere")
    assert "there is no data folder at" in said
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "nowhere").exists()
