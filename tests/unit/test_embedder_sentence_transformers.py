"""The embedder on sentence-transformers: the same space as openvino's, memory that ends, folders
that are not to be trusted.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.embedders.openvino import OpenVinoEmbedder
from rag.embedders.sentence_folder import open_sentence_folder
from rag.embedders.sentence_transformers import SentenceTransformersEmbedder
from rag.embedders.torch_batches import TorchBatches, choose_device
from rag.errors import ConfigError, ModelMissing, Rejected, Unavailable, Unsupported
from rag.ports import Folders
from rag.settings import load_settings
from tests.unit.torch_models import DIM, golden_copy, write

FOLDERS = Folders(load_settings().model_dir, Path(tempfile.gettempdir()) / "cumulo-test-cache")
TEXTS = ["the cat sat on the mat", "a dog", "", "zebra", "the mat on the cat " * 40]


def make(model: Path | str, **options: object) -> SentenceTransformersEmbedder:
    chosen = {"model": str(model), "device": "cpu", **options}
    return SentenceTransformersEmbedder(
        SentenceTransformersEmbedder.Options.model_validate(chosen), FOLDERS
    )


def on_openvino(model: Path | str, **options: object) -> OpenVinoEmbedder:
    chosen = {"model": str(model), **options}
    return OpenVinoEmbedder(OpenVinoEmbedder.Options.model_validate(chosen), FOLDERS)


@pytest.mark.parametrize("model", ["all-minilm-l6-v2", "tiny-mean", "tiny-cls", "tiny-xlm"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
async def test_it_shares_its_space_with_openvino(tmp_path: Path, model: str, dtype: str) -> None:
    """A collection embedded on a GPU in half precision is queried by a pod without one."""
    place = golden_copy(model, tmp_path / model) if model.startswith("tiny") else Path(model)
    ours, theirs = make(place, dtype=dtype), on_openvino(place)
    assert ours.fingerprint == theirs.fingerprint
    assert ours.max_tokens == theirs.max_tokens
    assert ours.dim == theirs.dim
    assert ours.overhead_tokens == theirs.overhead_tokens
    assert ours.count_tokens(TEXTS) == theirs.count_tokens(TEXTS)
    assert ours.unknown_share(TEXTS) == theirs.unknown_share(TEXTS)
    for role in ("query", "passage"):
        a, b = await ours.embed(TEXTS, role), await theirs.embed(TEXTS, role)  # type: ignore[arg-type]
        assert a.tokens == b.tokens
        assert np.einsum("ij,ij->i", a.vectors, b.vectors).min() > 0.999
    await ours.close()
    await theirs.close()


async def test_options_change_the_space_as_with_openvino(tmp_path: Path) -> None:
    place = golden_copy("tiny-mean", tmp_path / "model")
    options: dict[str, Any] = {"max_tokens": 9, "query_prefix": "query : ", "passage_prefix": "a "}
    plain, ours, theirs = make(place), make(place, **options), on_openvino(place, **options)
    assert ours.fingerprint == theirs.fingerprint != plain.fingerprint
    for role in ("query", "passage"):
        a, b = await ours.embed(TEXTS, role), await theirs.embed(TEXTS, role)  # type: ignore[arg-type]
        assert a.tokens == b.tokens
        assert np.einsum("ij,ij->i", a.vectors, b.vectors).min() > 0.999
        assert not np.allclose(a.vectors, (await plain.embed(TEXTS, role)).vectors, atol=1e-3)  # type: ignore[arg-type]
    for embedder in (plain, ours, theirs):
        await embedder.close()


async def test_another_architecture_has_a_space_of_its_own(tmp_path: Path) -> None:
    place = distilled(tmp_path / "model")
    ours = make(place)
    assert ours.fingerprint.startswith("st-")
    assert ours.dim == DIM
    assert ours.max_tokens == 48
    embedded = await ours.embed(TEXTS, "passage")
    assert embedded.vectors.shape == (len(TEXTS), DIM)
    with pytest.raises(Unsupported):
        on_openvino(place)
    again = make(place)
    assert again.fingerprint == ours.fingerprint != make(place, max_tokens=16).fingerprint
    weights = place / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert make(place).fingerprint != ours.fingerprint
    await ours.close()


def distilled(to: Path) -> Path:
    """Write a DistilBERT, which the openvino embedder does not run."""
    from transformers import DistilBertConfig, DistilBertModel

    golden_copy("tiny-mean", to)
    (to / "model.safetensors").unlink()
    config = DistilBertConfig(
        vocab_size=19, dim=DIM, hidden_dim=64, n_heads=4, n_layers=1, max_position_embeddings=48
    )
    DistilBertModel(config).save_pretrained(to)
    return to


# --- memory that ends ----------------------------------------------------------------------------


def device(tokens: int, sizes: list[int]) -> Callable[[Sequence[int]], list[int]]:
    """Make work that fails above so many tokens; rows stand for their lengths."""

    def work(rows: Sequence[int]) -> list[int]:
        sizes.append(len(rows))
        if len(rows) * 100 > tokens:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has …")
        return list(rows)

    return work


@pytest.mark.parametrize("fits", [1, 2, 3, 31, 64, 100])
def test_a_batch_that_does_not_fit_is_halved_and_the_next_are_smaller(fits: int) -> None:
    batches, sizes = TorchBatches(6400), list[int]()
    done = batches.run([100] * 200, device(fits * 100, sizes))
    assert sorted(row for rows, _ in done for row in rows) == list(range(200))
    assert all(rows == got for rows, got in done)
    failures = sum(size > fits for size in sizes)
    assert failures == max(0, math.ceil(math.log2(64 / fits)))
    assert fits / 2 < max(len(rows) for rows, _ in done) <= fits
    sizes.clear()
    batches.run([100] * 200, device(fits * 100, sizes))
    assert max(sizes) <= fits  # it was learnt


def test_a_text_that_does_not_fit_alone_is_refused_and_others_go_on() -> None:
    def work(rows: Sequence[int]) -> None:
        if len(rows) * lengths[rows[0]] > 500:
            raise MemoryError

    batches, lengths = TorchBatches(10_000), [100, 900, 100]
    with pytest.raises(Rejected, match="a text of 900 tokens does not fit"):
        batches.run(lengths, work)
    lengths = [100] * 20
    assert sum(len(rows) for rows, _ in batches.run(lengths, work)) == 20


def test_a_device_that_failed_is_not_used_again() -> None:
    calls = []

    def work(rows: Sequence[int]) -> None:
        calls.append(rows)
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nmore")

    batches = TorchBatches(1000)
    for _ in range(3):
        with pytest.raises(Unavailable, match="the device is lost: CUDA error: an illegal memory"):
            batches.run([10], work)
    assert len(calls) == 1


def test_another_failure_of_the_model_is_no_matter_of_size() -> None:
    batches = TorchBatches(1000)

    def work(rows: Sequence[int]) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(Rejected, match="mat1 and mat2"):
        batches.run([10, 10], work)
    assert batches.tokens == 1000


async def test_memory_that_ends_within_the_library_gives_the_same_vectors(tmp_path: Path) -> None:
    embedder = make(golden_copy("tiny-mean", tmp_path / "model"), batch_tokens=4096)
    texts = [f"{text} {i}" for i in range(12) for text in TEXTS]
    expected = await embedder.embed(texts, "passage")
    model, batches = embedder._loaded
    encode = model.encode

    def short_of_memory(given: list[str], **options: Any) -> Any:
        if len(given) > 7:
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp] . DefaultCPUAllocator: can't "
                "allocate memory: you tried to allocate 8589934592 bytes"
            )
        return encode(given, **options)

    model.encode = short_of_memory
    got = await embedder.embed(texts, "passage")
    np.testing.assert_allclose(got.vectors, expected.vectors, atol=1e-5)
    assert batches.tokens < 4096
    await embedder.close()


# --- folders that are not to be trusted ----------------------------------------------------------


async def test_weights_that_are_not_there_are_not_made_up(tmp_path: Path) -> None:
    """This checkpoint's names have a prefix that the library does not know."""
    embedder = make(golden_copy("tiny-half", tmp_path / "model"))
    with pytest.raises(Rejected, match=r"lacks \d+ of \d+ weights"):
        await embedder.embed(TEXTS, "query")
    await embedder.close()


