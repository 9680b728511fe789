"""BEIR folders as they are read, as a source of documents, and as an evaluated collection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evals.beir import BeirConnector, Question, load_beir, read_qrels
from evals.run import evaluate, index_dataset, ranked_documents
from rag.errors import NotFound, UserError
from rag.ports import Changed, ListingComplete
from rag.runtime import Runtime
from rag.types import LOCAL_OWNER, Query, local_owner

CORPUS = (
    {"_id": "hive", "title": "Hives", "text": "Bees live in hives of wax."},
    {"_id": "a/b", "title": "", "text": "Köder für Forellen: künstliche Fliegen."},
    {"_id": "kite", "title": "Kites", "text": "Kites fly on a string in the wind."},
)
QUERIES: tuple[dict[str, Any], ...] = (
    {"_id": "q2", "text": "bees in hives", "metadata": {"answers": ["wax", "a hive"]}},
    {"_id": "q1", "text": "kites in the wind", "metadata": None},
    {"_id": "q3", "text": "not judged"},
)
QRELS = "query-id\tcorpus-id\tscore\nq1\tkite\t1\nq2\thive\t2\nq2\ta/b\t0\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "toy"
    (path / "qrels").mkdir(parents=True)
    write(path / "corpus.jsonl", CORPUS)
    write(path / "queries.jsonl", QUERIES)
    (path / "qrels" / "test.tsv").write_text(QRELS, "utf-8")
    return path


def write(path: Path, rows: tuple[dict[str, Any], ...]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", "utf-8")


async def listed(connector: BeirConnector) -> dict[str, Changed]:
    *changes, end = [change async for change in connector.changes()]
    assert isinstance(end, ListingComplete)
    assert end.covers("hive")
    assert end.covers("never seen")
    found = {change.external_id: change for change in changes if isinstance(change, Changed)}
    assert len(found) == len(changes)
    return found


# --- files ---------------------------------------------------------------------------------------


def test_judged_questions_come_in_the_order_of_their_file(folder: Path) -> None:
    dataset = load_beir(folder)
    assert dataset.name == "toy"
    assert dataset.questions == (
        Question("q2", "bees in hives", ("wax", "a hive")),
        Question("q1", "kites in the wind"),
    )
    assert dataset.qrels == {"q1": {"kite": 1}, "q2": {"hive": 2, "a/b": 0}}


def test_a_split_reads_its_own_judgements(folder: Path) -> None:
    (folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq3\thive\t1\n")
    dataset = load_beir(folder, "train")
    assert [question.id for question in dataset.questions] == ["q3"]
    assert dataset.qrels == {"q3": {"hive": 1}}


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_a_folder_without_a_file_is_refused_by_its_name(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(NotFound, match=rf"toy has no {name}; a BEIR folder is wanted"):
        load_beir(folder)


@pytest.mark.parametrize("line", ["q1\thive", "q1\thive\tyes", "q1\thive\t1\t2", "q1 hive 1"])
def test_a_bad_judgement_is_named_by_file_and_line(folder: Path, line: str) -> None:
    path = folder / "qrels" / "test.tsv"
    path.write_text(QRELS + line + "\n")
    with pytest.raises(UserError, match=r"test\.tsv line 5 is not: query, document, score"):
        read_qrels(path)


def test_a_quotation_mark_is_part_of_an_id(tmp_path: Path) -> None:
    path = tmp_path / "qrels.tsv"
    path.write_text('query-id\tcorpus-id\tscore\n"q\td"1\t1\nq2\td2\t1\n')
    assert read_qrels(path) == {'"q': {'d"1': 1}, "q2": {"d2": 1}}


def test_a_query_that_is_not_json_is_named_by_file_and_line(folder: Path) -> None:
    with (folder / "queries.jsonl").open("a") as file:
        file.write('\n{"_id": "q4", "text": }\n')
    with pytest.raises(UserError, match=r"queries\.jsonl line 5 is not JSON: Expecting value"):
        load_beir(folder)


# --- a source of documents -----------------------------------------------------------------------


async def test_every_line_is_listed_once_and_fetched_whole(folder: Path) -> None:
    connector = BeirConnector(folder)
    found = await listed(connector)
    assert list(found) == ["hive", "a/b", "kite"]
    assert [change.uri for change in found.values()] == [
        "beir:toy/hive",
        "beir:toy/a/b",
        "beir:toy/kite",
    ]
    assert {change.access for change in found.values()} == {(LOCAL_OWNER,)}
    for row in reversed(CORPUS):  # in any order
        blob = await connector.fetch(found[row["_id"]])
        assert blob.read().decode() == row["text"]
        assert blob.title == (row["title"] or None)
        assert blob.media_type == "text/plain"


async def test_blank_lines_are_no_documents(folder: Path) -> None:
    corpus = folder / "corpus.jsonl"
    corpus.write_text("\n" + corpus.read_text("utf-8").replace("\n", "\n \n"), "utf-8")
    connector = BeirConnector(folder)
    found = await listed(connector)
    assert list(found) == ["hive", "a/b", "kite"]
    assert (await connector.fetch(found["kite"])).title == "Kites"


async def test_a_changed_line_changes_its_fingerprint_alone(folder: Path) -> None:
    before = await listed(BeirConnector(folder))
    write(folder / "corpus.jsonl", (CORPUS[0], {**CORPUS[1], "title": "Baits"}, CORPUS[2]))
    after = await listed(BeirConnector(folder))
    changed = {id_ for id_ in after if after[id_].fingerprint != before[id_].fingerprint}
    assert changed == {"a/b"}


# --- an evaluated collection ---------------------------------------------------------------------


@pytest.fixture
def long_folder(folder: Path) -> Path:
    """One document has several chunks, and only its last speaks of bees."""
    filler = "\n\n".join(f"Section {n} " + f"of granite and slate {n} " * 30 for n in range(6))
    long = {"_id": "long", "title": "Stones", "text": filler + "\n\nBees in hives, at last."}
    write(folder / "corpus.jsonl", (*CORPUS, long))
    return folder


@pytest.mark.parametrize("mode", ["dense", "sparse", "hybrid"])
async def test_a_document_scores_as_its_best_chunk(
    runtime: Runtime, long_folder: Path, mode: Any
) -> None:
    collection, summary = await index_dataset(runtime, load_beir(long_folder))
    assert summary.added == 4
    assert summary.chunks > 6
    text = "bees in hives of slate"
    found = await ranked_documents(runtime, collection, text, mode)
    query = Query(text, collection.name, local_owner(), k=200, mode=mode)
    hits = (await runtime.retrieval.search(query)).hits
    scores: dict[str, list[float]] = {}
    for hit in hits:
        scores.setdefault(hit.uri.removeprefix("beir:toy/"), []).append(hit.score)
    assert len(scores["long"]) > 1
    assert found == {document: max(several) for document, several in scores.items()}
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert next(iter(found)) == "hive"


async def test_evaluation_asks_every_judged_question_of_the_split(
    runtime: Runtime, folder: Path
) -> None:
    dataset = load_beir(folder)
    collection, _ = await index_dataset(runtime, dataset)
    result = await evaluate(runtime, dataset, collection, "sparse")
    assert (result.dataset, result.mode, result.backend) == ("toy", "sparse", "faiss")
    assert result.queries == 2
    assert result.metrics == {"ndcg@10": 1.0, "recall@100": 1.0, "mrr@10": 1.0, "map": 1.0}
    assert 0 < result.latency_ms["p50"] <= result.latency_ms["p99"]


async def test_a_second_run_embeds_only_what_changed(runtime: Runtime, folder: Path) -> None:
    dataset = load_beir(folder)
    collection, first = await index_dataset(runtime, dataset)
    again, second = await index_dataset(runtime, dataset)
    assert (again.id, second.added, second.unchanged, second.tokens) == (collection.id, 0, 3, 0)
    write(folder / "corpus.jsonl", (*CORPUS[:2], {**CORPUS[2], "text": "Kites need no wings."}))
    _, third = await index_dataset(runtime, dataset)
    assert (third.updated, third.unchanged, third.chunks) == (1, 2, 1)
    assert 0 < third.tokens < first.tokens
    found = await ranked_documents(runtime, collection, "wings wind", "sparse")
    assert set(found) == {"kite"}
