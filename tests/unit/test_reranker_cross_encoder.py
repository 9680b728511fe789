"""The reranker on sentence-transformers, against transformers itself and memory that ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.errors import ConfigError, ModelMissing, Rejected, Unsupported
from rag.ports import Folders
from rag.rerankers.cross_encoder import CrossEncoderReranker
from tests.unit.torch_models import cross_encoder, golden_copy, write

QUESTION = "the cat"
PASSAGES = ["a dog sat", "the cat sat on the mat", "on this mat", "zebra " * 100]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cross_encoder(tmp_path_factory.mktemp("models") / "tiny-judge")


def make(folder: Path, **options: object) -> CrossEncoderReranker:
    chosen = CrossEncoderReranker.Options.model_validate(
        {"model": str(folder), "device": "cpu", **options}
    )
    return CrossEncoderReranker(chosen, Folders(folder.parent, folder.parent / "cache"))


async def test_scores_are_the_logits_of_the_model(folder: Path) -> None:
    import torch
    from transformers import AutoTokenizer, BertForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = BertForSequenceClassification.from_pretrained(folder).eval()
    expected = []
    for passage in PASSAGES:
        row = tokenizer([QUESTION], [passage], truncation=True, max_length=64, return_tensors="pt")
        with torch.no_grad():
            expected.append(float(model(**row).logits[0, 0]))
    reranker = make(folder)
    np.testing.assert_allclose(await reranker.score(QUESTION, PASSAGES), expected, atol=1e-4)
    await reranker.close()


async def test_a_batch_that_does_not_fit_is_halved(folder: Path) -> None:
    reranker = make(folder, batch_tokens=4096)
    many = [f"a dog sat on this mat {word}" for word in ("the", "cat", "dog", "on") * 8]
    expected = await reranker.score(QUESTION, many)
    model, batches, _ = reranker._loaded
    sizes: list[int] = []
    judge = model.predict

    def predict(pairs: Sequence[Any], **given: Any) -> Any:
        sizes.append(len(pairs))
        if len(pairs) > 5:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return judge(pairs, **given)

    model.predict = predict
    got = await reranker.score(QUESTION, many)
    np.testing.assert_allclose(got, expected, atol=1e-4)
    assert sum(size > 5 for size in sizes) <= 3  # 32, 16, 8
    assert batches.tokens < 4096
    model.predict = lambda pairs, **given: (_ for _ in ()).throw(RuntimeError("out of memory"))
    with pytest.raises(Rejected, match="does not fit the device's memory"):
        await reranker.score(QUESTION, PASSAGES)
    await reranker.close()


async def test_a_score_that_is_no_number_is_refused(folder: Path) -> None:
    reranker = make(folder)
    model = reranker._loaded[0]
    model.predict = lambda pairs, **given: np.full(len(pairs), np.nan, np.float32)
    with pytest.raises(Rejected, match="no number"):
        await reranker.score(QUESTION, PASSAGES)
    await reranker.close()


async def test_what_is_no_reranker_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="3 classes"):
        make(cross_encoder(tmp_path / "classes", labels=3, layers=1))
    with pytest.raises(ModelMissing):
        make(tmp_path / "nowhere")
    encoder = golden_copy("tiny-mean", tmp_path / "encoder")
    write(encoder / "config.json", {**read(encoder / "config.json"), "id2label": {"0": "LABEL_0"}})
    untrained = make(encoder)
    with pytest.raises(Rejected, match=r"lacks .* classifier.bias|lacks"):
        await untrained.score(QUESTION, PASSAGES)
    await untrained.close()
    (encoder / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match=r"tokenizer\.json"):
        make(encoder)


def read(file: Path) -> Any:
    import json

    return json.loads(file.read_text())
