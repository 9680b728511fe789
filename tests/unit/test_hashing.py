"""The hashing embedder: spelling alone makes texts similar, the same way in every process."""

from __future__ import annotations

import asyncio
import itertools
import random
import subprocess
import sys

import numpy as np
import pytest
from pydantic import ValidationError

from rag.embedders.hashing import HashingEmbedder


def embedder(**options: int) -> HashingEmbedder:
    return HashingEmbedder(HashingEmbedder.Options(**options))


async def cosine(a: str, b: str) -> float:
    vectors = (await embedder().embed([a, b], "passage")).vectors
    return float(vectors[0] @ vectors[1])


async def test_words_in_common_make_texts_similar() -> None:
    question = "how to rotate access tokens"
    near = await cosine(question, "Access tokens are rotated daily")
    far = await cosine(question, "The orchestra played beautifully")
    assert near > 0.5
    assert abs(far) < 0.2


async def test_related_spellings_are_similar() -> None:
    assert await cosine("tokenizer", "tokenizers") > 0.7
    assert await cosine("Tokenizer", "tokenizer") == pytest.approx(1.0)


async def test_different_words_are_nearly_orthogonal() -> None:
    words = "harbour gently pixel quorum vinegar twelfth oxidise jumbled backyard suffix".split()
    vectors = (await embedder().embed(words, "passage")).vectors
    cosines = [float(a @ b) for a, b in itertools.combinations(vectors, 2)]
    assert abs(float(np.mean(cosines))) < 0.05
    assert max(map(abs, cosines)) < 0.4


async def test_long_texts_of_different_words_are_nearly_orthogonal() -> None:
    rng = random.Random(5)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(400)]
    texts = [" ".join(words[i : i + 40]) for i in range(0, 400, 40)]
    vectors = (await embedder().embed(texts, "passage")).vectors
    cosines = [float(a @ b) for a, b in itertools.combinations(vectors, 2)]
    assert abs(float(np.mean(cosines))) < 0.1


async def test_repetitions_count_by_their_logarithm() -> None:
    assert await cosine("alpha beta", "alpha alpha beta") > 0.9
    assert await cosine("alpha beta", "alpha alpha beta") < 0.9999


@pytest.mark.parametrize("dim", [1, 2, 256])
async def test_texts_without_words_share_one_unit_vector(dim: int) -> None:
    vectors = (await embedder(dim=dim).embed(["", "  ", "?!"], "query")).vectors
    assert np.abs(vectors).sum(axis=1).tolist() == [1.0, 1.0, 1.0]
    assert vectors[0].tolist() == vectors[1].tolist() == vectors[2].tolist()


async def test_features_that_cancel_out_still_give_a_unit_row() -> None:
    """With one dimension some of these words have as many plus as minus signs."""
    words = [f"w{i}" for i in range(50)]
    vectors = (await embedder(dim=1).embed(words, "passage")).vectors
    assert np.abs(vectors).ravel().tolist() == [1.0] * 50


async def test_words_beyond_the_limit_are_not_read() -> None:
    short = embedder(max_tokens=2)
    embedded = await short.embed(["alpha beta gamma", "alpha beta", "alpha"], "passage")
    assert embedded.tokens == 5
    assert embedded.vectors[0].tolist() == embedded.vectors[1].tolist()
    assert embedded.vectors[1].tolist() != embedded.vectors[2].tolist()
    assert short.count_tokens(["alpha beta gamma"]) == [3]


async def test_half_a_surrogate_pair_does_no_harm() -> None:
    vectors = (await embedder().embed(["\ud800 left"], "passage")).vectors
    assert float(vectors[0] @ vectors[0]) == pytest.approx(1.0)


def test_every_process_hashes_alike() -> None:
    code = (
        "import asyncio; from rag.embedders.hashing import HashingEmbedder as H;"
        "e = asyncio.run(H(H.Options(dim=8)).embed(['one same text'], 'passage'));"
        "print(e.vectors.tobytes().hex())"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    here = asyncio.run(embedder(dim=8).embed(["one same text"], "passage"))
    assert printed.decode().strip() == here.vectors.tobytes().hex()


def test_options_shape_the_fingerprint() -> None:
    fingerprints = {
        embedder(**options).fingerprint for options in ({}, {"dim": 64}, {"max_tokens": 8})
    }
    assert len(fingerprints) == 3


@pytest.mark.parametrize("options", [{"dim": 0}, {"max_tokens": 0}, {"size": 3}])
def test_wrong_options_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        HashingEmbedder.Options.model_validate(options)
