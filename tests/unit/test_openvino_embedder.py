"""The encoder graph against vectors that transformers computed for the same tiny checkpoints."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from rag.embedders.openvino import BATCH_TOKENS, OpenVinoEmbedder, sorted_batches
from rag.errors import ConfigError, ModelMissing, Unsupported
from rag.ports import Folders

GOLDEN = Path(__file__).parents[1] / "golden"
CHECKPOINTS = ["tiny-mean", "tiny-cls", "tiny-xlm", "tiny-half"]


def make(tmp_path: Path, model: str | Path, **options: object) -> OpenVinoEmbedder:
    chosen = OpenVinoEmbedder.Options.model_validate({"model": str(model), **options})
    return OpenVinoEmbedder(chosen, Folders(models=tmp_path / "models", cache=tmp_path / "cache"))


@pytest.mark.parametrize("name", CHECKPOINTS)
@pytest.mark.parametrize("role", ["query", "passage"])
async def test_vectors_equal_those_of_transformers(tmp_path: Path, name: str, role: str) -> None:
    expected = json.loads((GOLDEN / name / "expected.json").read_text())
    embedder = make(tmp_path, GOLDEN / name, precision="float32")
    together = await embedder.embed(expected["texts"], role)
    alone = [(await embedder.embed([text], role)).vectors[0] for text in expected["texts"]]
    # Half-precision weights were run in half precision there, in float32 here.
    tolerance = 5e-3 if name == "tiny-half" else 2e-6
    np.testing.assert_allclose(together.vectors, expected[role], atol=tolerance)
    np.testing.assert_allclose(np.stack(alone), together.vectors, atol=2e-6)
    await embedder.close()


async def test_auto_precision_stays_close(tmp_path: Path) -> None:
    expected = json.loads((GOLDEN / "tiny-mean/expected.json").read_text())
    embedder = make(tmp_path, GOLDEN / "tiny-mean")
    vectors = (await embedder.embed(expected["texts"], "passage")).vectors
    cosines = np.einsum("ij,ij->i", vectors, np.array(expected["passage"], np.float32))
    assert cosines.min() > 0.999
    await embedder.close()


async def test_long_texts_are_cut_before_the_closing_token(tmp_path: Path) -> None:
    embedder = make(tmp_path, GOLDEN / "tiny-mean", max_tokens=8, precision="float32")
    long = "the cat sat on the mat a dog sat on this mat"
    found = await embedder.embed([long, "the cat sat on the mat"], "passage")
    assert found.tokens == 16
    np.testing.assert_allclose(found.vectors[0], found.vectors[1], atol=2e-6)
    await embedder.close()


async def test_tokens_are_counted_without_what_surrounds_a_text(tmp_path: Path) -> None:
    embedder = make(tmp_path, GOLDEN / "tiny-xlm")
    assert embedder.count_tokens(["the cat", "", "dog"]) == [2, 0, 1]
    assert embedder.overhead_tokens == 4  # <s> passage : </s>
    assert embedder.max_tokens == 38  # two of the forty positions are never used by this family
    assert embedder.unknown_share(["the zebra", "cat unicorn"]) == 0.5
    assert embedder.unknown_share([""]) == 0.0
    await embedder.close()


def test_the_fingerprint_names_what_vectors_mean(tmp_path: Path) -> None:
    base = make(tmp_path, GOLDEN / "tiny-mean")
    runtime_only = make(tmp_path, GOLDEN / "tiny-mean", precision="float32", threads=1)
    shorter = make(tmp_path, GOLDEN / "tiny-mean", max_tokens=16)
    prefixed = make(tmp_path, GOLDEN / "tiny-mean", query_prefix="query: ")
    other = make(tmp_path, GOLDEN / "tiny-cls")
    assert base.fingerprint == runtime_only.fingerprint
    distinct = {e.fingerprint for e in (base, shorter, prefixed, other)}
    assert len(distinct) == 4


@pytest.mark.parametrize(
    ("name", "query", "passage"),
    [
        ("multilingual-e5-small", "query: ", "passage: "),
        ("bge-small-en-v1.5", "Represent this sentence for searching relevant passages: ", ""),
        ("gte-small", "", ""),
    ],
)
def test_families_get_the_prefixes_they_were_trained_with(
    tmp_path: Path, name: str, query: str, passage: str
) -> None:
    from rag.embedders.checkpoint import open_checkpoint

    shutil.copytree(GOLDEN / "tiny-mean", tmp_path / name)
    found = open_checkpoint(tmp_path / name)
    assert (found.query_prefix, found.passage_prefix) == (query, passage)


def test_a_missing_model_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="rag models pull no-such-model"):
        make(tmp_path, "no-such-model")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "distilbert"}, "distilbert"),
        ({"position_embedding_type": "relative_key"}, "relative_key"),
        ({"hidden_act": "silu"}, "silu"),
        ({"num_hidden_layers": 3}, "encoder.layer.2"),
    ],
)
async def test_other_architectures_are_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(GOLDEN / "tiny-mean", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(Unsupported, match=message):
        await make(tmp_path, folder).embed(["a cat"], "query")


def test_a_token_limit_beyond_the_positions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="max_tokens is 41"):
        make(tmp_path, GOLDEN / "tiny-mean", max_tokens=41)


def test_batches_hold_every_row_once_and_stay_in_budget() -> None:
    lengths = [int(n) for n in np.random.default_rng(3).integers(1, 300, 500)]
    batches = sorted_batches(lengths, BATCH_TOKENS)
    assert sorted(row for batch in batches for row in batch) == list(range(500))
    for batch in batches:
        widest = max(lengths[row] for row in batch)
        assert len(batch) == 1 or widest * len(batch) <= BATCH_TOKENS
