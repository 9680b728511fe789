"""`rag parse` and `rag failures` as a person uses them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rag.cli import app


def rag(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def _hashing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUMULO_DEFAULTS__EMBEDDER", "hashing")
    monkeypatch.setenv("CUMULO_DATA_DIR", str(tmp_path / "data"))


def test_parse_shows_text_structure_and_chunks(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("---\nauthor: Ada\n---\n# Ports\n\nIt listens on 8080.\n")
    shown = rag("parse", path)
    assert shown.exit_code == 0
    assert "the file itself: ok, 'Ports'" in shown.output
    assert "meta.author: Ada" in shown.output
    assert "-- chunk 1, " in shown.output
    found = json.loads(rag("parse", path, "--json").output)
    (document,) = found["documents"]
    assert (found["result"], document["title"]) == ("ok", "Ports")
    assert [block["kind"] for block in document["blocks"]] == ["heading", "paragraph"]
    (chunk,) = document["chunks"]
    assert document["text"][chunk["start"] : chunk["end"]] == chunk["text"]
    assert not (tmp_path / "data").exists()
    assert "chunk" not in rag("parse", path, "--no-chunks").output


@pytest.mark.parametrize(
    ("name", "content", "result", "code"),
    [
        ("a.txt", b" \n", "empty", 0),
        ("a.xyz", b"words", "unsupported", 1),
        ("a.pdf", b"%PDF-1.7 and nothing", "malformed", 1),
    ],
)
def test_parse_says_what_came_of_it(
    tmp_path: Path, name: str, content: bytes, result: str, code: int
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    done = rag("parse", path, "--json")
    assert done.exit_code == code
    assert json.loads(done.output)["result"] == result


def test_parse_of_nothing_is_an_error(tmp_path: Path) -> None:
    done = rag("parse", tmp_path / "none.md")
    assert "there is no file" in str(done.exception)


def test_failures_are_listed_and_retried(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("words")
    (docs / "b.pdf").write_bytes(b"%PDF-1.7 and nothing")
    assert rag("ingest", docs).exit_code == 3
    assert rag("ingest", docs).exit_code == 0
    (entry,) = json.loads(rag("failures", "list", "--json").output)
    assert (entry["external_id"], entry["code"]) == ("b.pdf", "malformed")
    assert f"{entry['id']}  malformed" in rag("failures", "list").output
    retried = rag("failures", "retry", "--all", "--json")
    assert retried.exit_code == 3
    assert json.loads(retried.output)["failed"] == 1
    (docs / "b.pdf").write_text("words")
    (docs / "b.pdf").rename(docs / "b.md")
    assert rag("ingest", docs).exit_code == 0
    assert json.loads(rag("failures", "list", "--json").output) == []
    assert "say which to retry" in str(rag("failures", "retry").exception)
