"""The fitted weight: the file that ships, and the script that wrote it.

The script may open the train judgements alone: a weight chosen on test questions would make every
figure on them a lie.
"""

from __future__ import annotations

import hashlib
import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from evals import fit_fusion
from evals.beir import load_beir
from evals.fit_fusion import WEIGHTS, WRITTEN, plateau_middle
from evals.run import evaluate, index_dataset
from rag.embedders.bm25 import Bm25Encoder
from rag.fusion_weight import fitted_dense_weight
from rag.runtime import open_runtime
from rag.settings import load_settings

FACTS: dict[str, Any] = json.loads(WRITTEN.read_text("utf-8"))
CURVE = {float(weight): score for weight, score in FACTS["ndcg@10"].items()}


# --- the file ------------------------------------------------------------------------------------


def test_the_file_says_how_its_weight_was_found() -> None:
    assert list(FACTS) == [
        "dense_weight",
        "method",
        "dataset",
        "split",
        "qrels_sha256",
        "queries",
        "depth",
        "embedder_fingerprint",
        "sparse_fingerprint",
        "ndcg@10",
    ]
    assert FACTS["split"] == "train"
    assert FACTS["depth"] == load_settings().retrieval.depth
    assert list(FACTS["ndcg@10"]) == [f"{step / 20:.2f}" for step in range(21)]
    assert all(0 < score < 1 for score in CURVE.values())


def test_the_runtime_uses_the_weight_of_the_file() -> None:
    assert fitted_dense_weight() == FACTS["dense_weight"]
    assert 0 <= fitted_dense_weight() <= 1


def test_the_weight_is_the_middle_of_the_best_stretch() -> None:
    """The stretch of weights within 0.001 of the best score, worked out another way."""
    best = max(CURVE.values())
    good = [weight for weight, score in CURVE.items() if score > best - 0.00101]
    assert all(after - before < 0.051 for before, after in pairwise(good))  # one stretch
    assert FACTS["dense_weight"] == pytest.approx((good[0] + good[-1]) / 2)


def test_the_weight_was_fitted_on_the_encoder_that_ships() -> None:
    """When this fails, the analyzer has changed: run `python -m evals.fit_fusion` again."""
    assert FACTS["sparse_fingerprint"] == Bm25Encoder(Bm25Encoder.Options()).fingerprint


@pytest.mark.data
def test_the_weight_was_fitted_on_the_train_judgements(data_folder: Path) -> None:
    folder = data_folder / FACTS["dataset"]
    train = (folder / "qrels" / "train.tsv").read_bytes()
    assert hashlib.sha256(train).hexdigest() == FACTS["qrels_sha256"]
    assert len(load_beir(folder, "train").questions) == FACTS["queries"]


# --- the plateau ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("curve", "middle"),
    [
        ({0.0: 0.5, 0.5: 0.7, 1.0: 0.6}, 0.5),
        ({0.0: 0.7, 0.5: 0.699, 1.0: 0.6}, 0.25),
        ({0.0: 0.7, 0.5: 0.6989, 1.0: 0.6}, 0.0),
        ({0.0: 0.6, 0.5: 0.6, 1.0: 0.6}, 0.5),
        ({0.0: 0.7, 0.25: 0.6, 0.5: 0.6995, 0.75: 0.7001, 1.0: 0.6993}, 0.75),  # 0.0 lies apart
        ({1.0: 0.8, 0.0: 0.1, 0.5: 0.8}, 0.75),  # in whatever order
    ],
)
def test_the_middle_of_the_plateau(curve: dict[float, float], middle: float) -> None:
    assert plateau_middle(curve) == middle


# --- the script ----------------------------------------------------------------------------------

WORDS = "bees kites granite harbour violin comet bread island garden winter thunder".split()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A BEIR folder with train judgements only, and settings that need no model.

    A question has words of its document, two of three misspelled, so that both signals are needed.
    """
    monkeypatch.setenv("CUMULO_DEFAULTS__EMBEDDER", "hashing")
    rng = random.Random(4)
    corpus, queries, judged = [], [], ["query-id\tcorpus-id\tscore"]
    for n in range(12):
        words = rng.choices(WORDS, k=8)
        asked = [word[:-1] + "yx" if i else word for i, word in enumerate(rng.sample(words, 3))]
        corpus.append({"_id": f"d{n}", "title": "", "text": " ".join(words)})
        queries.append({"_id": f"q{n}", "text": " ".join(asked)})
        judged.append(f"q{n}\td{n}\t1")
    (path := tmp_path / "toy" / "qrels").mkdir(parents=True)
    (path / "train.tsv").write_text("\n".join(judged))
    (path.parent / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    (path.parent / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    return path.parent


def fitted(folder: Path, tmp_path: Path) -> dict[str, Any]:
    out = tmp_path / "weight.json"
    fit_fusion.main([str(folder), "--data-dir", str(tmp_path / "data"), "--out", str(out)])
    facts: dict[str, Any] = json.loads(out.read_text("utf-8"))
    return facts


@pytest.mark.parametrize("test_split", ["absent", "a folder", "a dangling link"])
def test_only_the_train_judgements_are_opened(
    folder: Path, tmp_path: Path, test_split: str
) -> None:
    unopenable = folder / "qrels" / "test.tsv"
    if test_split == "a folder":
        unopenable.mkdir()
    elif test_split == "a dangling link":
        unopenable.symlink_to(tmp_path / "nowhere")
    facts = fitted(folder, tmp_path)
    train = (folder / "qrels" / "train.tsv").read_bytes()
    assert facts["qrels_sha256"] == hashlib.sha256(train).hexdigest()
    assert (facts["dataset"], facts["split"], facts["queries"]) == ("toy", "train", 12)
    assert list(facts) == list(FACTS)


async def test_each_score_is_that_of_hybrid_search_with_the_weight(
    folder: Path, tmp_path: Path
) -> None:
    dataset = load_beir(folder, "train")
    async with open_runtime(load_settings(data_dir=tmp_path / "fit")) as runtime:
        facts = await fit_fusion.fit(runtime, dataset, lambda work, what: work)
    curve = facts["ndcg@10"]
    assert len(set(curve.values())) > 4  # the questions tell weights apart
    for weight in (0.0, 0.25, 0.5, 0.75, 1.0):
        assert weight in WEIGHTS
        settings = load_settings(data_dir=tmp_path / "fit", retrieval={"dense_weight": weight})
        async with open_runtime(settings) as runtime:
            collection, _ = await index_dataset(runtime, dataset)
            result = await evaluate(runtime, dataset, collection, "hybrid")
        assert curve[f"{weight:.2f}"] == result.metrics["ndcg@10"]


def test_a_folder_without_train_judgements_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "qrels" / "train.tsv").rename(folder / "qrels" / "test.tsv")
    with pytest.raises(SystemExit, match=r"error: .*toy has no qrels/train\.tsv"):
        fitted(folder, tmp_path)
    (folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n")
    with pytest.raises(SystemExit, match=r"error: no query of .*toy has judgements"):
        fitted(folder, tmp_path)
    assert not (tmp_path / "weight.json").exists()
    assert capsys.readouterr().out == ""  # progress and errors go to stderr
