"""The command line as people and scripts meet it: output, exit codes, interruption."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from rag import __version__
from rag.cli import app, main, session

INGEST_KEYS = {
    "run",
    *("added", "updated", "unchanged", "removed", "access_changed", "failed"),
    "quarantined",
    *("chunks", "tokens", "seconds", "failures"),
}
HIT_KEYS = {
    *("id", "document_id", "uri", "title", "heading", "location", "start", "end"),
    *("text", "score", "signals", "metadata"),
}
ANSWER_KEYS = {
    "id", "answer", "citations", "model", "abstained", "unsupported", "partial", "question",
    "rewritten", "usage",
}  # fmt: skip
CITATION_KEYS = {
    *("n", "document_id", "uri", "title", "location", "heading", "start", "end", "quote"),
}
STORED_KEYS = {
    *("id", "collection", "uri", "external_id", "title", "metadata", "access"),
    *("chunks", "digest", "text_digest", "original_digest", "updated", "given"),
}
PAGES = {
    "ports.md": "# Ports\n\nThe server listens on port 8473.\n",
    "backup.md": "# Backups\n\nBackups are written every night.\n",
    "sub/deep.txt": "Whales sing under water.\n",
}


@pytest.fixture(autouse=True)
def _configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUMULO_DEFAULTS__EMBEDDER", "hashing")
    monkeypatch.setenv("CUMULO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CUMULO_MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setattr(session, "given_data_dir", [])


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    for name, text in PAGES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def rag(*arguments: object, code: int = 0, answer: str | None = None) -> str:
    """Run a command in this process; return what it printed for scripts."""
    session.given_data_dir.clear()  # every command is a new process
    done = CliRunner().invoke(app, [str(a) for a in arguments], input=answer)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


def rag_json(*arguments: object, code: int = 0) -> Any:
    return json.loads(rag(*arguments, "--json", code=code))


# --- help ----------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[list[str], str]]:
    """Yield every command and group with what it says of itself."""
    pending: list[tuple[list[str], Any]] = [([], typer.main.get_command(app))]
    while pending:
        words, command = pending.pop()
        yield words, command.help or ""
        pending += [([*words, name], c) for name, c in getattr(command, "commands", {}).items()]


def test_every_command_explains_itself() -> None:
    found = {" ".join(words): about for words, about in commands()}
    assert found.keys() >= {"ingest", "search", "ask", "documents show", "eval run", ""}
    for command, about in found.items():
        assert about, command
        shown = " ".join(rag(*command.split(), "--help").split())
        assert " ".join(about.splitlines()[0].split()) in shown
        assert "--help" in shown
    for command in ("ingest", "search", "ask"):
        assert f"Example: rag {command}" in found[command]


def test_the_version_is_told() -> None:
    assert rag("version").strip() == __version__
    assert rag_json("version") == {"version": __version__}


# --- the way through -----------------------------------------------------------------------------


def test_init_makes_what_ingest_goes_on_with(docs: Path, tmp_path: Path) -> None:
    expected = {
        "data_dir": str(tmp_path / "data"),
        "collection": "default",
        "embedder": "hashing",
    }
    assert rag_json("init") == rag_json("init") == expected
    assert rag_json("ingest", docs)["added"] == 3


def test_ingest_counts_what_it_did(docs: Path) -> None:
    found = rag_json("ingest", docs)
    assert set(found) == INGEST_KEYS
    assert (found["added"], found["chunks"], found["failures"]) == (3, 3, [])
    assert found["tokens"] > 0
    (docs / "ports.md").write_text("# Ports\n\nNow it listens on 9000.\n")
    (docs / "sub/deep.txt").unlink()
    again = rag_json("ingest", docs)
    assert (again["updated"], again["unchanged"], again["removed"]) == (1, 1, 1)
    assert "default: 0 added, 2 unchanged" in rag("ingest", docs)


def test_a_dry_run_says_and_changes_nothing(docs: Path, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no data folder"):
        rag("ingest", docs, "--dry-run")
    assert not (tmp_path / "data").exists()
    rag("ingest", docs)
    (docs / "new.md").write_text("New.\n")
    (docs / "ports.md").unlink()
    for _ in range(2):
        found = rag_json("ingest", docs, "--dry-run")
        assert set(found) == INGEST_KEYS
        assert (found["added"], found["removed"], found["unchanged"]) == (1, 1, 2)
    assert "1 would be added" in rag("ingest", docs, "--dry-run")
    assert len(rag_json("documents", "list")) == 3


def test_search_and_ask_answer_people_and_scripts(docs: Path) -> None:
    rag("ingest", docs)
    found = rag_json("search", "port 8473", "-k", 2)
    assert set(found) == {"hits", "partial"}
    assert found["partial"] is False
    assert [set(hit) for hit in found["hits"]] == [HIT_KEYS] * 2
    hit = found["hits"][0]
    assert (hit["title"], hit["metadata"]["meta.path"]) == ("Ports", "ports.md")
    assert PAGES["ports.md"][hit["start"] : hit["end"]] == hit["text"]
    assert set(hit["signals"]) == {"dense", "sparse"}
    shown = rag("search", "port 8473")
    assert shown.startswith("1. Ports")
    assert f"{hit['uri']}#{hit['start']}-{hit['end']}" in shown

    answer = rag_json("ask", "which port does the server listen on?")
    assert set(answer) == ANSWER_KEYS
    assert all(set(citation) == CITATION_KEYS for citation in answer["citations"])
    first = answer["citations"][0]
    assert (first["n"], first["quote"]) == (1, "The server listens on port 8473.")
    assert PAGES["ports.md"][first["start"] : first["end"]] == first["quote"]
    assert (answer["model"], answer["abstained"]) == ("extractive", False)
    shown = rag("ask", "which port does the server listen on?")
    assert shown.startswith(answer["answer"])
    assert f"{first['uri']}#{first['start']}-{first['end']}" in shown


def test_search_takes_modes_and_filters(docs: Path) -> None:
    rag("ingest", docs)
    where = '{"eq": {"meta.ext": ".txt"}}'
    for mode in ("dense", "hybrid", "sparse"):
        hits = rag_json("search", "whales server", "--mode", mode, "--filter", where)["hits"]
        assert [hit["metadata"]["meta.path"] for hit in hits] == ["sub/deep.txt"]
    assert rag_json("search", "zebra", "--mode", "sparse") == {"hits": [], "partial": False}


def test_documents_are_listed_shown_and_deleted(docs: Path) -> None:
    rag("ingest", docs)
    listed = rag_json("documents", "list")
    assert [set(document) for document in listed] == [STORED_KEYS] * 3
    assert [d["external_id"] for d in listed] == ["backup.md", "ports.md", "sub/deep.txt"]
    pages = [
        rag_json("documents", "list", "--limit", 1, *after)
        for after in ([], ["--after", listed[0]["id"]], ["--after", listed[2]["id"]])
    ]
    assert pages == [listed[:1], listed[1:2], []]

    whales = listed[2]["id"]
    shown = rag_json("documents", "show", whales)
    assert shown == {**listed[2], "text": "Whales sing under water.\n"}
    assert shown["access"] == ["user:owner"]
    assert "Whales sing under water." in rag("documents", "show", whales)

    receipt = rag_json("documents", "delete", whales)
    assert (receipt["document"], receipt["uri"]) == (whales, shown["uri"])
    assert receipt["reason"] == "request"
    assert receipt["gone"] >= receipt["unfindable"]
    assert "backups that were made before" in receipt.pop("not_covered")
    assert rag_json("documents", "receipts", "--document", whales) == [receipt]
    assert "physically gone" in rag("documents", "receipts")
    assert rag_json("search", "whales", "--mode", "sparse")["hits"] == []
    assert len(rag_json("documents", "list")) == 2
    with pytest.raises(Exception, match=f"no document '{whales}'"):
        rag("documents", "show", whales)
    assert (docs / "sub/deep.txt").exists()
    assert rag_json("ingest", docs)["added"] == 1


def test_collections_are_listed_and_deleted(docs: Path, tmp_path: Path) -> None:
    rag("ingest", docs, "--collection", "one")
    rag("ingest", docs / "ports.md", "-c", "two")
    listed = rag_json("collections", "list")
    assert [(c["name"], c["documents"], c["chunks"]) for c in listed] == [
        ("one", 3, 3),
        ("two", 1, 1),
    ]
    assert (listed[0]["backend"], listed[0]["embedder"], listed[0]["dim"]) == (
        "faiss",
        "hashing",
        256,
    )
    rag("collections", "delete", "one", code=1, answer="n\n")  # asked, and said no
    assert len(rag_json("collections", "list")) == 2
    assert rag_json("collections", "delete", "one", "--yes") == {"deleted": "one", "documents": 3}
    assert [c["name"] for c in rag_json("collections", "list")] == ["two"]
    assert rag_json("search", "port", "-c", "two")["hits"]
    texts = tmp_path / "data" / "texts"
    assert len([p for p in texts.rglob("*") if p.is_file()]) == 1


def test_models_are_listed_before_they_are_pulled() -> None:
    models = rag_json("models", "list")
    assert {frozenset(model) for model in models} == {
        frozenset({"name", "path", "source", "about"})
    }
    assert [(model["name"], model["path"]) for model in models] == [
        ("all-minilm-l6-v2", None),
        ("smollm2-135m-instruct", None),
    ]
    assert "not pulled" in rag("models", "list")


def test_the_data_folder_may_stand_before_or_after_the_command(docs: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    rag("--data-dir", one, "ingest", docs / "ports.md")
    rag("ingest", docs, "--data-dir", two)
    counts = []
    for before, after in ((one, None), (two, None), (None, one), (None, two), (one, two)):
        front = ["--data-dir", before] if before else []
        back = ["--data-dir", after] if after else []
        counts.append(len(rag_json(*front, "documents", "list", *back)))
    assert counts == [1, 3, 1, 3, 3]
    assert not (tmp_path / "data").exists()


# --- evaluation ----------------------------------------------------------------------------------


def test_an_evaluation_scores_every_mode(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    words = ["whale", "giraffe", "zebra", "penguin", "okapi", "lemur"]
    corpus = [{"_id": f"d{n}", "title": w, "text": f"A {w} lives."} for n, w in enumerate(words)]
    queries = [{"_id": f"q{n}", "text": f"where is the {w}"} for n, w in enumerate(words[:3])]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judgements = "".join(f"q{n}\td{n}\t1\n" for n in range(3))
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judgements)

    results = rag_json("eval", "run", folder, "--mode", "all")
    assert [result["mode"] for result in results] == ["dense", "sparse", "hybrid"]
    for result in results:
        assert set(result) == {"dataset", "mode", "backend", "queries", "metrics", "latency_ms"}
        assert (result["dataset"], result["backend"], result["queries"]) == ("tiny", "faiss", 3)
        assert set(result["metrics"]) == {"ndcg@10", "recall@100", "mrr@10", "map"}
        assert set(result["latency_ms"]) == {"p50", "p95", "p99"}
        assert result["metrics"]["recall@100"] == 1.0
    assert results[1]["metrics"]["ndcg@10"] == 1.0
    single = rag_json("eval", "run", folder)
    assert single["metrics"] == results[2]["metrics"]
    assert "ndcg@10 1.0000" in rag("eval", "run", folder, "--mode", "sparse")


# --- mistakes ------------------------------------------------------------------------------------

MISTAKES = (
    (["search", "x"], "no collection 'default'"),
    (["search", "x", "-c", "none"], "no collection 'none'"),
    (["search", " ", "-c", "docs"], "the query is empty"),
    (["search", "x", "-c", "docs", "-k", "0"], "k is 0"),
    (["ask", "x", "-c", "docs", "-k", "-3"], "k is -3"),
    (["search", "x", "-c", "docs", "--filter", "{"], "not JSON"),
    (["search", "x", "-c", "docs", "--filter", '{"eq": {"tenant": "y"}}'], "reserved"),
    (["ingest", "nowhere"], "no file or folder 'nowhere'"),
    (["ingest", ".", "-c", "new", "--backend", "none"], "no 'none' is configured under stores"),
    (["ingest", ".", "-c", "docs", "--embedder", "minilm"], "built with the embedder 'hashing'"),
    (["documents", "show", "../../etc/passwd"], "no document"),
    (["documents", "delete", "x"], "no document 'x'"),
    (["documents", "list", "-c", "none"], "no collection 'none'"),
    (["collections", "delete", "none", "--yes"], "no collection 'none'"),
    (["models", "verify", "none"], "model 'none' is not in"),
    (["models", "pull", "none"], "no model named 'none'"),
    (["eval", "run", "."], "has no corpus.jsonl"),
    (["--data-dir", "elsewhere", "search", "x"], "no data folder at"),
)


def run_main(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> object:
    """Call the entry point as the shell does; return the exit code."""
    monkeypatch.setattr(sys, "argv", ["rag", *arguments])
    session.given_data_dir.clear()
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


def test_a_mistake_is_one_line_of_error(
    docs: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    rag("ingest", docs, "-c", "docs")
    for arguments, expected in MISTAKES:
        capfd.readouterr()
        assert run_main(monkeypatch, arguments) == 2, arguments
        shown = capfd.readouterr()
        errors = [line for line in shown.err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1
        assert expected in errors[0]
        assert "Traceback" not in shown.err
        assert shown.out == ""
    assert len(rag_json("documents", "list", "-c", "docs")) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["search"],
        ["ingest", "--json"],
        ["nonsense"],
        ["ask", "x", "--mode", "magic"],
        ["ask", "-z"],
    ],
)
def test_wrong_use_is_explained(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, arguments) == 2
    shown = capfd.readouterr().err
    assert shown.startswith("Usage: ")
    assert shown.count("Error: ") == 1


# --- processes -----------------------------------------------------------------------------------


def process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from rag.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


def test_a_document_that_fails_is_told_by_the_exit_code(docs: Path) -> None:
    (docs / "broken.md").write_bytes(b"%PDF-1.7 \x00\x00\x00 not text")
    done = process("ingest", docs, "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["added"], found["failed"]) == (3, 3, 1)
    (failure,) = found["failures"]
    assert set(failure) == {"uri", "error"}
    assert failure["uri"].endswith("/broken.md")
    assert "Traceback" not in done.stderr
    (docs / "broken.md").unlink()
    assert rag_json("ingest", docs)["unchanged"] == 3


def test_wrong_settings_are_one_line_of_error() -> None:
    done = process("collections", "list", CUMULO_RETREIVAL__DEPTH="3")
    assert done.returncode == 2
    assert done.stderr.count("error: ") == 1
    assert "CUMULO_RETREIVAL__DEPTH is not a known setting" in done.stderr
    assert "Traceback" not in done.stderr


INTERRUPTING = """
import asyncio, os, signal
import indexers.pipeline
from rag.embedders.hashing import HashingEmbedder

