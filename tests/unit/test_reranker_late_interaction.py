"""MaxSim over token vectors: the formula, and that it judges with the default model."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from rag.errors import ModelMissing
from rag.ports import Folders
from rag.rerankers.late_interaction import LateInteractionReranker

GOLDEN = Path(__file__).parents[1] / "golden"


def make(models: Path, **options: object) -> LateInteractionReranker:
    chosen = LateInteractionReranker.Options.model_validate(options)
    cache = Path(tempfile.gettempdir()) / "cumulo-test-cache"
    return LateInteractionReranker(chosen, Folders(models, cache))


async def test_a_score_is_the_mean_of_the_best_cosines(tmp_path: Path) -> None:
    reranker = make(tmp_path, model=str(GOLDEN / "tiny-mean"), precision="float32", threads=1)
    question, passage = "the cat", "a dog sat on the mat"
    rows = {}
    for text in (question, passage):
        ids = reranker._tokenizer.ids([text], 40)
        inside = reranker._encoder.hidden(ids, "latency")[0][1:-1]
        rows[text] = inside / np.linalg.norm(inside, axis=1, keepdims=True)
    best = [max(float(a @ b) for b in rows[passage]) for a in rows[question]]
    scores = await reranker.score(question, ["zebra " * 60, passage, "cat", question])
    assert scores[1] == pytest.approx(np.mean(best), abs=1e-5)
    assert scores[3] == pytest.approx(1.0, abs=1e-5)
    assert scores.argmax() == 3
    await reranker.close()


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="nothing"):
        make(tmp_path, model="nothing")