def test_a_folder_with_code_is_refused(tmp_path: Path) -> None:
    place = golden_copy("tiny-mean", tmp_path / "model")
    modules = json.loads((place / "modules.json").read_text())
    write(place / "modules.json", [{**modules[0], "type": "evil.Module"}, *modules[1:]])
    (place / "evil.py").write_text("raise SystemExit")
    with pytest.raises(Unsupported, match=r"needs code of its own: evil\.Module"):
        make(place)
    write(place / "modules.json", modules)
    config = json.loads((place / "config.json").read_text())
    write(place / "config.json", {**config, "auto_map": {"AutoModel": "evil.Model"}})
    with pytest.raises(Unsupported, match="auto_map"):
        make(place)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    place = golden_copy("tiny-mean", tmp_path / "model")
    (place / "2_Dense").mkdir()
    (place / "2_Dense" / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(Unsupported, match="pickled weights are not loaded"):
        make(place)
    shutil.rmtree(place / "2_Dense")
    (place / "pytorch_model.bin").write_bytes(b"x")  # beside safetensors it is never read
    make(place)
    (place / "model.safetensors").unlink()
    with pytest.raises(Unsupported):
        make(place)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        make("nobody/nothing")
    place = golden_copy("tiny-mean", tmp_path / "model")
    with pytest.raises(ConfigError, match="8 to 40"):
        make(place, max_tokens=41)
    (place / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match=r"no tokenizer\.json"):
        open_sentence_folder(place)
    with pytest.raises(ConfigError, match="no device 'cuda:7'"):
        choose_device("cuda:7")
    assert choose_device("auto") in ("cpu", "cuda", "mps")


async def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    place = golden_copy("tiny-mean", tmp_path / "model")
    write(
        place / "modules.json", [{"path": "", "type": "sentence_transformers.models.Transformer"}]
    )
    embedder = make(place)
    with pytest.raises(Rejected, match="model cannot be loaded"):
        await embedder.embed(TEXTS, "query")
    await embedder.close()


def test_the_module_is_there_without_torch() -> None:
    program = (
        "import sys\n"
        "for name in ('torch', 'sentence_transformers', 'transformers'): sys.modules[name] = None\n"
        "import asyncio\n"
        "from pathlib import Path\n"
        "from rag.embedders.sentence_transformers import SentenceTransformersEmbedder as Embedder\n"
        "from rag.rerankers.cross_encoder import CrossEncoderReranker\n"
        "from rag.errors import MissingExtra\n"
        "from rag.ports import Folders\n"
        f"folders = Folders(Path({str(FOLDERS.models)!r}), Path())\n"
        "embedder = Embedder(Embedder.Options(), folders)\n"
        "assert embedder.count_tokens(['one two']) == [2]\n"
        "try:\n"
        "    asyncio.run(embedder.embed(['x'], 'query'))\n"
        "except MissingExtra as exc:\n"
        "    assert 'cumulo[sentence-transformers]' in exc.hint\n"
        "else:\n"
        "    raise SystemExit('nothing was missing')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