indexers.pipeline.WINDOW_DOCUMENTS = 4

class Interrupting(HashingEmbedder):
    calls = 0

    async def embed(self, texts, role):
        self.calls += 1
        if self.calls == 2:
            for _ in range(int(os.environ["CUMULO_TEST_INTERRUPTS"])):
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(100):  # turns of the loop, in which it hears of the signal
                    await asyncio.sleep(0)
        return await super().embed(texts, role)
"""


@pytest.mark.parametrize(("times", "finished"), [(1, 8), (2, 0)])
def test_an_interrupted_run_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, finished: int
) -> None:
    folder, plugin, pages = tmp_path / "docs", tmp_path / "plugin", 60
    folder.mkdir()
    for n in range(pages):
        (folder / f"page{n:02}.txt").write_text(f"The page {n} of many.\n")
    info = plugin / "interrupting-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: interrupting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cumulo.embedders]\nstop = interrupting:Interrupting\n")
    (plugin / "interrupting.py").write_text(INTERRUPTING)
    done = process(
        "ingest",
        folder,
        PYTHONPATH=str(plugin),
        CUMULO_DEFAULTS__EMBEDDER="mine",
        CUMULO_EMBEDDERS__MINE__KIND="stop",
        CUMULO_TEST_INTERRUPTS=str(times),
    )
    assert done.returncode == 130, done.stderr
    assert "finishing what is under way" in done.stderr
    assert "run the same command to go on" in done.stderr
    assert "Traceback" not in done.stderr

    monkeypatch.setenv("CUMULO_EMBEDDERS__MINE__KIND", "hashing")  # the same vectors
    again = rag_json("ingest", folder)
    assert again["added"] > 0
    assert again["unchanged"] >= finished  # two windows of four were under way
    assert again["added"] + again["unchanged"] == pages
    hits = rag_json("search", "page", "-k", 2 * pages, "--mode", "sparse")["hits"]
    assert len({hit["uri"] for hit in hits}) == len(hits) == pages
