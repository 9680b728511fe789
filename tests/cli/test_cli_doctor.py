"""`rag doctor` as people and scripts meet it: output, exit codes, what is left to do."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rag.cli import app, session
from rag.errors import NotFound, Rejected

PAGES = 23
KEYS = {"healthy", "left", "findings", "collections", "documents", "rows", "files"}
FINDING_KEYS = {"kind", "what", "collection", "document", "uri", "fixed", "todo"}


@pytest.fixture(autouse=True)
def _configured(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    monkeypatch.setenv("CUMULO_DEFAULTS__EMBEDDER", "hashing")
    monkeypatch.setenv("CUMULO_DATA_DIR", str(data))
    monkeypatch.setattr(session, "given_data_dir", [])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def docs(tmp_path: Path, data: Path) -> Path:
    root = tmp_path / "docs"
    root.mkdir()
    for n in range(PAGES):
        (root / f"page{n}.md").write_text(f"# Page {n}\n\nIt speaks of topic{n}.\n")
    rag("ingest", root)
    return root


def rag(*arguments: object, code: int = 0) -> tuple[str, str]:
    """Run a command in this process; return what it printed, and what it said beside."""
    session.given_data_dir.clear()
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout, done.stderr


def rag_json(*arguments: object, code: int = 0) -> Any:
    return json.loads(rag(*arguments, "--json", code=code)[0])


def remove_rows(data: Path, where: str = "TRUE") -> None:
    (file,) = (data / "stores" / "faiss").glob("*.sqlite")
    with closing(sqlite3.connect(file)) as connection, connection:
        assert connection.execute(f"DELETE FROM rows WHERE {where}").rowcount


def test_a_healthy_folder_ends_with_0(docs: Path) -> None:
    for option in ([], ["--fix"], ["--collection", "default"]):
        shown, said = rag("doctor", *option)
        assert shown.count("\n") == 1
        assert f"looked at {PAGES} documents, {PAGES} rows" in shown
        assert "all is well" in shown
        assert said == ""
    found = rag_json("doctor")
    assert set(found) == KEYS
    assert (found["healthy"], found["left"], found["findings"]) == (True, 0, [])


def test_findings_are_listed_and_end_with_1_until_they_are_fixed(docs: Path, data: Path) -> None:
    remove_rows(data)
    shown, said = rag("doctor", code=1)
    assert shown.startswith("rows of a document are missing:\n")
    assert shown.count("1 of its 1 rows are missing") == 20
    assert f"… and {PAGES - 20} more; see them all with --json" in shown
    assert f"{PAGES} findings, 0 fixed, {PAGES} left" in shown
    assert said == "to do: run: rag doctor --fix\n"

    found = rag_json("doctor", code=1)
    assert (found["healthy"], found["left"], len(found["findings"])) == (False, PAGES, PAGES)
    assert all(set(finding) == FINDING_KEYS for finding in found["findings"])

    shown, said = rag("doctor", "--fix")
    assert shown.count("(fixed)") == 20
    assert f"{PAGES} findings, {PAGES} fixed, 0 left" in shown
    assert said == ""
    assert rag_json("doctor")["healthy"] is True
    assert rag_json("search", "topic7", "--mode", "sparse")["hits"][0]["title"] == "Page 7"


def test_what_cannot_be_fixed_is_said_with_what_to_do(docs: Path, data: Path) -> None:
    next((data / "texts").glob("*/*")).unlink()
    shown, said = rag("doctor", "--fix", code=1)
    assert "a kept text is missing or damaged:\n  default: " in shown
    assert said == f"to do: run: rag ingest {docs} --collection default\n"
    rag("ingest", docs)
    assert rag_json("doctor")["healthy"] is True


def test_one_collection_alone(docs: Path, data: Path) -> None:
    with pytest.raises(NotFound, match="no collection 'absent'"):
        rag("doctor", "--collection", "absent")
    remove_rows(data)
    rag("doctor", "--collection", "default", "--fix")
    assert rag_json("doctor")["healthy"] is True


def test_a_damaged_catalog_is_a_clear_error(docs: Path, data: Path) -> None:
    file = data / "catalog.sqlite"
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    file.write_bytes(b"no database " * 1000)
    with pytest.raises(Rejected, match="the catalog is damaged") as caught:
        rag("doctor", "--fix")
    assert caught.value.hint == "restore a backup: rag restore"


def test_there_must_be_a_data_folder() -> None:
    with pytest.raises(NotFound, match="no data folder"):
        rag("doctor")
